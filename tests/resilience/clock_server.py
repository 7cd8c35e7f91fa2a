"""`python -m tests.resilience.clock_server`: the service, with a wall clock that can be moved.

SIGUSR1 moves it ten years on, SIGUSR2 twenty years back. The clock for durations is the machine's.
"""

from __future__ import annotations

import signal
from datetime import datetime, timedelta

from service.app import create_app
from service.jobs.timing import SystemClock
from service.server.run import run
from service.settings import Settings

YEARS = {signal.SIGUSR1: 10, signal.SIGUSR2: -20}


class MovedClock(SystemClock):
    """The machine's time, and an offset."""

    offset = timedelta()

    def now(self) -> datetime:
        return super().now() + self.offset


def main() -> None:
    clock = MovedClock()

    def move(signum: int, _: object) -> None:
        clock.offset += timedelta(days=365 * YEARS[signal.Signals(signum)])

    for signum in YEARS:
        signal.signal(signum, move)
    run(create_app(Settings(), clock), "127.0.0.1", 0)


if __name__ == "__main__":
    main()
