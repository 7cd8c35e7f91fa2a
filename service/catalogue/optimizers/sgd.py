"""Gradient descent, with momentum and Nesterov's momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from service.catalogue.optimizers.record import State, first_order
from service.catalogue.options import Fraction, NonNegative, Positive, Share
from service.catalogue.tensors import Tensor
from service.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Sgd:
    """v' = momentum·v + (1 − dampening)·g; θ' = θ − rate·v'. With nesterov, g + momentum·v'.

    Raises InvalidRequest for nesterov without momentum or with dampening.
    """

    learning_rate: Annotated[Positive, Doc("Multiplies the step.")] = 1e-3
    momentum: Annotated[Fraction, Doc("The part of the last step that is kept.")] = 0.0
    dampening: Annotated[Share, Doc("The part of the gradient that momentum leaves out.")] = 0.0
    nesterov: Annotated[
        bool, Doc("Nesterov's momentum; requires `momentum` above 0 and no `dampening`.")
    ] = False
    weight_decay: Annotated[
        NonNegative, Doc("L2 penalty: weight_decay·θ is added to the gradient.")
    ] = 0.0

    def __post_init__(self) -> None:
        if self.nesterov and (self.momentum <= 0 or self.dampening):
            raise InvalidRequest(
                "`nesterov` requires `momentum` above 0 and no `dampening`", pointer="/nesterov"
            )

    def start(self, theta: Tensor) -> State:
        return State(0, (theta * 0,))

    def update(
        self, theta: Tensor, gradient: Tensor, state: State, rate: float
    ) -> tuple[Tensor, State]:
        if self.weight_decay:
            gradient = gradient + self.weight_decay * theta
        if not self.momentum:
            return theta - rate * gradient, state
        velocity = gradient
        if state.done:
            velocity = self.momentum * state.sums[0] + (1 - self.dampening) * gradient
        step = gradient + self.momentum * velocity if self.nesterov else velocity
        return theta - rate * step, State(state.done + 1, (velocity,))


SGD = first_order(
    "sgd",
    Sgd,
    description="Gradient descent, with torch.optim.SGD's options.",
    formula="v' = momentum·v + (1 − dampening)·g; θ' = θ − learning_rate·v'",
    when_to_use="To see gradient descent work; with batch_size, for data too long for one step.",
    reference="Robbins and Monro, Annals of Mathematical Statistics 22 (1951) 400",
)
