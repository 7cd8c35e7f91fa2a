"""How the kernel is compiled: one set of options, and signatures that are known beforehand.

Functions are compiled once, for float64 and float32, and kept on disk (see `cache`); nothing is
compiled for a request. `error_model="numpy"` divides by zero as IEEE 754 does; the GIL is released
while compiled code runs. A `compiled` function makes no array and hands none out, and so counts no
references to those it is given, which would cost as much as the arithmetic of a small fit; an
`allocating` one may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core.ccallback import CFunc
from numba.extending import intrinsic

from service.engine.kernel import cache

F = TypeVar("F", bound=Callable[..., Any])

SUMS = {"reassoc", "contract", "nsz"}
"""What LLVM may assume of a function that mostly sums over rows, whose terms may be added in
another order, always the same one on one kind of processor; NaN and infinities stay."""


def _made(function: F, **options: Any) -> F:
    options["no_cfunc_wrapper"] = True
    made: Any = numba.njit(nogil=True, error_model="numpy", **options)(function)
    made._cache = cache.Cache(function)
    return made  # type: ignore[no-any-return]


def compiled(function: F) -> F:
    """The function as machine code, by IEEE 754."""
    return _made(function, _nrt=False)


def compiled_sums(function: F) -> F:
    """The same, with its sums in an order that suits the processor."""
    return _made(function, _nrt=False, fastmath=SUMS)


def allocating(function: F) -> F:
    """The same as `compiled` for a function that makes arrays."""
    return _made(function)


def inlined(function: F) -> F:
    """The same as `compiled` for a function that is to become part of its callers' loops. It is
    compiled with each of them, and so not kept itself."""
    options: dict[str, Any] = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    made: F = numba.njit(error_model="numpy", forceinline=True, **options)(function)
    return made


def written(generator: Callable[..., Any]) -> Any:
    """A function that is written in LLVM's language: by a generator that takes the types of the
    arguments, after numba's context, and gives the signature and what writes a call."""
    return intrinsic(generator)


def apart(function: Callable[..., None], name: str, signature: Any) -> None:
    """Has a function of pointers and numbers compiled by itself, for callers that know it by name
    alone (`named`): they don't hold its code, nor is it compiled again with each of them, and with
    theirs, and so on. That is done when the first of them is loaded or compiled."""

    def make() -> None:
        options: dict[str, Any] = {"error_model": "numpy", "_nrt": False}
        made: Any = CFunc(function, (signature.args, signature.return_type), {}, options)
        made._cache = cache.Cache(function)
        made.compile()
        llvmlite.binding.add_symbol(name, made.address)
        _APART.append(made)

    cache.absent[name] = make


def named(name: str) -> Callable[..., Any]:
    """What writes a call of a function by its name."""
    cache.need(name)

    def write(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        result = context.get_value_type(signature.return_type)
        nothing = signature.return_type == types.void
        kind = ir.FunctionType(ir.VoidType() if nothing else result, [a.type for a in arguments])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        value = builder.call(function, arguments)
        return context.get_dummy_value() if nothing else value

    return write


_APART: list[Any] = []
"""What is known by its name must not go."""
