"""A rate that falls every few epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from service.catalogue.options import Count, Positive
from service.catalogue.schedules.record import LearningRateSchedule, power


@dataclass(frozen=True, slots=True)
class Step:
    """gamma^⌊t / step_size⌋."""

    step_size: Annotated[Count, Doc("Epochs between two steps.")]
    gamma: Annotated[Positive, Doc("The factor.")] = 0.1

    def factor(self, t: int, base: float, epochs: int) -> float:
        return power(self.gamma, t // self.step_size)


STEP = LearningRateSchedule(
    name="step",
    description="Multiplies the rate by `gamma` every `step_size` epochs.",
    formula="gamma^⌊t/step_size⌋",
    settings=Step,
    when_to_use="The loss stops falling at one rate and falls again at a smaller one.",
    reference="torch.optim.lr_scheduler.StepLR",
)
