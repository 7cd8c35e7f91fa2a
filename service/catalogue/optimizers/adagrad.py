"""Adagrad: the gradient divided by the root of the sum of its squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from service.catalogue.optimizers.record import State, first_order
from service.catalogue.options import NonNegative, Positive
from service.catalogue.tensors import Tensor


@dataclass(frozen=True, slots=True)
class Adagrad:
    """s' = s + g²; θ' = θ − rate/(1 + t·lr_decay)·g/(√s' + eps)."""

    learning_rate: Annotated[Positive, Doc("Multiplies the step.")] = 1e-2
    lr_decay: Annotated[NonNegative, Doc("The rate is divided by 1 + epoch·lr_decay.")] = 0.0
    eps: Annotated[Positive, Doc("Added to the root, so that it is never 0.")] = 1e-10
    weight_decay: Annotated[
        NonNegative, Doc("L2 penalty: weight_decay·θ is added to the gradient.")
    ] = 0.0
    initial_accumulator_value: Annotated[NonNegative, Doc("The sum of squares at the start.")] = 0.0

    def start(self, theta: Tensor) -> State:
        return State(0, (theta * 0 + self.initial_accumulator_value,))

    def update(
        self, theta: Tensor, gradient: Tensor, state: State, rate: float
    ) -> tuple[Tensor, State]:
        count, (total,) = state
        if self.weight_decay:
            gradient = gradient + self.weight_decay * theta
        total = total + gradient * gradient
        step = gradient / (total**0.5 + self.eps)
        return theta - rate / (1 + count * self.lr_decay) * step, State(count + 1, (total,))


ADAGRAD = first_order(
    "adagrad",
    Adagrad,
    description="Adagrad (Duchi, Hazan and Singer, 2011), with torch.optim.Adagrad's options.",
    formula="θ' = θ − learning_rate·g/(√Σg² + eps)",
    when_to_use="Params that act on few rows each.",
    reference="Duchi, Hazan and Singer, JMLR 12 (2011) 2121",
)
