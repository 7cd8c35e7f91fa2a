"""The tape read over blocks of rows: one loop over the entries, within it one over the rows.

A block's values stay in the processor's cache from one operation to the next (numexpr's way). What
has one value for all rows is computed once for given params, and written into a whole row of the
block; what depends on columns alone is computed once for a block.
"""

from __future__ import annotations

import math

from service.engine.kernel.compiled import compiled
from service.engine.kernel.program import NUMBERS
from service.engine.kernel.special import (
    digamma,
    gamma,
    log_gamma,
    power_by_exponent,
    sigmoid,
    softplus,
    trigamma,
)
from service.engine.kernel.types import Floats, Ints

BLOCK = 64
"""Rows that are read together."""

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
    POWER_BY_EXPONENT,
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


@compiled
def read_params(codes: Ints, constants: Floats, until: int, theta: Floats, values: Floats) -> None:
    """The entries before `until`, which depend on no column, at θ (params,): each is written into
    all of its row of `values` (entries, BLOCK)."""
    for k in range(until):
        if codes[k, 0] == CONSTANT:
            values[k, 0] = constants[codes[k, 1]]
        elif codes[k, 0] == PARAM:
            values[k, 0] = theta[codes[k, 1]]
        else:
            operate(codes, k, 1, values)
        value = values[k, 0]
        for i in range(1, BLOCK):
            values[k, i] = value


@compiled
def read_rows(
    codes: Ints, first: int, until: int, columns: Floats, at: int, count: int, values: Floats
) -> None:
    """The entries from `first` to `until` in the rows from `at` on, `count` of them, of columns
    (columns, rows)."""
    for k in range(first, until):
        if codes[k, 0] == COLUMN:
            column = codes[k, 1]
            for i in range(count):
                values[k, i] = columns[column, at + i]
        else:
            operate(codes, k, count, values)


@compiled
def operate(codes: Ints, k: int, n: int, values: Floats) -> None:
    """Operation `k` on the first n rows of a block: the table of operations, as arithmetic."""
    code, a, b, c = codes[k, 0], codes[k, 1], codes[k, 2], codes[k, 3]
    if code == ADD:
        for i in range(n):
            values[k, i] = values[a, i] + values[b, i]
    elif code == SUBTRACT:
        for i in range(n):
            values[k, i] = values[a, i] - values[b, i]
    elif code == MULTIPLY:
        for i in range(n):
            values[k, i] = values[a, i] * values[b, i]
    elif code == CHAIN:
        for i in range(n):
            values[k, i] = (
                0.0
                if (values[a, i] == 0.0) | (values[b, i] == 0.0)
                else values[a, i] * values[b, i]
            )
    elif code == DIVIDE:
        for i in range(n):
            values[k, i] = values[a, i] / values[b, i]
    elif code == NEGATIVE:
        for i in range(n):
            values[k, i] = -values[a, i]
    elif code == SQUARE:
        for i in range(n):
            values[k, i] = values[a, i] * values[a, i]
    elif code == POWER:
        for i in range(n):
            values[k, i] = values[a, i] ** values[b, i]
    elif code == POWER_BY_EXPONENT:
        for i in range(n):
            values[k, i] = power_by_exponent(values[a, i], values[b, i])
    elif code == EXP:
        for i in range(n):
            values[k, i] = math.exp(values[a, i])
    elif code == EXPM1:
        for i in range(n):
            values[k, i] = math.expm1(values[a, i])
    elif code == LOG:
        for i in range(n):
            values[k, i] = math.log(values[a, i])
    elif code == LOG1P:
        for i in range(n):
            values[k, i] = math.log1p(values[a, i])
    elif code == LOG10:
        for i in range(n):
            values[k, i] = math.log10(values[a, i])
    elif code == LOG2:
        for i in range(n):
            values[k, i] = math.log2(values[a, i])
    elif code == SQRT:
        for i in range(n):
            values[k, i] = math.sqrt(values[a, i])
    elif code == ABS:
        for i in range(n):
            values[k, i] = abs(values[a, i])
    elif code == SIGN:
        for i in range(n):
            values[k, i] = (1.0 if values[a, i] > 0.0 else 0.0) - (
                1.0 if values[a, i] < 0.0 else 0.0
            )
    elif code == SIN:
        for i in range(n):
            values[k, i] = math.sin(values[a, i])
    elif code == COS:
        for i in range(n):
            values[k, i] = math.cos(values[a, i])
    elif code == TAN:
        for i in range(n):
            values[k, i] = math.tan(values[a, i])
    elif code == ASIN:
        for i in range(n):
            values[k, i] = math.asin(values[a, i])
    elif code == ACOS:
        for i in range(n):
            values[k, i] = math.acos(values[a, i])
    elif code == ATAN:
        for i in range(n):
            values[k, i] = math.atan(values[a, i])
    elif code == ATAN2:
        for i in range(n):
            values[k, i] = math.atan2(values[a, i], values[b, i])
    elif code == SINH:
        for i in range(n):
            values[k, i] = math.sinh(values[a, i])
    elif code == COSH:
        for i in range(n):
            values[k, i] = math.cosh(values[a, i])
    elif code == TANH:
        for i in range(n):
            values[k, i] = math.tanh(values[a, i])
    elif code == ASINH:
        for i in range(n):
            values[k, i] = math.asinh(values[a, i])
    elif code == ACOSH:
        for i in range(n):
            values[k, i] = math.acosh(values[a, i])
    elif code == ATANH:
        for i in range(n):
            values[k, i] = math.atanh(values[a, i])
    elif code == SIGMOID:
        for i in range(n):
            values[k, i] = sigmoid(values[a, i])
    elif code == SOFTPLUS:
        for i in range(n):
            values[k, i] = softplus(values[a, i])
    elif code == RELU:
        for i in range(n):
            values[k, i] = values[a, i] if not values[a, i] < 0.0 else 0.0
    elif code == ERF:
        for i in range(n):
            values[k, i] = math.erf(values[a, i])
    elif code == ERFC:
        for i in range(n):
            values[k, i] = math.erfc(values[a, i])
    elif code == GAMMA:
        for i in range(n):
            values[k, i] = gamma(values[a, i])
    elif code == LGAMMA:
        for i in range(n):
            values[k, i] = log_gamma(values[a, i])
    elif code == DIGAMMA:
        for i in range(n):
            values[k, i] = digamma(values[a, i])
    elif code == TRIGAMMA:
        for i in range(n):
            values[k, i] = trigamma(values[a, i])
    elif code == MIN:
        for i in range(n):
            values[k, i] = smaller(values[a, i], values[b, i])
    elif code == MAX:
        for i in range(n):
            values[k, i] = larger(values[a, i], values[b, i])
    elif code == CLIP:
        for i in range(n):
            values[k, i] = smaller(larger(values[a, i], values[b, i]), values[c, i])
    elif code == STEP:
        for i in range(n):
            values[k, i] = 1.0 if values[a, i] >= 0.0 else 0.0
    elif code == HALF_STEP:
        for i in range(n):
            values[k, i] = 1.0 if values[a, i] > 0.0 else (0.5 if values[a, i] == 0.0 else 0.0)
    elif code == WHERE:
        for i in range(n):
            values[k, i] = values[b, i] if values[a, i] != 0.0 else values[c, i]
    elif code == LESS:
        for i in range(n):
            values[k, i] = 1.0 if values[a, i] < values[b, i] else 0.0
    elif code == LESS_EQUAL:
        for i in range(n):
            values[k, i] = 1.0 if values[a, i] <= values[b, i] else 0.0
    elif code == GREATER:
        for i in range(n):
            values[k, i] = 1.0 if values[a, i] > values[b, i] else 0.0
    elif code == GREATER_EQUAL:
        for i in range(n):
            values[k, i] = 1.0 if values[a, i] >= values[b, i] else 0.0
    elif code == EQUAL:
        for i in range(n):
            values[k, i] = 1.0 if values[a, i] == values[b, i] else 0.0
    elif code == NOT_EQUAL:
        for i in range(n):
            values[k, i] = 1.0 if values[a, i] != values[b, i] else 0.0
