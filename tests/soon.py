"""How long a test waits: soon is told without a clock, and who waits for ever has failed.

A machine under load starts a process as slowly as it does the rest, so that what is soon there
comes within as many starts as on one that is idle.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 180.0
"""Who waits longer for an event has failed: so long that no load alone comes to it."""
STARTS_A_SECOND = 100
"""Of an interpreter that does nothing, one after another, on a machine that is idle."""
_START = (sys.executable, "-I", "-S", "-c", "")

T = TypeVar("T")


def soon(reached: Callable[[], T], seconds: float = 1.0) -> T:
    """What it returns, as soon as that is true; else what it returns after as many starts as an
    idle machine makes in so many seconds."""
    for _ in range(round(seconds * STARTS_A_SECOND)):
        if found := reached():
            return found
        subprocess.run(_START, check=True)
    return reached()
