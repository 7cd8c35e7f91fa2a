"""What processes ask of the operating system: memory, cores, and to end with their parent."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import signal
from contextlib import suppress
from pathlib import Path

_M_MMAP_THRESHOLD, _LARGE = -3, 2**20
_M_ARENA_MAX, _ARENAS = -8, 2
_M_TRIM_THRESHOLD, _M_TOP_PAD = -1, -2
_SPARE = 8 * 2**20
_HUGE, _MADV_HUGEPAGE = 2 * 2**20, 14
_ALL, _STEP = 2**31 - 1, 64 * 2**20


def give_back() -> None:
    """Has glibc return each block of a megabyte or more to the kernel as soon as it is freed, and
    keep small ones in two heaps rather than eight a core.


    By default it adapts to keep blocks of up to 32 MiB, in a heap for each thread, and a service
    that has read large bodies stays hundreds of megabytes too large. Up to 8 MiB are kept, so that
    not every part of a body takes fresh pages. No effect with another allocator.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_TRIM_THRESHOLD, _SPARE)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def room(size: int) -> bytearray:
    """A bytearray of `size` uninitialized bytes.

    Where possible it uses huge pages of 2 MiB: clearing pages of 4 KiB takes as long as everything
    else that is done to a large body.
    """
    body = bytearray()
    ctypes.pythonapi.PyByteArray_Resize(ctypes.py_object(body), ctypes.c_ssize_t(size))
    if size >= 2 * _HUGE:
        with suppress(OSError, AttributeError):
            start = ctypes.addressof(ctypes.c_char.from_buffer(body))
            first = -(-start // _HUGE) * _HUGE
            whole = (start + size - first) // _HUGE * _HUGE
            advise = ctypes.CDLL(None).madvise
            advise(ctypes.c_void_p(first), ctypes.c_size_t(whole), _MADV_HUGEPAGE)
    return body


def keep() -> None:
    """Has glibc keep freed memory for later requests, and grow in steps of 64 MiB; for workers.


    A fit allocates and frees the same arrays at each step; each megabyte that is returned to the
    kernel and taken again is cleared page by page, which takes longer than the arithmetic.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _ALL)
        libc.mallopt(_M_TRIM_THRESHOLD, _ALL)
        libc.mallopt(_M_TOP_PAD, _STEP)


def trim() -> None:
    """Returns freed memory to the kernel."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def settle() -> None:
    """Excludes the current objects from garbage collection: half a million objects of libraries
    that stay, and that each full collection would traverse."""
    gc.collect()
    gc.freeze()


# --- cores --------------------------------------------------------------------------------------

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""A container's limit (cgroup v2): "quota period" in microseconds, or "max period"."""


def cores() -> int:
    """Cores of the affinity mask, no more than a container's quota; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, _quota()))


def _quota() -> int:
    try:
        quota, period = _QUOTA.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return 2**16


# --- parents ------------------------------------------------------------------------------------

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """On Linux, has the kernel kill this process when the thread that forked it, one of process
    `parent`, ends; exits at once where it has ended already. Elsewhere has no effect."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
