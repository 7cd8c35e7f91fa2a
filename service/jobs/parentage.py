"""Processes that end when their parent does, whatever they are at."""

from __future__ import annotations

import ctypes
import signal
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Has Linux kill this process when the thread that started it ends; elsewhere nothing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
