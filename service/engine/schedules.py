"""Learning-rate schedules, with the names of torch.optim.lr_scheduler.

Each is a pure function: the factor on the base rate at epoch t, counted from 0 (the first epoch).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

Factor = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant rate."""

    def factor(self, t: int, base: float) -> float:
        return 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """gamma^⌊t / step_size⌋."""

    step_size: int
    gamma: float = 0.1

    def factor(self, t: int, base: float) -> float:
        return _power(self.gamma, t // self.step_size)


@dataclass(frozen=True, slots=True)
class MultiStep:
    """gamma^(milestones reached); they ascend."""

    milestones: tuple[int, ...]
    gamma: float = 0.1

    def factor(self, t: int, base: float) -> float:
        return _power(self.gamma, bisect_right(self.milestones, t))


@dataclass(frozen=True, slots=True)
class Exponential:
    """gamma^t."""

    gamma: float

    def factor(self, t: int, base: float) -> float:
        return _power(self.gamma, t)


@dataclass(frozen=True, slots=True)
class Cosine:
    """From the base rate to eta_min: eta_min + (base − eta_min)·(1 + cos(π·t/t_max))/2.

    Source: Loshchilov and Hutter, SGDR (2017).
    """

    t_max: int
    eta_min: float = 0.0

    def factor(self, t: int, base: float) -> float:
        low = self.eta_min / base
        return low + (1 - low) * (1 + math.cos(math.pi * t / self.t_max)) / 2


@dataclass(frozen=True, slots=True)
class Linear:
    """From start_factor to end_factor over total_iters epochs."""

    start_factor: float = 1 / 3
    end_factor: float = 1.0
    total_iters: int = 5

    def factor(self, t: int, base: float) -> float:
        done = min(t, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done


@dataclass(frozen=True, slots=True)
class Polynomial:
    """(1 − t/total_iters)^power, then 0."""

    total_iters: int
    power: float = 1.0

    def factor(self, t: int, base: float) -> float:
        return float((1 - min(t, self.total_iters) / self.total_iters) ** self.power)


Schedule = Constant | Step | MultiStep | Exponential | Cosine | Linear | Polynomial


def _power(base: float, exponent: int) -> float:
    """base^exponent; infinite where it overflows."""
    return float(base**exponent) if exponent * math.log(base) < 700 else math.inf
