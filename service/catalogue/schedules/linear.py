"""A rate that rises or falls linearly, then stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Le
from typing_extensions import Doc

from service.catalogue.options import Count, Share
from service.catalogue.schedules.record import LearningRateSchedule


@dataclass(frozen=True, slots=True)
class Linear:
    """From start_factor to end_factor over total_iters epochs."""

    start_factor: Annotated[float, Gt(0), Le(1), Doc("The factor at the start.")] = 1 / 3
    end_factor: Annotated[Share, Doc("The factor at the end.")] = 1.0
    total_iters: Annotated[Count, Doc("Epochs until it ends.")] = 5

    def factor(self, t: int, base: float, epochs: int) -> float:
        done = min(t, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done


LINEAR = LearningRateSchedule(
    name="linear",
    description=(
        "Moves a factor on the rate from `start_factor` to `end_factor` over `total_iters` epochs."
    ),
    formula="start_factor + (end_factor − start_factor)·min(t/total_iters, 1)",
    settings=Linear,
    when_to_use="A warm-up: the first steps would overshoot at the full rate.",
    reference="torch.optim.lr_scheduler.LinearLR",
)
