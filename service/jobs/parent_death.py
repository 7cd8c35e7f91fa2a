"""Processes that end when their parent does, whatever they are at."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Has Linux kill this process when the thread that forked it ends, which is one of `parent`;
    at once where that has ended. Elsewhere it lives until it notices."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
