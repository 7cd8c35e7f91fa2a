"""Memory that is given back when it is no longer needed."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_M_MMAP_THRESHOLD, _LARGE = -3, 2**20
_M_ARENA_MAX, _ARENAS = -8, 2
_M_TRIM_THRESHOLD, _M_TOP_PAD = -1, -2
_SPARE = 8 * 2**20
_HUGE, _MADV_HUGEPAGE = 2 * 2**20, 14
_ALL, _STEP = 2**31 - 1, 64 * 2**20


def give_back() -> None:
    """Has glibc return each block of a megabyte or more to the kernel as soon as it is freed, and
    keep small ones in two heaps rather than eight a core.

    By default it learns to keep blocks of up to 32 MiB, in a heap for each thread, and a service
    that has read large bodies stays hundreds of megabytes larger than what it holds. A few that are
    free stay, or each part of a body that arrives would take fresh pages. With another allocator
    nothing.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_TRIM_THRESHOLD, _SPARE)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def room(size: int) -> bytearray:
    """Room for so many bytes, to be written over: what is in it is anything. None is taken before.

    Where it can the kernel then clears two megabytes at a time: page by page, of 4 KiB, that takes
    as long as all else that is done to a large body.
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
