"""How long a caller will wait."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Deadline:
    """So many seconds from now, or never with None."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = math.inf if seconds is None else clock() + seconds

    def left(self) -> float:
        """Seconds left, none below 0."""
        return max(0.0, self._end - self._clock())
