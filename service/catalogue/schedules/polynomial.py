"""A rate that falls to zero along a polynomial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from service.catalogue.options import Count, Positive
from service.catalogue.schedules.record import LearningRateSchedule


@dataclass(frozen=True, slots=True)
class Polynomial:
    """(1 − t/total_iters)^power, then 0."""

    total_iters: Annotated[Count | None, Doc("Epochs until it ends.")] = None
    power: Annotated[Positive, Doc("The exponent.")] = 1.0

    def factor(self, t: int, base: float, epochs: int) -> float:
        total = self.total_iters or epochs
        return float((1 - min(t, total) / total) ** self.power)


POLYNOMIAL = LearningRateSchedule(
    name="polynomial",
    description=(
        "Decays the rate to zero over `total_iters` epochs (default: all) as (1 − t/T)^power."
    ),
    formula="(1 − min(t/total_iters, 1))^power",
    settings=Polynomial,
    when_to_use="The rate should reach zero with the last epoch.",
    reference="torch.optim.lr_scheduler.PolynomialLR",
)
