"""RMSprop: the gradient divided by a running mean of its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from service.catalogue.optimizers.record import State, first_order
from service.catalogue.options import Fraction, NonNegative, Positive
from service.catalogue.tensors import Tensor


@dataclass(frozen=True, slots=True)
class Rmsprop:
    """v' = αv + (1−α)g²; θ' = θ − rate·g/(√v' + eps); `centered` subtracts the mean from v'."""

    learning_rate: Annotated[Positive, Doc("Multiplies the step.")] = 1e-2
    alpha: Annotated[Fraction, Doc("Decay of the mean of the squares.")] = 0.99
    eps: Annotated[Positive, Doc("Added to the root, so that it is never 0.")] = 1e-8
    weight_decay: Annotated[
        NonNegative, Doc("L2 penalty: weight_decay·θ is added to the gradient.")
    ] = 0.0
    momentum: Annotated[Fraction, Doc("The part of the last step that is kept.")] = 0.0
    centered: Annotated[bool, Doc("Whether the squared mean of the gradients is subtracted.")] = (
        False
    )

    def start(self, theta: Tensor) -> State:
        return State(0, (theta * 0, theta * 0, theta * 0))

    def update(
        self, theta: Tensor, gradient: Tensor, state: State, rate: float
    ) -> tuple[Tensor, State]:
        square, mean, velocity = state.sums
        if self.weight_decay:
            gradient = gradient + self.weight_decay * theta
        square = self.alpha * square + (1 - self.alpha) * gradient * gradient
        spread = square
        if self.centered:
            mean = self.alpha * mean + (1 - self.alpha) * gradient
            spread = square - mean * mean
        step = gradient / (spread**0.5 + self.eps)
        if self.momentum:
            velocity = self.momentum * velocity + step
            step = velocity
        return theta - rate * step, State(state.done + 1, (square, mean, velocity))


RMSPROP = first_order(
    "rmsprop",
    Rmsprop,
    description="RMSprop (Hinton, 2012), with torch.optim.RMSprop's options.",
    formula="θ' = θ − learning_rate·g/(√v' + eps), v a running mean of g²",
    when_to_use="Gradients whose size changes along the way.",
    reference="Hinton, Neural Networks for Machine Learning, lecture 6 (2012)",
)
