"""A throw-away optimizer, with an option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from service.catalogue.optimizers.record import State, first_order
from service.catalogue.options import Fraction, Positive
from service.catalogue.tensors import Tensor


@dataclass(frozen=True, slots=True)
class NewOptimizer:
    """m' = βm + (1 − β)g; θ' = θ − rate·sign(m')."""

    learning_rate: Positive = 1e-2
    beta: Annotated[Fraction, Doc("Share of the earlier gradients.")] = 0.5

    def start(self, theta: Tensor) -> State:
        return State(0, (theta * 0,))

    def update(
        self, theta: Tensor, gradient: Tensor, state: State, rate: float
    ) -> tuple[Tensor, State]:
        mean = self.beta * state.sums[0] + (1 - self.beta) * gradient
        return theta - rate * mean.sign(), State(state.done + 1, (mean,))


NEW_OPTIMIZER = first_order(
    "new_optimizer",
    NewOptimizer,
    description="Descent by the signs of the mean gradient.",
    formula="θ' = θ − learning_rate·sign(m)",
    when_to_use="Gradients of unlike size.",
    reference="this test",
)
