"""Rows of groups at θ, reduced to the few numbers that their statistics need.

Of QR [J | ψ], J = ∂z/∂θ over the q free params and ψ = ∂ρ/∂z, the R factor holds all that the
covariance, the distance to the minimum and the pull of the bounds are made of, and never squares a
condition number (Golub and Van Loan, Matrix Computations, 4th ed., 5.3).
"""

from __future__ import annotations

import math
from typing import Any

from service.engine.kernel.compiled import allocating, compiled, compiled_sums
from service.engine.kernel.evaluation import BLOCK
from service.engine.kernel.factors import copy_matrix, pad, triangularise
from service.engine.kernel.losses import MSE, psi
from service.engine.kernel.rows import (
    BUFFER,
    Data,
    fill,
    fold,
    model_of,
    room_for,
    settle,
    sum_of_squares,
)
from service.engine.kernel.types import Floats, Ints

SUMS = 4
TOTAL, SIZE, SPREAD, LOG_SIGMA = range(SUMS)
"""Of a group, columns of `sums`: Σz² (of a likelihood, Pearson's χ²); ‖y/σ‖, which the rounding of
z is relative to; Σ((y − ȳ)/σ)², ȳ the weighted mean; Σ ln σ."""


@allocating
def reduce_spans(
    codes: Ints, constants: Floats, layout: Ints, loss: int, delta: float,
    columns: Floats, target: Floats, sigma: Floats, thetas: Floats,
    of: Ints, spans: Ints, first: int, until: int, totals: Floats, r: Floats, z: Floats,
) -> None:  # fmt: skip
    """Reads the spans (2, …) of rows from number `first` to `until`, each at the θ of number
    `of[span]`: totals (spans,), R of QR [J | ψ] (spans, q + 1, q + 1), and z (rows,) as the data's
    rows lie; all of float64."""
    model = model_of(codes, constants, layout, loss, delta)
    data = Data(columns, target, sigma, spans[0], spans[1])
    room = room_for(model, data, thetas.shape[1])
    for n in range(first, until):
        room.seen[0] = -1
        settle(model, room, thetas[of[n]])
        totals[n] = reduce(model, data, room, z, spans[0, n], spans[1, n])
        copy_matrix(room.r, r[n])


@allocating
def reduce_targets(
    columns: Floats, target: Floats, sigma: Floats, spans: Ints, first: int, until: int,
    sums: Floats,
) -> None:  # fmt: skip
    """What the targets alone say of the groups from number `first` to `until`: see `TOTAL`."""
    data = Data(columns, target, sigma, spans[0], spans[1])
    for g in range(first, until):
        size, spread, logs = of_target(data, spans[0, g], spans[1, g])
        sums[g, SIZE], sums[g, SPREAD], sums[g, LOG_SIGMA] = size, spread, logs


@compiled
def reduce(model: Any, data: Any, room: Any, z: Floats, first: int, until: int) -> float:
    """Σz² of the rows from `first` to `until`, which are written into `z`; R of [J | ψ] is then in
    `room.r`."""
    q, columns = len(model.free), room.columns
    total, filled, at = 0.0, 0, first
    while at < until:
        count = min(BLOCK, until - at)
        fill(model, data, room, filled, at, count)
        last = columns[q]
        total += sum_of_squares(last, filled, count)
        for i in range(count):
            z[at + i] = last[filled + i]
        if model.loss == MSE:
            for i in range(filled, filled + count):
                last[i] *= 2.0
        else:
            for i in range(filled, filled + count):
                last[i] = psi(model.loss, last[i], model.delta)
        filled += count
        at += count
        if filled > BUFFER and at < until:
            filled = fold(room, q + 1, filled)
    triangularise(columns, q + 1, pad(columns, q + 1, filled), room.r)
    return total


@compiled
def of_target(data: Any, first: int, until: int) -> tuple[float, float, float]:
    """‖y/σ‖, Σ((y − ȳ)/σ)² and Σ ln σ. The mean is computed from the first target, so that a target
    that does not vary has a spread of 0."""
    y, sigma = data.target, data.sigma
    logs, about = 0.0, y[first]
    if len(sigma):
        for i in range(first, until):
            logs += math.log(sigma[i])
        weights, apart = _weighted_sums(y, sigma, first, until, about)
        size, spread = _weighted_squares(y, sigma, first, until, about + apart / weights)
    else:
        mean = about + _sum_apart(y, first, until, about) / (until - first)
        size, spread = _squares(y, first, until, mean)
    return math.sqrt(size), spread, logs


@compiled
def _sum_apart(y: Floats, first: int, until: int, about: float) -> float:
    total = 0.0
    for i in range(first, until):
        total += y[i] - about
    return total


@compiled_sums
def _squares(y: Floats, first: int, until: int, mean: float) -> tuple[float, float]:
    size, spread = 0.0, 0.0
    for i in range(first, until):
        apart = y[i] - mean
        size += y[i] * y[i]
        spread += apart * apart
    return size, spread


@compiled
def _weighted_sums(
    y: Floats, sigma: Floats, first: int, until: int, about: float
) -> tuple[float, float]:
    """Σ1/σ² and Σ(y − about)/σ²."""
    weights, total = 0.0, 0.0
    for i in range(first, until):
        weight = 1.0 / (sigma[i] * sigma[i])
        weights += weight
        total += weight * (y[i] - about)
    return weights, total


@compiled_sums
def _weighted_squares(
    y: Floats, sigma: Floats, first: int, until: int, mean: float
) -> tuple[float, float]:
    size, spread = 0.0, 0.0
    for i in range(first, until):
        weighed, apart = y[i] / sigma[i], (y[i] - mean) / sigma[i]
        size += weighed * weighed
        spread += apart * apart
    return size, spread
