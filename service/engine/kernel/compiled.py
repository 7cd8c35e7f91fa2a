"""How the kernel is compiled: one set of options, and signatures that are known beforehand.

Functions are compiled once, for float64 and float32, and kept on disk (see `cache`); nothing is
compiled for a request. `error_model="numpy"` divides by zero as IEEE 754 does; the GIL is released while
compiled code runs. A `compiled` function makes no array and hands none out, and so counts no
references to those it is given, which would cost as much as the arithmetic of a small fit; an
`allocating` one may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

from service.engine.kernel.cache import Cache

F = TypeVar("F", bound=Callable[..., Any])

SUMS = {"reassoc", "contract", "nsz"}
"""What LLVM may assume of a function that mostly sums over rows, whose terms may be added in
another order, always the same one on one kind of processor; NaN and infinities stay."""


def _made(function: F, **options: Any) -> F:
    made: Any = numba.njit(nogil=True, error_model="numpy", **options)(function)
    made._cache = Cache(function)
    return made  # type: ignore[no-any-return]


def compiled(function: F) -> F:
    """The function as machine code, by IEEE 754."""
    return _made(function, _nrt=False)


def compiled_sums(function: F) -> F:
    """The same, with its sums in an order that suits the processor."""
    return _made(function, _nrt=False, fastmath=SUMS)


def inlined(function: F) -> F:
    """The same as `compiled`, put in the place of its calls: where many arrays are handed over at
    every step, which costs as much as the arithmetic of a small fit."""
    return _made(function, _nrt=False, inline="always")


def allocating(function: F) -> F:
    """The same as `compiled` for a function that makes arrays."""
    return _made(function)
