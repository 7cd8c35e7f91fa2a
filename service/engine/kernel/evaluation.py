"""The tape read over blocks of rows: one loop over the entries, within it one over the rows.

A block's values stay in the processor's cache from one operation to the next (numexpr's way). What
has one value for all rows is computed once for given params, and written into a whole row of the
block; what depends on columns alone is computed once for a block.
"""

from __future__ import annotations

import math
from typing import Any

from numba import types

from service.engine.kernel import elementary
from service.engine.kernel.compiled import apart, compiled, inlined, named, written
from service.engine.kernel.program import NUMBERS
from service.engine.kernel.special import digamma, gamma, log_gamma, trigamma
from service.engine.kernel.types import Floats, Ints

BLOCK = 64
"""Rows that are read together."""
LANES = 8
"""The number of rows evaluated at once: a vector register of float64, and a whole number of
registers where they are shorter. It divides BLOCK."""

CONSTANT, COLUMN, PARAM = (NUMBERS[name] for name in ("constant", "column", "param"))
(
    ADD,
    SUBTRACT,
    MULTIPLY,
    CHAIN,
    DIVIDE,
    NEGATIVE,
    SQUARE,
    POWER,
    EXP,
    EXPM1,
    LOG,
    LOG1P,
    LOG10,
    LOG2,
    SQRT,
    ABS,
    SIGN,
    SIN,
    COS,
    TAN,
    ASIN,
    ACOS,
    ATAN,
    ATAN2,
    SINH,
    COSH,
    TANH,
    ASINH,
    ACOSH,
    ATANH,
    SIGMOID,
    SOFTPLUS,
    RELU,
    ERF,
    ERFC,
    GAMMA,
    LGAMMA,
    DIGAMMA,
    TRIGAMMA,
    MIN,
    MAX,
    CLIP,
    STEP,
    HALF_STEP,
    WHERE,
    LESS,
    LESS_EQUAL,
    GREATER,
    GREATER_EQUAL,
    EQUAL,
    NOT_EQUAL,
) = range(PARAM + 1, PARAM + 1 + len(NUMBERS) - 3)


@compiled
def smaller(x: float, y: float) -> float:
    """The smaller of two; NaN where either is."""
    return x if x < y or x != x else y


@compiled
def larger(x: float, y: float) -> float:
    """The larger of two; NaN where either is."""
    return x if x > y or x != x else y


@inlined
def whole(count: int) -> int:
    """`count`, rounded up to a multiple of LANES."""
    return (count + LANES - 1) // LANES * LANES


@compiled
def _call(code: int, x: Floats, y: Floats, out: Floats, count: int) -> None:
    """Operations that take one number at a time."""
    if code == LOG2:
        for i in range(count):
            out[i] = math.log2(x[i])
    elif code == ASIN:
        for i in range(count):
            out[i] = math.asin(x[i])
    elif code == ACOS:
        for i in range(count):
            out[i] = math.acos(x[i])
    elif code == ATAN:
        for i in range(count):
            out[i] = math.atan(x[i])
    elif code == ATAN2:
        for i in range(count):
            out[i] = math.atan2(x[i], y[i])
    elif code == ASINH:
        for i in range(count):
            out[i] = math.asinh(x[i])
    elif code == ACOSH:
        for i in range(count):
            out[i] = math.acosh(x[i])
    elif code == ATANH:
        for i in range(count):
            out[i] = math.atanh(x[i])
    elif code == ERF:
        for i in range(count):
            out[i] = math.erf(x[i])
    elif code == ERFC:
        for i in range(count):
            out[i] = math.erfc(x[i])
    elif code == GAMMA:
        for i in range(count):
            out[i] = gamma(x[i])
    elif code == LGAMMA:
        for i in range(count):
            out[i] = log_gamma(x[i])
    elif code == DIGAMMA:
        for i in range(count):
            out[i] = digamma(x[i])
    elif code == TRIGAMMA:
        for i in range(count):
            out[i] = trigamma(x[i])


def _operate(codes: Ints, values: Floats, first: int, until: int, count: int) -> None:
    """The operations among the entries from `first` to `until`, on the first `count` rows of a
    block and up to a whole number of LANES, so that no loop has a remainder that is too short for a
    vector register: the table of operations, as arithmetic. The rows beyond must be the last one,
    again; then they take no other way than it does."""
    n = whole(count)
    for k in range(first, until):
        code = codes[k, 0]
        if code <= PARAM:
            continue
        x, y, z = values[codes[k, 1]], values[codes[k, 2]], values[codes[k, 3]]
        out = values[k]
        if code == ADD:
            for i in range(n):
                out[i] = x[i] + y[i]
        elif code == SUBTRACT:
            for i in range(n):
                out[i] = x[i] - y[i]
        elif code == MULTIPLY:
            for i in range(n):
                out[i] = x[i] * y[i]
        elif code == CHAIN:
            for i in range(n):
                out[i] = 0.0 if (x[i] == 0.0) | (y[i] == 0.0) else x[i] * y[i]
        elif code == DIVIDE:
            for i in range(n):
                out[i] = x[i] / y[i]
        elif code == NEGATIVE:
            for i in range(n):
                out[i] = -x[i]
        elif code == SQUARE:
            for i in range(n):
                out[i] = x[i] * x[i]
        elif code == POWER:
            elementary.power_rows(x, y, out, n)
        elif code == EXP:
            for i in range(n):
                out[i] = elementary.exp(x[i])
        elif code == EXPM1:
            for i in range(n):
                out[i] = elementary.expm1(x[i])
        elif code == LOG:
            for i in range(n):
                out[i] = elementary.log(x[i])
        elif code == LOG1P:
            for i in range(n):
                out[i] = elementary.log1p(x[i])
        elif code == LOG10:
            for i in range(n):
                out[i] = elementary.log10(x[i])
        elif code == SQRT:
            for i in range(n):
                out[i] = math.sqrt(x[i])
        elif code == ABS:
            for i in range(n):
                out[i] = abs(x[i])
        elif code == SIGN:
            for i in range(n):
                out[i] = (1.0 if x[i] > 0.0 else 0.0) - (1.0 if x[i] < 0.0 else 0.0)
        elif code == SIN:
            elementary.sin_rows(x, out, n)
        elif code == COS:
            elementary.cos_rows(x, out, n)
        elif code == TAN:
            elementary.tan_rows(x, out, n)
        elif code == SINH:
            elementary.sinh_rows(x, out, n)
        elif code == COSH:
            elementary.cosh_rows(x, out, n)
        elif code == TANH:
            for i in range(n):
                out[i] = elementary.tanh(x[i])
        elif code == SIGMOID:
            for i in range(n):
                out[i] = elementary.sigmoid(x[i])
        elif code == SOFTPLUS:
            for i in range(n):
                out[i] = elementary.softplus(x[i])
        elif code == RELU:
            for i in range(n):
                out[i] = x[i] if not x[i] < 0.0 else 0.0
        elif code == MIN:
            for i in range(n):
                out[i] = smaller(x[i], y[i])
        elif code == MAX:
            for i in range(n):
                out[i] = larger(x[i], y[i])
        elif code == CLIP:
            for i in range(n):
                out[i] = smaller(larger(x[i], y[i]), z[i])
        elif code == STEP:
            for i in range(n):
                out[i] = 1.0 if x[i] >= 0.0 else 0.0
        elif code == HALF_STEP:
            for i in range(n):
                out[i] = 0.5 if x[i] == 0.0 else (1.0 if x[i] > 0.0 else 0.0)
        elif code == WHERE:
            for i in range(n):
                yes, no = y[i], z[i]
                out[i] = yes if x[i] != 0.0 else no
        elif code == LESS:
            for i in range(n):
                out[i] = 1.0 if x[i] < y[i] else 0.0
        elif code == LESS_EQUAL:
            for i in range(n):
                out[i] = 1.0 if x[i] <= y[i] else 0.0
        elif code == GREATER:
            for i in range(n):
                out[i] = 1.0 if x[i] > y[i] else 0.0
        elif code == GREATER_EQUAL:
            for i in range(n):
                out[i] = 1.0 if x[i] >= y[i] else 0.0
        elif code == EQUAL:
            for i in range(n):
                out[i] = 1.0 if x[i] == y[i] else 0.0
        elif code == NOT_EQUAL:
            for i in range(n):
                out[i] = 1.0 if x[i] != y[i] else 0.0
        else:
            _call(code, x, y, out, count)
            for i in range(count, n):
                out[i] = out[count - 1]


_ARRAYS = {kind: (types.int32[:, ::1], kind[:, ::1]) for kind in (types.float64, types.float32)}
for _kind, _arrays in _ARRAYS.items():
    apart(_operate, f"descent.operate.{_kind}", types.void(*_arrays, *[types.int64] * 3))


@written
def operate(typing: Any, codes: Any, values: Any, first: Any, until: Any, count: Any) -> Any:
    """`_operate`, on codes (entries, 4) of int32 and values (entries, BLOCK)."""
    name = f"descent.operate.{values.dtype}"
    return types.void(*_ARRAYS[values.dtype], *[types.int64] * 3), named(name)


@compiled
def read_params(codes: Ints, constants: Floats, until: int, theta: Floats, values: Floats) -> None:
    """The entries before `until`, which depend on no column, at θ (params,): each is written into
    all of its row of `values` (entries, BLOCK)."""
    for k in range(until):
        if codes[k, 0] == CONSTANT:
            values[k, :] = constants[codes[k, 1]]
        elif codes[k, 0] == PARAM:
            values[k, :] = theta[codes[k, 1]]
    operate(codes, values, 0, until, 1)
    for k in range(until):
        if codes[k, 0] > PARAM:
            values[k, :] = values[k, 0]


@compiled
def read_rows(
    codes: Ints, first: int, until: int, columns: Floats, at: int, count: int, values: Floats
) -> None:
    """The entries from `first` to `until` in the rows from `at` on, `count` of them, of columns
    (columns, rows). Up to a multiple of LANES the last row is repeated."""
    for k in range(first, until):
        if codes[k, 0] == COLUMN:
            column, row = columns[codes[k, 1]], values[k]
            for i in range(count):
                row[i] = column[at + i]
            for i in range(count, whole(count)):
                row[i] = row[count - 1]
    operate(codes, values, first, until, count)
