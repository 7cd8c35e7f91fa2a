"""Timeouts of tests: short ones are measured without a clock, and long ones are generous.

A loaded machine starts a process as slowly as it does everything else, so that an event needs the
same number of process starts as on an idle one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 180.0
"""The timeout for an event, longer than any load alone takes."""
STARTS_A_SECOND = 100
"""Starts of an empty interpreter per second, one after another, on an idle machine."""
_START = (sys.executable, "-I", "-S", "-c", "")

T = TypeVar("T")


def soon(reached: Callable[[], T], seconds: float = 1.0) -> T:
    """The result of `reached`, as soon as it is true; else its result after the number of starts
    that an idle machine makes in `seconds`."""
    for _ in range(round(seconds * STARTS_A_SECOND)):
        if found := reached():
            return found
        subprocess.run(_START, check=True)
    return reached()
