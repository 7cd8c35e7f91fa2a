"""A deadline for a caller's wait."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Deadline:
    """That number of seconds from now; None: no deadline."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = math.inf if seconds is None else clock() + seconds

    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - self._clock())
