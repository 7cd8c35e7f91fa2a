"""What R factors of [J | ψ] tell of groups: which params the data determine, how far the minimum
is, which bounds are pulled at.

The singular values are computed only where R⁻¹ is large. Sources: Golub and Van Loan, Matrix
Computations, 4th ed., 5.5 (rank); Bates and Watts, Nonlinear Regression Analysis (1988), 2.2
(relative offset).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled
from service.engine.kernel.factors import (
    EPSILON,
    LANES,
    all_finite,
    invert_upper,
    length,
    pad,
    product,
    triangularise,
)
from service.engine.kernel.singular import rank_of, scale_columns, singular_room, split
from service.engine.kernel.types import Bools, Floats, Ints

DOUBTFUL = 1e6
"""A condition number above which the singular values themselves are looked at."""
INVOLVED = 0.1
"""A param whose part in a direction without data is larger is involved in it."""
NOTHING = 1e-14
"""A part of ψ that is relatively smaller is rounding."""


class Determined(NamedTuple):
    """Of groups with q free params each, the groups first."""

    inverse: Floats
    """R⁻¹, (groups, q, q); NaN where R has none."""
    products: Floats
    """(JᵀJ)⁻¹, (groups, q, q), symmetric to the last bit; NaN where R⁻¹ is."""
    finite: Bools
    """Whether R is, (groups,)."""
    condition: Floats
    """Of J with columns of unit norm, (groups,): up to `DOUBTFUL` a bound, at most q times as
    large; infinite where J is rank-deficient to the last bit."""
    lost: Bools
    """Which params trade off against each other, or act on nothing, (groups, q)."""
    flat: Bools
    """Which params the predictions do not depend on, there, (groups, q)."""
    held: Bools
    """Which params a bound keeps from a lower loss, (groups, q)."""
    offset: Floats
    """‖Qᵀψ‖/√q over ‖ψ − QQᵀψ‖/√(n − q) (Bates and Watts 2.10), over the params not held,
    (groups,); 0 where there are no more rows than params, or no pull."""
    pull: Floats
    """‖ψ‖: how hard the rows pull, (groups,)."""


def determined_of(groups: int, q: int) -> Determined:
    """Room for what `determine` finds."""
    return Determined(
        np.empty((groups, q, q)),
        np.empty((groups, q, q)),
        np.empty(groups, np.bool_),
        np.empty(groups),
        np.empty((groups, q), np.bool_),
        np.empty((groups, q), np.bool_),
        np.empty((groups, q), np.bool_),
        np.empty(groups),
        np.empty(groups),
    )


class Room(NamedTuple):
    """What one thread works in."""

    singular: Any
    """See `singular.Singular`."""
    columns: Floats
    """R's columns of the params that no bound holds, and c, (q + 1, rows up to `LANES` more),"""
    again: Floats
    """and the R of those, (q + 1, q + 1)."""


@allocating
def determination_room(q: int) -> Any:
    """Room for R factors of q free params."""
    return Room(singular_room(q), np.empty((q + 1, q + 1 + LANES)), np.empty((q + 1, q + 1)))


@allocating
def determine(
    factor: Floats, rows: Ints, theta: Floats, lower: Floats, upper: Floats, found: Any,
    groups: Ints, first: int, until: int,
) -> None:  # fmt: skip
    """Fills `found` of the groups `groups[first:until]`, from factors (groups, q + 1, q + 1) of so
    many rows (groups,), at θ (groups, q) within limits (q,), all of the free params alone."""
    room = determination_room(theta.shape[1])
    for n in range(first, until):
        g = groups[n]
        determine_one(factor[g], rows[g], theta[g], lower, upper, found, g, room)


@compiled
def determine_one(
    factor: Floats, rows: int, theta: Floats, lower: Floats, upper: Floats, found: Any, g: int,
    room: Any,
) -> None:  # fmt: skip
    """Fills `found` of group g, of which the other arguments are."""
    singular, q = room.singular, len(theta)
    zeros = scale_columns(factor, singular)
    right = singular.right
    found.pull[g] = length(right, q + 1)
    found.finite[g] = all_finite(factor)
    if not found.finite[g]:
        _unknown(found, g, q)
        return
    for j in range(q):
        found.lost[g, j], found.flat[g, j] = False, False
    inverse = found.inverse[g]
    invertible = zeros == 0 and invert_upper(singular.scaled, q, inverse)
    found.condition[g] = _size(inverse, q) if invertible else math.inf
    within, beyond = length(right, q), abs(right[q])
    if not found.condition[g] <= DOUBTFUL:
        rank = rank_of(singular.scaled, q, float(rows), EPSILON, singular)
        invertible = not _involved(found, g, q, rank, singular) and invertible
        within, across = split(right, q, rank, singular)
        beyond = math.hypot(beyond, across)
        last = singular.values[q - 1]
        is_known = last > 0.0 and rows >= q
        found.condition[g] = singular.values[0] / last if is_known else math.inf
    _invert(found, g, q, invertible, singular)
    offset = _offset(within, beyond, found.pull[g], rows, q)
    if _hold(found, g, theta, lower, upper, singular):
        offset = _offset_without(found.held[g], rows, found.pull[g], room)
    found.offset[g] = offset


@compiled
def _unknown(found: Any, g: int, q: int) -> None:
    """A group whose R is not finite."""
    found.condition[g] = math.inf if q else 1.0
    found.offset[g] = math.inf if q else 0.0
    for i in range(q):
        found.lost[g, i], found.flat[g, i], found.held[g, i] = True, False, False
        for j in range(q):
            found.inverse[g, i, j] = found.products[g, i, j] = math.nan


@compiled
def _size(inverse: Floats, q: int) -> float:
    """√q·‖R⁻¹‖ by Frobenius's norm, R's own being √q: between the condition number and q times
    it."""
    total = 0.0
    for i in range(q):
        total += product(inverse[i], inverse[i], q)
    return math.sqrt(q * total)


@compiled
def _involved(found: Any, g: int, q: int, rank: int, singular: Any) -> bool:
    """Marks the params that have a part in the directions from `rank` on, and those whose columns
    are zero; whether there are any of the first. A param's part is its largest in any of those
    directions, which no choice of a basis changes."""
    some = False
    for j in range(q):
        total = 0.0
        for k in range(rank, q):
            total += singular.v[k, j] ** 2
        found.lost[g, j] = total > INVOLVED**2
        some = some or found.lost[g, j]
        size = 0.0
        for i in range(j + 1):
            size += singular.scaled[i, j] ** 2
        found.flat[g, j] = size == 0.0
    return some


@compiled
def _invert(found: Any, g: int, q: int, invertible: bool, singular: Any) -> None:
    """R⁻¹ of that of R with scaled columns, and R⁻¹R⁻ᵀ; NaN where there is none."""
    inverse, products = found.inverse[g], found.products[g]
    for i in range(q):
        for j in range(q):
            inverse[i, j] = inverse[i, j] / singular.scale[i] if invertible else math.nan
    for i in range(q):
        for j in range(i + 1):
            products[i, j] = products[j, i] = product(inverse[i], inverse[j], q)


@compiled
def _hold(found: Any, g: int, theta: Floats, lower: Floats, upper: Floats, singular: Any) -> bool:
    """Marks the params at a bound beyond which the loss falls; whether there are any."""
    some = False
    for j in range(len(theta)):
        below, above = theta[j] <= lower[j], theta[j] >= upper[j]
        slope = 0.0
        if below or above:
            for i in range(j + 1):
                slope += singular.scaled[i, j] * singular.right[i]
        found.held[g, j] = (below and slope > 0.0) or (above and slope < 0.0)
        some = some or found.held[g, j]
    return some


@compiled
def _offset(within: float, beyond: float, pull: float, rows: int, q: int) -> float:
    """The relative offset by the lengths of ψ's parts in J's column space and across it, each as it
    stands in R: a difference of squares would leave half of the digits."""
    if rows <= q or q == 0 or pull == 0.0:
        return 0.0
    if beyond <= NOTHING * pull:
        return math.inf
    return (within / math.sqrt(q)) / (beyond / math.sqrt(rows - q))


@compiled
def _offset_without(held: Bools, rows: int, pull: float, room: Any) -> float:
    """The offset over the params that no bound holds."""
    singular, columns, again = room.singular, room.columns, room.again
    q, kept = len(held), 0
    for j in range(q):
        if not held[j]:
            for i in range(q):
                columns[kept, i] = singular.scaled[i, j]
            kept += 1
    for i in range(q):
        columns[kept, i] = singular.right[i]
    triangularise(columns, kept + 1, pad(columns, kept + 1, q), again)
    rank = rank_of(again, kept, float(max(rows, q)), EPSILON, singular)
    for i in range(kept + 1):
        columns[0, i] = again[i, kept]
    within, across = split(columns[0], kept, rank, singular)
    beyond = math.hypot(math.hypot(across, columns[0, kept]), singular.right[q])
    return _offset(within, beyond, pull, rows, kept)
