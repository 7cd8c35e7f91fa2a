"""Clocks, passed by argument so that tests can set the time, and estimates of waiting times."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

_PRIOR_S = 0.1
"""The assumed duration of a job before any has finished."""


class Clock(Protocol):
    """The time of day, and a monotonic time for durations."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The system's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class Durations:
    """The durations of recent jobs.


    The mean is the maximum-likelihood estimate for exponential durations where those still running
    are censored: (Σ finished + Σ running so far) / number finished."""

    def __init__(self, room: int = 64) -> None:
        self._lasted: deque[float] = deque(maxlen=room)

    def add(self, seconds: float) -> None:
        """Records the duration of a job."""
        self._lasted.append(seconds)

    def mean(self, running: Iterable[float]) -> float:
        """The mean duration of a job in seconds; `running`: the ages of running jobs."""
        total = sum(self._lasted) + sum(running)
        return max(total, _PRIOR_S) / max(len(self._lasted), 1)


def whole_seconds(seconds: float) -> int:
    """Rounded up, at least 1: a Retry-After."""
    return max(1, math.ceil(seconds))
