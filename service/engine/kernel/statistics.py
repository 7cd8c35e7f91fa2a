"""The statistics of fits, from their rows at θ: one set of formulas for one and for many.

With n rows, p free params and RSS = Σz²: s² = RSS/(n − p), or 1 where σ is absolute; covariance =
s²(JᵀJ)⁻¹; R² = 1 − RSS/Σ((y − ȳ)/σ)²; AIC as R has it for nls, σ² counted as a param where it is
not known. NaN stands for what cannot be had. Sources: Seber and Wild, Nonlinear Regression (1989),
ch. 2 and 5; R's logLik.nls and AIC.

Of each fit there is one row of a table (see `Parts`), so that one call gives all of it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel import residuals
from service.engine.kernel.compiled import allocating, compiled
from service.engine.kernel.determination import Determined, determination_room, determine_one
from service.engine.kernel.factors import copy_matrix, length
from service.engine.kernel.reduction import LOG_SIGMA, SIZE, SPREAD, SUMS, TOTAL, of_target, reduce
from service.engine.kernel.residuals import look
from service.engine.kernel.rows import Data, model_of, room_for, settle
from service.engine.kernel.types import Bools, Floats, Ints

ROUNDING = 1e-12
"""Residuals this small, next to the target, are rounding: the fit is at its minimum. A target that
varies by no more is constant."""

FIGURES = 8
VARIANCE, R_SQUARED, AIC, NOISE, OFFSET, CONDITION, PULL, FINITE = range(FIGURES)
"""Of a fit: RSS/(n − p); R²; AIC; s, or 1 where σ is absolute; and of `determination.Determined`
its offset, condition, pull and finite."""
LOST, FLAT, HELD = range(3)
"""Of a fit, rows of `flags`: see `determination.Determined`."""
LOOKED = FIGURES + SUMS
"""Where in a row of the table the look of the residuals begins,"""
HEAD = LOOKED + residuals.FIGURES
"""and where it ends."""
OPTIONS = 4
NAMED, LEAST_SQUARES, SMOOTH, ABSOLUTE = range(OPTIONS)
"""Whether the params have standard errors (else q is 0), the loss is least squares or smooth, and σ
absolute."""


class Parts(NamedTuple):
    """The table of fits with q free params each, (fits, `width(q)`), taken apart: views."""

    numbers: Floats
    """(fits, HEAD): the figures; the sums, see `reduction`; and the look of the residuals."""
    stderr: Floats
    """(fits, q)"""
    flags: Floats
    """(fits, 3, q), 0 or 1."""
    covariance: Floats
    """(fits, q, q)"""
    factor: Floats
    """R of QR [J | ψ], (fits, q + 1, q + 1)."""


def width(q: int) -> int:
    """The columns of the table."""
    return HEAD + 4 * q + q * q + (q + 1) * (q + 1)


def parts(table: Floats, q: int) -> Parts:
    """The table, or one row of it, taken apart."""
    lead, flags, square = table.shape[:-1], HEAD + q, HEAD + 4 * q
    factor = square + q * q
    return Parts(
        table[..., :HEAD],
        table[..., HEAD:flags],
        table[..., flags:square].reshape(*lead, 3, q),
        table[..., square:factor].reshape(*lead, q, q),
        table[..., factor:].reshape(*lead, q + 1, q + 1),
    )


class Room(NamedTuple):
    """What one thread works in, for q free params."""

    found: Any
    """See `determination.Determined`, of one fit."""
    determination: Any
    factor: Floats
    """(q + 1, q + 1)"""
    theta: Floats
    """The free params, (q,),"""
    limits: Floats
    """and their bounds, (2, q)."""


@allocating
def _room(q: int, free: Ints, limits: Floats) -> Any:
    found = Determined(
        np.empty((1, q, q)), np.empty((1, q, q)), np.empty(1, np.bool_), np.empty(1),
        np.empty((1, q), np.bool_), np.empty((1, q), np.bool_), np.empty((1, q), np.bool_),
        np.empty(1), np.empty(1),
    )  # fmt: skip
    room = Room(
        found, determination_room(q), np.empty((q + 1, q + 1)), np.empty(q), np.empty((2, q))
    )
    for j in range(q):
        room.limits[0, j], room.limits[1, j] = limits[0, free[j]], limits[1, free[j]]
    return room


@allocating
def assess(
    codes: Ints, constants: Floats, layout: Ints, loss: int, delta: float,
    columns: Floats, target: Floats, sigma: Floats, spans: Ints, thetas: Floats, limits: Floats,
    options: Bools, first: int, until: int, table: Floats, z: Floats,
) -> None:  # fmt: skip
    """Fills the table and z (rows,) of the fits from number `first` to `until`, of which each has
    the rows of a span (2, fits), at θ (fits, params) within limits (2, params)."""
    model = model_of(codes, constants, layout, loss, delta)
    data = Data(columns, target, sigma, spans[0], spans[1])
    reading, q = room_for(model, data, thetas.shape[1]), len(model.free)
    room = _room(q, model.free, limits)
    for g in range(first, until):
        row, begin, end = table[g], spans[0, g], spans[1, g]
        reading.seen[0] = -1
        settle(model, reading, thetas[g])
        row[FIGURES + TOTAL] = reduce(model, data, reading, z, begin, end)
        row[FIGURES + SIZE], row[FIGURES + SPREAD], row[FIGURES + LOG_SIGMA] = of_target(
            data, begin, end
        )
        _conclude(row, reading.r, thetas[g], model.free, q, end - begin, options, room)
        look(columns, target, z, begin, end, row[LOOKED:HEAD])


@allocating
def conclude(
    factors: Floats, sums: Floats, z: Floats, columns: Floats, target: Floats, spans: Ints,
    thetas: Floats, limits: Floats, free: Ints, count: int, options: Bools,
    first: int, until: int, table: Floats,
) -> None:  # fmt: skip
    """The same of rows that were reduced elsewhere, to factors (fits, q + 1, q + 1) and sums (fits,
    SUMS). `count` is how many params are free, of which the first q of `free` are in the factors:
    all of them, or none."""
    q = factors.shape[1] - 1
    room = _room(q, free, limits)
    for g in range(first, until):
        row, begin, end = table[g], spans[0, g], spans[1, g]
        for i in range(SUMS):
            row[FIGURES + i] = sums[g, i]
        _conclude(row, factors[g], thetas[g], free, count, end - begin, options, room)
        look(columns, target, z, begin, end, row[LOOKED:HEAD])


@compiled
def _conclude(
    row: Floats, factor: Floats, theta: Floats, free: Ints, count: int, rows: int, options: Bools,
    room: Any,
) -> None:  # fmt: skip
    """The figures, standard errors, flags, covariance and factor of a row that has its sums."""
    found, own, q = room.found, room.factor, len(room.theta)
    copy_matrix(factor, own)
    place = HEAD + 4 * q + q * q
    for i in range(q + 1):
        for j in range(q + 1):
            row[place + i * (q + 1) + j] = factor[i, j]
    if row[FIGURES + TOTAL] <= (ROUNDING * row[FIGURES + SIZE]) ** 2:
        for i in range(q + 1):
            own[i, q] = 0.0
    for j in range(q):
        room.theta[j] = theta[free[j]]
    determine_one(
        own, rows, room.theta, room.limits[0], room.limits[1], found, 0, room.determination
    )
    _fill(row, found, rows, count, options)
    _spread(row, found, q, options[LEAST_SQUARES] and options[NAMED])
    for j in range(q):
        row[HEAD + q + LOST * q + j] = 1.0 if found.lost[0, j] else 0.0
        row[HEAD + q + FLAT * q + j] = 1.0 if found.flat[0, j] else 0.0
        row[HEAD + q + HELD * q + j] = 1.0 if found.held[0, j] else 0.0


@compiled
def _fill(row: Floats, found: Any, n: int, q: int, options: Bools) -> None:
    total, spread, size = row[FIGURES + TOTAL], row[FIGURES + SPREAD], row[FIGURES + SIZE]
    degrees = n - q
    row[VARIANCE] = total / degrees if degrees > 0 else math.nan
    varies = spread > (ROUNDING * size) ** 2
    row[R_SQUARED] = 1.0 - total / spread if varies else math.nan
    row[NOISE] = 1.0 if options[ABSOLUTE] else math.sqrt(row[VARIANCE])
    row[AIC] = math.nan
    if options[LEAST_SQUARES] and options[NAMED]:
        logs = 2.0 * row[FIGURES + LOG_SIGMA]
        if options[ABSOLUTE]:
            row[AIC] = n * math.log(2.0 * math.pi) + total + logs + 2.0 * q
        else:
            each = math.log(2.0 * math.pi) + 1.0 - math.log(n) + math.log(total)
            row[AIC] = n * each + logs + 2.0 * (q + 1)
    offset = found.offset[0]
    if not options[SMOOTH]:
        offset = 0.0
    elif not options[LEAST_SQUARES] and options[NAMED] and total > 0.0 and found.pull[0] == 0.0:
        offset = math.inf
    row[OFFSET], row[CONDITION] = offset, found.condition[0]
    row[PULL], row[FINITE] = found.pull[0], 1.0 if found.finite[0] else 0.0


@compiled
def _spread(row: Floats, found: Any, q: int, known: bool) -> None:
    """s²(JᵀJ)⁻¹, and its roots as s·‖row of R⁻¹‖, which can be had where a variance would be too
    small for float64, too; the noise is NaN where there is none."""
    noise, place = row[NOISE] if known else math.nan, HEAD + 4 * q
    fine = True
    for i in range(q):
        for j in range(q):
            row[place + i * q + j] = found.products[0, i, j] * noise * noise
            fine = fine and math.isfinite(row[place + i * q + j])
        row[HEAD + i] = length(found.inverse[0, i], q) * noise
    if known and not fine:
        row[NOISE] = math.nan
        for i in range(q):
            row[HEAD + i] = math.nan
            for j in range(q):
                row[place + i * q + j] = math.nan


@allocating
def probes(
    theta: Floats, covariance: Floats, stderr: Floats, free: Ints, limits: Floats, far: float
) -> tuple[Floats, Bools]:
    """Params (1 + 2q, P): θ, and steps from it of `far` standard errors along each free param, the
    others following as the covariance says, up and then down; clipped to the limits (2, P). And
    which of the steps were (2q,)."""
    q, params = len(free), len(theta)
    points, clipped = np.empty((1 + 2 * q, params)), np.zeros(2 * q, np.bool_)
    for n in range(1 + 2 * q):
        points[n] = theta
    for way in range(2):
        for j in range(q):
            n = way * q + j
            for k in range(q):
                step = far * covariance[j, k] / stderr[j]
                i = free[k]
                wanted = theta[i] - step if way else theta[i] + step
                points[1 + n, i] = min(max(wanted, limits[0, i]), limits[1, i])
                clipped[n] = clipped[n] or points[1 + n, i] != wanted
    return points, clipped
