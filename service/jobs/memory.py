"""Memory that is given back when it is no longer needed."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_M_MMAP_THRESHOLD, _LARGE = -3, 2**20
_M_ARENA_MAX, _ARENAS = -8, 2
_M_TRIM_THRESHOLD, _M_TOP_PAD = -1, -2
_ALL, _STEP = 2**31 - 1, 64 * 2**20


def give_back() -> None:
    """Has glibc return each block of a megabyte or more to the kernel as soon as it is freed, and
    keep small ones in two heaps rather than eight a core.

    By default it learns to keep blocks of up to 32 MiB, in a heap for each thread, and a service
    that has read large bodies stays hundreds of megabytes larger than what it holds. With another
    allocator nothing.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def keep() -> None:
    """Has glibc keep what is freed for what is asked next, in steps of 64 MiB.

    A fit makes and drops the same arrays at each step; each time that a megabyte goes to the kernel
    and comes back, it is cleared page by page, which takes longer than the arithmetic.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _ALL)
        libc.mallopt(_M_TRIM_THRESHOLD, _ALL)
        libc.mallopt(_M_TOP_PAD, _STEP)


def trim() -> None:
    """Returns what was kept."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def settle() -> None:
    """Takes what the process holds by now out of the garbage collector's sight: half a million
    objects of libraries, which it would look through again and again, and which stay."""
    gc.collect()
    gc.freeze()
