"""Ends a process when its parent ends."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """On Linux, has the kernel kill this process when the thread that forked it, one of process
    `parent`, ends; exits at once where it has ended already. Elsewhere has no effect."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
