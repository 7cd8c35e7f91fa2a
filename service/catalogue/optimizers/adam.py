"""Adam, and the rule that AdamW shares with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from typing_extensions import Doc

from service.catalogue.optimizers.record import State, first_order
from service.catalogue.options import Fraction, NonNegative, Positive
from service.catalogue.tensors import Tensor


@dataclass(frozen=True, slots=True)
class Adam:
    """m' = β₁m + (1−β₁)g; v' = β₂v + (1−β₂)g²; θ' = θ − rate·m̂/(√v̂ + eps), bias-corrected.

    With amsgrad (Reddi et al., ICLR (2018)) v̂ is the largest so far.
    """

    learning_rate: Annotated[Positive, Doc("Multiplies the step.")] = 1e-3
    beta1: Annotated[Fraction, Doc("Decay of the mean of the gradients.")] = 0.9
    beta2: Annotated[Fraction, Doc("Decay of the mean of their squares.")] = 0.999
    eps: Annotated[Positive, Doc("Added to the root, so that it is never 0.")] = 1e-8
    weight_decay: Annotated[
        NonNegative, Doc("L2 penalty: weight_decay·θ is added to the gradient.")
    ] = 0.0
    amsgrad: Annotated[bool, Doc("Whether the largest mean square so far is used.")] = False

    decoupled: ClassVar[bool] = False
    """Whether the weight decay is subtracted from θ rather than added to g."""

    def start(self, theta: Tensor) -> State:
        return State(0, (theta * 0, theta * 0, theta * 0))

    def update(
        self, theta: Tensor, gradient: Tensor, state: State, rate: float
    ) -> tuple[Tensor, State]:
        count, (mean, square, largest) = state.done + 1, state.sums
        if self.weight_decay and self.decoupled:
            theta = theta * (1 - rate * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient + self.weight_decay * theta
        mean = self.beta1 * mean + (1 - self.beta1) * gradient
        square = self.beta2 * square + (1 - self.beta2) * gradient * gradient
        if self.amsgrad:
            largest = largest.maximum(square)
        spread = (largest if self.amsgrad else square) ** 0.5 / (1 - self.beta2**count) ** 0.5
        step = mean / (1 - self.beta1**count)
        moved = theta - rate * step / (spread + self.eps)
        return moved, State(count, (mean, square, largest))


ADAM = first_order(
    "adam",
    Adam,
    description="Adam (Kingma and Ba, 2015), with torch.optim.Adam's options.",
    formula="θ' = θ − learning_rate·m̂/(√v̂ + eps), m and v running means of g and g²",
    when_to_use="Many params, losses that are not smooth, neural networks.",
    reference="Kingma and Ba, Adam, ICLR (2015)",
)
