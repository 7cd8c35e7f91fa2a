"""`python -m tests.resilience.skewed …` is `python -m service …` with a clock on the wall that is
SKEW_S seconds ahead."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta

from service.cli import main
from service.jobs.timing import SystemClock


def skew(seconds: float) -> None:
    """Moves what the service and Dramatiq read, and leaves the clock for durations."""
    told_s, told = time.time, SystemClock.now

    def now(self: SystemClock) -> datetime:
        return told(self) + timedelta(seconds=seconds)

    time.time = lambda: told_s() + seconds
    SystemClock.now = now  # type: ignore[method-assign]


if __name__ == "__main__":
    skew(float(os.environ["SKEW_S"]))
    main(prog_name="python -m service")
