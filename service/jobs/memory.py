"""Memory that is given back when it is no longer needed."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD = -3
_LARGE = 2**20


def give_back() -> None:
    """Has glibc return each block of a megabyte or more to the kernel as soon as it is freed; by
    default it learns to keep blocks of up to 32 MiB, and bodies and columns of that size leave the
    process hundreds of megabytes larger than what it holds. With another allocator nothing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
