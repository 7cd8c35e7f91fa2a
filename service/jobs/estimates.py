"""How long until there is room: the honest Retry-After."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

_PRIOR_S = 0.1
"""What a job is taken to last before any has been seen."""


class Durations:
    """How long jobs lasted lately.

    The mean is the maximum-likelihood estimate for exponential durations where those still at work
    are censored: (Σ finished + Σ running so far) / number finished.
    """

    def __init__(self, room: int = 64) -> None:
        self._lasted: deque[float] = deque(maxlen=room)

    def add(self, seconds: float) -> None:
        """A job lasted so long."""
        self._lasted.append(seconds)

    def mean(self, running: Iterable[float]) -> float:
        """Seconds a job lasts, given how long the running ones have been at it."""
        total = sum(self._lasted) + sum(running)
        return max(total, _PRIOR_S) / max(len(self._lasted), 1)


def whole_seconds(seconds: float) -> int:
    """At least 1, rounded up, as a Retry-After."""
    return max(1, math.ceil(seconds))
