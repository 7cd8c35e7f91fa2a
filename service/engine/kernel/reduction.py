"""Rows of groups at θ, reduced to the few numbers that their statistics need.

Of QR [J | ψ], J = ∂z/∂θ over the q free params and ψ = ∂ρ/∂z, the R factor holds all that the
covariance, the distance to the minimum and the pull of the bounds are made of, and never squares a
condition number (Golub and Van Loan, Matrix Computations, 4th ed., 5.3).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled, compiled_sums
from service.engine.kernel.evaluation import BLOCK
from service.engine.kernel.factors import copy_matrix, pad, triangularise
from service.engine.kernel.losses import MSE, psi
from service.engine.kernel.rows import BUFFER, fill, fold, room_for, settle, sum_of_squares
from service.engine.kernel.types import Floats, Ints


class Reduced(NamedTuple):
    """Groups of rows at their θ, float64."""

    factor: Floats
    """R of QR [J | ψ], its rows, (groups, q + 1, q + 1)."""
    total: Floats
    """Σz², (groups,)."""
    size: Floats
    """‖y/σ‖: what the rounding of z is relative to, (groups,)."""
    spread: Floats
    """Σ((y − ȳ)/σ)², ȳ the weighted mean, (groups,)."""
    log_sigma: Floats
    """Σ ln σ, (groups,)."""
    z: Floats
    """Residuals over σ, (rows,), as the data's rows lie."""


def reduced_of(groups: int, q: int, rows: int) -> Reduced:
    """Room for what `reduce` finds."""
    return Reduced(
        np.empty((groups, q + 1, q + 1)),
        np.empty(groups),
        np.empty(groups),
        np.empty(groups),
        np.empty(groups),
        np.empty(rows),
    )


@allocating
def reduce(
    model: Any, data: Any, theta: Floats, reduced: Any, groups: Ints, first: int, until: int
) -> None:
    """Fills `reduced` of the groups `groups[first:until]` at θ (groups, params); data of
    float64."""
    room = room_for(model, data, theta.shape[1])
    for n in range(first, until):
        reduce_one(model, data, theta[groups[n]], reduced, groups[n], room)


@compiled
def reduce_one(model: Any, data: Any, theta: Floats, reduced: Any, g: int, room: Any) -> None:
    """Fills `reduced` of group g at its θ (params,)."""
    first, until = data.first[g], data.end[g]
    room.seen[0] = -1
    settle(model, room, theta)
    reduced.total[g] = _read(model, data, room, reduced.z, first, until)
    copy_matrix(room.r, reduced.factor[g])
    size, spread, logs = _of_target(data, first, until)
    reduced.size[g], reduced.spread[g], reduced.log_sigma[g] = size, spread, logs


@compiled
def _read(model: Any, data: Any, room: Any, z: Floats, first: int, until: int) -> float:
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
def _of_target(data: Any, first: int, until: int) -> tuple[float, float, float]:
    """‖y/σ‖, Σ((y − ȳ)/σ)² and Σ ln σ. The mean is reckoned from the first target, so that a target
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
