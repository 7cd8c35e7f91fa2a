"""Numbers taken apart: what the language has no word for and the processor does in one step.

All are plain instructions of LLVM's, so that a loop over rows which holds them becomes one over
vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from service.engine.kernel.compiled import named, written

_TRIPLE, _, _FEATURES = cpu_target.target_context.codegen().magic_tuple()
FUSED = "+fma" in _FEATURES.split(",") or _TRIPLE.startswith(("aarch64", "arm64"))
"""Whether the processor has `fused`; where it has not, that is a slow function."""
_TERNARY = types.float64(types.float64, types.float64, types.float64)


def _bits(typing: Any, x: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), write


def _number(typing: Any, i: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), write


def _fused(typing: Any, x: Any, y: Any, z: Any) -> Any:
    return _TERNARY, named("llvm.fma.f64")


def _multiply_add(typing: Any, x: Any, y: Any, z: Any) -> Any:
    return _TERNARY, named("llvm.fmuladd.f64")


def _choose(typing: Any, condition: Any, x: Any, y: Any) -> Any:
    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return types.float64(types.boolean, types.float64, types.float64), write


bits: Callable[[float], int] = written(_bits)
"""A float64 as the integer of the same 64 bits."""
number: Callable[[int], float] = written(_number)
"""The float64 of those 64 bits."""
fused: Callable[[float, float, float], float] = written(_fused)
"""x·y + z, rounded once."""
multiply_add: Callable[[float, float, float], float] = written(_multiply_add)
"""x·y + z, rounded once or twice, whichever is faster."""
choose: Callable[[bool | np.bool_, float, float], float] = written(_choose)
"""Of a condition, x and y: x where it holds, else y, both of which are computed."""
