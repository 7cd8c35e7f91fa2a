"""The record of a learning-rate schedule, with the name and options of torch.optim.lr_scheduler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from service.catalogue.options import Option, options_of


class Schedule(Protocol):
    """A schedule with its options set."""

    def factor(self, t: int, base: float, epochs: int) -> float:
        """The factor on the base rate at epoch t of that number, counted from 0."""
        ...


@dataclass(frozen=True, slots=True)
class LearningRateSchedule:
    """A schedule: `settings` are its options, a `Schedule`."""

    name: str
    description: str
    formula: str
    """The factor on the learning rate at epoch t, counted from 0."""
    settings: type[Schedule]
    when_to_use: str
    reference: str

    @property
    def options(self) -> tuple[Option, ...]:
        return options_of(self.settings)


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant rate, where no schedule is given."""

    def factor(self, t: int, base: float, epochs: int) -> float:
        return 1.0


def power(base: float, exponent: int) -> float:
    """base^exponent; infinite where it overflows."""
    return float(base**exponent) if exponent * math.log(base) < 700 else math.inf
