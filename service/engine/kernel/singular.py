"""The singular values of an R factor, its columns measured in their own lengths.

With columns of unit norm they say what the rank is, whatever the params are measured in (Golub and
Van Loan, Matrix Computations, 4th ed., 5.3-5.5).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled
from service.engine.kernel.factors import EPSILON, all_finite, decompose, length, product
from service.engine.kernel.types import Floats


class Singular(NamedTuple):
    """What one thread works in, for an R of q columns."""

    scale: Floats
    """Lengths of R's columns, 1 for those of zero, (q,)."""
    scaled: Floats
    """R with columns of unit norm, its rows, (q, q)."""
    right: Floats
    """Qᵀ of the right side, (q + 1,)."""
    u: Floats
    """The left singular vectors as rows, (q, q),"""
    values: Floats
    """the singular values, which descend, (q,),"""
    v: Floats
    """and the right singular vectors as rows, (q, q)."""
    part: Floats
    """Coordinates of a vector along the left singular vectors, (q,)."""
    rest: Floats
    """What of a vector lies beyond some of them, (q,)."""


@allocating
def singular_room(q: int) -> Any:
    """Room for R factors of q columns."""
    return Singular(
        np.empty(q),
        np.empty((q, q)),
        np.empty(q + 1),
        np.empty((q, q)),
        np.empty(q),
        np.empty((q, q)),
        np.empty(q),
        np.empty(q),
    )


@compiled
def scale_columns(factor: Floats, room: Any) -> int:
    """Takes a factor [R c; 0 ρ] (q + 1, q + 1) apart into `scale`, `scaled` and `right` = (c, ρ);
    how many columns of R are zero."""
    q, zeros = len(room.scale), 0
    for j in range(q):
        column = room.right
        for i in range(j + 1):
            column[i] = factor[i, j]
        norm = length(column, j + 1)
        if norm == 0.0:
            norm = 1.0
            zeros += 1
        room.scale[j] = norm
        for i in range(j + 1):
            room.scaled[i, j] = column[i] / norm
        for i in range(j + 1, q):
            room.scaled[i, j] = 0.0
    for i in range(q + 1):
        room.right[i] = factor[i, q]
    return zeros


@compiled
def rank_of(scaled: Floats, q: int, rows: float, epsilon: float, room: Any) -> int:
    """Decomposes an R of columns of unit norm, of a matrix of `rows` rows; how many of its singular
    values are more than rounding."""
    decompose(scaled, q, room.u, room.values, room.v)
    rank = 0
    while rank < q and room.values[rank] > epsilon * max(rows, float(q)) * room.values[0]:
        rank += 1
    return rank


@compiled
def split(right: Floats, q: int, rank: int, room: Any) -> tuple[float, float]:
    """How much of a vector (q,) the first `rank` left singular vectors span, and how much they do
    not."""
    part, rest = room.part, room.rest
    for i in range(q):
        rest[i] = right[i]
    for k in range(rank):
        part[k] = product(room.u[k], right, q)
        for i in range(q):
            rest[i] -= part[k] * room.u[k, i]
    return length(part, rank), length(rest, q)


@compiled
def least_norm_of(factor: Floats, rows: float, room: Any, step: Floats) -> None:
    """The δ (q,) of least ‖Rδ + c‖ of a factor [R c; 0 ρ] (q + 1, q + 1), of a matrix of `rows`
    rows: of least norm in the columns' lengths where R is short of rank; NaN where the factor is
    not finite."""
    q = len(step)
    for j in range(q):
        step[j] = 0.0
    if not all_finite(factor):
        for j in range(q):
            step[j] = math.nan
        return
    scale_columns(factor, room)
    rank = rank_of(room.scaled, q, rows, EPSILON, room)
    for k in range(rank):
        along = product(room.u[k], room.right, q) / room.values[k]
        for j in range(q):
            step[j] -= along * room.v[k, j]
    for j in range(q):
        step[j] /= room.scale[j]


@allocating
def least_norm(factors: Floats, rows: Floats) -> Floats:
    """`least_norm_of` each factor (…, q + 1, q + 1): (…, q)."""
    q = factors.shape[1] - 1
    found, room = np.empty((len(factors), q)), singular_room(q)
    for n in range(len(factors)):
        least_norm_of(factors[n], rows[n], room, found[n])
    return found
