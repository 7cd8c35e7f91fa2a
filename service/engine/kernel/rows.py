"""Rows of data at given params: residuals, sums and the R factor of [J z], block by block.

z = (f(x; θ) − y)/σ, and for a likelihood that over √V(f): Pearson's residual. No more than a buffer
of rows is ever held, whatever their number: when it is full it is reduced to its R factor, and the
next rows are put below that (Golub and Van Loan, 5.2; Demmel et al., SIAM J. Sci. Comput. 34 (2012)
A206).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled, compiled_sums
from service.engine.kernel.evaluation import BLOCK, read_params, read_rows
from service.engine.kernel.factors import LANES, pad, triangularise
from service.engine.kernel.likelihoods import POISSON, deviance, deviances, standardise
from service.engine.kernel.losses import MAE, MSE, QUANTILE, psi, rho, rounded, weight
from service.engine.kernel.types import Floats, Ints

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


@allocating
def model_of(codes: Ints, constants: Floats, layout: Ints, loss: int, delta: float) -> Any:
    """A model, of a program as the operators take it (see `program.Program.tensors`)."""
    q = (len(layout) - 3) // 2
    return Model(codes, constants, layout[:2], layout[2 : 3 + q], layout[3 + q :], loss, delta)


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
    """What one thread reads rows with, and what the last reading left."""

    values: Floats
    """A block's values, (entries, BLOCK), of the data's dtype."""
    columns: Floats
    """Rows of [J z] as their columns, (q + 1, BUFFER and more)."""
    theta: Floats
    """(params,), of the data's dtype."""
    slope: Floats
    """Σψ·∂z/∂θ of the last reading, (q,), where the loss has a corner."""
    r: Floats
    """R of [J z] of the last reading, its rows, (q + 1, q + 1)."""
    seen: Ints
    """Of which rows the part of the block that depends on columns alone is: their first one."""


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
    if model.loss >= POISSON:
        predictions = values[model.outputs[0]]
        standardise(model.loss, predictions, data.target, at, count, columns, filled)


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
    """Reads the rows from `first` to `until` at the θ set by `settle`. Σρ (the deviance, of a
    likelihood), Σρ of the loss as it is
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
        elif model.loss >= POISSON:
            predictions = room.values[model.outputs[0]]
            total += deviances(model.loss, predictions, data.target, data.sigma, at, count)
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


@allocating
def linearise_spans(
    codes: Ints, constants: Floats, layout: Ints, loss: int, delta: float,
    columns: Floats, target: Floats, sigma: Floats, thetas: Floats, widths: Floats,
    of: Ints, spans: Ints, first: int, until: int, sums: Floats, r: Floats, slopes: Floats,
) -> None:  # fmt: skip
    """`linearise` of the spans (2, …) of rows from number `first` to `until`, each at the θ and the
    width of number `of[span]`: sums (spans, 3), r (spans, q + 1, q + 1) and slopes (spans, q)."""
    model = model_of(codes, constants, layout, loss, delta)
    data = Data(columns, target, sigma, spans[0], spans[1])
    room = room_for(model, data, thetas.shape[1])
    q = len(model.free)
    for n in range(first, until):
        room.seen[0] = -1
        settle(model, room, thetas[of[n]])
        found = linearise(model, data, room, spans[0, n], spans[1, n], widths[of[n]])
        sums[n, 0], sums[n, 1], sums[n, 2] = found
        for i in range(q + 1):
            for j in range(q + 1):
                r[n, i, j] = room.r[i, j]
        for j in range(q):
            slopes[n, j] = room.slope[j]


@allocating
def losses_at(
    codes: Ints, constants: Floats, layout: Ints, loss: int, delta: float, columns: Floats,
    target: Floats, sigma: Floats, exact: bool, thetas: Floats, first: int, until: int,
    found: Floats,
) -> None:  # fmt: skip
    """The loss of all rows at each of the params (points, params) from number `first` to `until`:
    found (points,). `exact` for a loss that has a corner."""
    model = model_of(codes, constants, layout, loss, delta)
    data = Data(columns, target, sigma, layout, layout)
    room, rows = room_for(model, data, thetas.shape[1]), len(target)
    for n in range(first, until):
        settle(model, room, thetas[n])
        sums = linearise(model, data, room, 0, rows, MEASURE)
        found[n] = (sums[1] if exact else sums[0]) / rows


@allocating
def read_points(
    codes: Ints, constants: Floats, layout: Ints, columns: Floats, thetas: Floats, first: int,
    until: int, found: Floats,
) -> None:  # fmt: skip
    """The outputs in the rows from `first` to `until` at each θ (points, params): found (outputs,
    points, rows)."""
    model = model_of(codes, constants, layout, 0, 1.0)
    none = np.empty(0, columns.dtype)
    room = room_for(model, Data(columns, none, none, layout, layout), thetas.shape[1])
    for n in range(len(thetas)):
        settle(model, room, thetas[n])
        at = first
        while at < until:
            count = min(BLOCK, until - at)
            first_row, second = model.sections[0], model.sections[1]
            read_rows(model.codes, first_row, second, columns, at, count, room.values)
            read_rows(model.codes, second, len(model.codes), columns, at, count, room.values)
            for k in range(len(model.outputs)):
                for i in range(count):
                    found[k, n, at + i] = room.values[model.outputs[k], i]
            at += count


@compiled
def constant_loss(loss: int, delta: float, data: Any, g: int, sample: int) -> float:
    """The loss of a group's weighted mean: what there is to explain; of a group of more than
    `sample` rows, in an even sample of them."""
    start, end = data.first[g], data.end[g]
    step = max(1, -(-(end - start) // sample))
    weights, total, count = 0.0, 0.0, 0
    for i in range(start, end, step):
        share = 1.0
        if len(data.sigma):
            share = 1.0 / np.float64(data.sigma[i]) ** 2
        weights += share
        total += share * data.target[i]
    mean, losses = total / weights, 0.0
    for i in range(start, end, step):
        count += 1
        if loss >= POISSON:
            spread = np.float64(data.sigma[i]) if len(data.sigma) else 1.0
            losses += deviance(loss, np.float64(data.target[i]), mean) / (spread * spread)
            continue
        z = mean - np.float64(data.target[i])
        if len(data.sigma):
            z /= data.sigma[i]
        losses += rho(loss, z, delta)
    return losses / count


@allocating
def constant_losses(
    loss: int, delta: float, columns: Floats, target: Floats, sigma: Floats, spans: Ints,
    sample: int,
) -> Floats:  # fmt: skip
    """`constant_loss` of each group."""
    data, found = Data(columns, target, sigma, spans[0], spans[1]), np.empty(spans.shape[1])
    for g in range(len(found)):
        found[g] = constant_loss(loss, delta, data, g, sample)
    return found
