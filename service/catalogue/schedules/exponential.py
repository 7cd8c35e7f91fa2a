"""A rate that falls by the same factor every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from service.catalogue.options import Positive
from service.catalogue.schedules.record import LearningRateSchedule, power


@dataclass(frozen=True, slots=True)
class Exponential:
    """gamma^t."""

    gamma: Annotated[Positive, Doc("The factor.")]

    def factor(self, t: int, base: float, epochs: int) -> float:
        return power(self.gamma, t)


EXPONENTIAL = LearningRateSchedule(
    name="exponential",
    description="Multiplies the rate by `gamma` every epoch.",
    formula="gamma^t",
    settings=Exponential,
    when_to_use="A steady decay of the noise of mini-batches.",
    reference="torch.optim.lr_scheduler.ExponentialLR",
)
