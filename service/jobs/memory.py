"""Memory that is given back when it is no longer needed."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_M_MMAP_THRESHOLD, _LARGE = -3, 2**20
_M_ARENA_MAX, _ARENAS = -8, 2


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


def settle() -> None:
    """Takes what the process holds by now out of the garbage collector's sight: half a million
    objects of libraries, which it would look through again and again, and which stay."""
    gc.collect()
    gc.freeze()
