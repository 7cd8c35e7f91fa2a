"""A throw-away learning-rate schedule, with an option."""

from __future__ import annotations

from dataclasses import dataclass

from service.catalogue.options import Positive
from service.catalogue.schedules.record import LearningRateSchedule


@dataclass(frozen=True, slots=True)
class InverseTime:
    """1/(1 + decay·t)."""

    decay: Positive = 0.1

    def factor(self, t: int, base: float, epochs: int) -> float:
        return 1 / (1 + self.decay * t)


NEW_SCHEDULE = LearningRateSchedule(
    name="new_schedule",
    description="Divides the rate by 1 + decay·t.",
    formula="1/(1 + decay·t)",
    settings=InverseTime,
    when_to_use="A slow decay.",
    reference="this test",
)
