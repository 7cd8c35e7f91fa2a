"""A rate that falls at given epochs."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Len
from typing_extensions import Doc

from service.catalogue.options import Count, Positive
from service.catalogue.schedules.record import LearningRateSchedule, power


@dataclass(frozen=True, slots=True)
class MultiStep:
    """gamma^(milestones reached)."""

    milestones: Annotated[
        tuple[Count, ...], Len(1, 1000), Doc("The epochs at which the rate is multiplied.")
    ]
    gamma: Annotated[Positive, Doc("The factor.")] = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(sorted(self.milestones)))

    def factor(self, t: int, base: float, epochs: int) -> float:
        return power(self.gamma, bisect_right(self.milestones, t))


MULTI_STEP = LearningRateSchedule(
    name="multi_step",
    description="Multiplies the rate by `gamma` at each milestone.",
    formula="gamma^(number of milestones ≤ t)",
    settings=MultiStep,
    when_to_use="It is known at which epochs a smaller rate is needed.",
    reference="torch.optim.lr_scheduler.MultiStepLR",
)
