"""Rows of data at given params: residuals, sums and the R factor of [J z], block by block.

z = (f(x; θ) − y)/σ. No more than a buffer of rows is ever held, whatever their number: when it is
full it is reduced to its R factor, and the next rows are put below that (Golub and Van Loan, 5.2;
Demmel et al., SIAM J. Sci. Comput. 34 (2012) A206).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled, compiled_sums
from service.engine.kernel.evaluation import BLOCK, read_params, read_rows
from service.engine.kernel.factors import LANES, pad, triangularise
from service.engine.kernel.losses import MAE, MSE, QUANTILE, psi, rho, rounded, weight
from service.engine.kernel.types import Bools, Floats, Ints

BUFFER = 512
"""Rows of [J z] that are held beside the R factor so far."""
MEASURE = -1.0
"""In place of a width: only the sum of |z| is wanted, from which the first width is made."""


class Model(NamedTuple):
    """A program (see `program.Program`), its free params and the loss.

    `free` (q,) are positions of params; `outputs` (1 + q,) the places of f and of its slopes in
    them.
    """

    codes: Ints
    constants: Floats
    sections: Ints
    outputs: Ints
    free: Ints
    loss: int
    delta: float


class Data(NamedTuple):
    """Columns (inputs, rows), target and sigma (rows,), all of one dtype; sigma is empty where it
    is 1 everywhere. A group's rows lie together, from `first` to before `end` (groups,); groups may
    share rows."""

    columns: Floats
    target: Floats
    sigma: Floats
    first: Ints
    end: Ints


class Room(NamedTuple):
    """What one thread works in: a block's values (entries, BLOCK), rows of [J z] as their columns
    (q + 1, BUFFER + …), the θ of the data's dtype, and the sums of the last reading: Σρ, Σρ of the
    loss as it is, Σ|z|, and Σψ·∂z/∂θ (q,)."""

    values: Floats
    columns: Floats
    theta: Floats
    slope: Floats
    r: Floats
    """R of [J z] of the last reading, its rows, (q + 1, q + 1)."""
    seen: Ints
    """Of which rows the part of the block that depends on columns alone is: their first one."""
    held: Floats
    """Of a reading that is put aside: the loss, Σρ and Σρ of the loss as it is;"""
    kept: Floats
    """its R, its rows;"""
    gradient: Floats
    """its Σψ·∂z/∂θ,"""
    trial: Floats
    """and its params."""
    stacked: Floats
    """A trial step's own least squares, as its columns,"""
    own: Floats
    """its R, and"""
    step: Floats
    """its solution;"""
    factor: Floats
    """an R (q + 1, q + 1),"""
    inverse: Floats
    """the inverse of one,"""
    scale: Floats
    """lengths of columns,"""
    mask: Bools
    """and params that are held, (q,)."""


@allocating
def room_for(model: Any, data: Any, params: int) -> Any:
    """Room for one thread's work on that model."""
    q = len(model.free)
    like = data.target
    seen = np.empty(1, np.int64)
    seen[0] = -1
    return Room(
        np.empty((len(model.codes), BLOCK), like.dtype),
        np.empty((q + 1, q + 1 + BUFFER + BLOCK + LANES)),
        np.empty(params, like.dtype),
        np.empty(q),
        np.empty((q + 1, q + 1)),
        seen,
        np.empty(3),
        np.empty((q + 1, q + 1)),
        np.empty(q),
        np.empty(params),
        np.empty((q + 1, 2 * q + 2 * LANES)),
        np.empty((q + 1, q + 1)),
        np.empty(q),
        np.empty((q + 1, q + 1)),
        np.empty((q, q)),
        np.empty(q),
        np.empty(q, np.bool_),
    )


@compiled
def settle(model: Any, room: Any, theta: Floats) -> None:
    """Sets θ (params,) for the readings that follow."""
    for i in range(len(room.theta)):
        room.theta[i] = theta[i]
    read_params(model.codes, model.constants, model.sections[0], room.theta, room.values)


@compiled
def read_block(model: Any, data: Any, room: Any, at: int, count: int) -> None:
    """The block of rows from `at` on; what depends on columns alone only where it is another."""
    first, second = model.sections[0], model.sections[1]
    if room.seen[0] != at:
        read_rows(model.codes, first, second, data.columns, at, count, room.values)
        room.seen[0] = at
    read_rows(model.codes, second, len(model.codes), data.columns, at, count, room.values)


@compiled
def fill(model: Any, data: Any, room: Any, filled: int, at: int, count: int) -> None:
    """Puts [J z] of the `count` rows from `at` on below the rows that are held already."""
    columns, values, q = room.columns, room.values, len(model.free)
    read_block(model, data, room, at, count)
    place = model.outputs[0]
    for i in range(count):
        columns[q, filled + i] = values[place, i] - data.target[at + i]
    for j in range(q):
        place = model.outputs[1 + j]
        for i in range(count):
            columns[j, filled + i] = values[place, i]
    if len(data.sigma):
        for j in range(q + 1):
            for i in range(count):
                columns[j, filled + i] /= data.sigma[at + i]


@compiled
def fold(room: Any, width: int, filled: int) -> int:
    """Reduces the rows that are held to their R, which takes their place; how many there are
    then."""
    triangularise(room.columns, width, pad(room.columns, width, filled), room.r)
    for j in range(width):
        for i in range(width):
            room.columns[j, i] = room.r[i, j]
    return width


@compiled
def linearise(
    model: Any, data: Any, room: Any, first: int, until: int, width: float
) -> tuple[float, float, float]:
    """Reads the rows from `first` to `until` at the θ set by `settle`. Σρ, Σρ of the loss as it is
    where it has a corner that is rounded, and Σ|z|; R of [J z] is then in
    `room.r`, J and z carrying the square roots of the loss's weights."""
    q = len(model.free)
    columns = room.columns
    total, exact, sizes = 0.0, 0.0, 0.0
    filled = 0
    room.slope[:] = 0.0
    at = first
    while at < until:
        count = min(BLOCK, until - at)
        fill(model, data, room, filled, at, count)
        if model.loss == MSE:
            total += sum_of_squares(columns[q], filled, count)
        else:
            parts = _weigh(model, room, filled, count, width)
            total += parts[0]
            exact += parts[1]
            sizes += parts[2]
        filled += count
        at += count
        if filled > BUFFER and at < until:
            filled = fold(room, q + 1, filled)
    if width != MEASURE:
        triangularise(columns, q + 1, pad(columns, q + 1, filled), room.r)
    return total, exact, sizes


@compiled_sums
def sum_of_squares(vector: Floats, first: int, count: int) -> float:
    """Σv² of the `count` numbers from `first` on."""
    total = 0.0
    for i in range(first, first + count):
        total += vector[i] * vector[i]
    return total


@compiled
def _weigh(
    model: Any, room: Any, filled: int, count: int, width: float
) -> tuple[float, float, float]:
    """Multiplies rows of [J z] by the square roots of their weights; the block's sums."""
    q, columns = len(model.free), room.columns
    total, exact, sizes = 0.0, 0.0, 0.0
    cornered = model.loss == MAE or model.loss == QUANTILE
    for i in range(filled, filled + count):
        z = columns[q, i]
        value = rho(model.loss, z, model.delta)
        if cornered:
            exact += value
            sizes += abs(z)
            pull = psi(model.loss, z, model.delta)
            for j in range(q):
                # An exact 0 outweighs an infinity, as in the chain rule.
                room.slope[j] += pull * columns[j, i] if pull != 0.0 else 0.0
            if width == MEASURE:
                continue
            value, share = rounded(model.loss, z, model.delta, width)
        else:
            share = weight(model.loss, z, model.delta)
        total += value
        root = math.sqrt(share)
        for j in range(q + 1):
            columns[j, i] *= root
    return total, exact, sizes
