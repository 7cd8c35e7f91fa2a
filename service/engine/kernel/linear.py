"""Linear least squares in one step, which is refined.

With prediction f₀ + Jθ the answer minimises ‖(f₀ + Jθ − y)/σ‖. R of QR [J z] holds all that is
needed; its columns are scaled to unit norm before the singular values say what the rank is, and
where it is short the answer is the one of least norm in those units (Golub and Van Loan, Matrix
Computations, 4th ed., 5.3-5.5). Then the residuals are read anew, and the step refined.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled
from service.engine.kernel.factors import copy_matrix
from service.engine.kernel.rows import Data, linearise, model_of, room_for, settle
from service.engine.kernel.singular import least_norm_of, singular_room
from service.engine.kernel.types import Floats, Ints

HEAD = 2
FIRST_LOSS, LOSS = range(HEAD)


Readings = tuple[Floats, Floats]
"""Σz² of fits (fits,) and their R of [J z] (fits, q + 1, q + 1)."""


class Parts(NamedTuple):
    """The table of fits, (fits, `width(params)`), taken apart: views."""

    first_loss: Floats
    """The mean of z² at the start, (fits,),"""
    loss: Floats
    """and at the answer."""
    gradient: Floats
    """∂loss/∂θ at the start, (fits, params)."""
    theta: Floats
    """The answer, (fits, params)."""


def width(params: int) -> int:
    """The columns of the table."""
    return HEAD + 2 * params


def parts(table: Floats) -> Parts:
    """The table taken apart."""
    middle = (HEAD + table.shape[1]) // 2
    return Parts(table[:, 0], table[:, 1], table[:, HEAD:middle], table[:, middle:])


@allocating
def solve(
    codes: Ints, constants: Floats, layout: Ints, columns: Floats, target: Floats, sigma: Floats,
    spans: Ints, initial: Floats, steps: int, first: int, until: int, table: Floats, r: Floats,
) -> None:  # fmt: skip
    """Fills the table and the factors R of [J z] (fits, q + 1, q + 1) of the fits from number
    `first` to `until`, of which each has the rows of a span (2, fits), from params (fits, params)
    by `steps` steps; params are of the data's dtype."""
    model = model_of(codes, constants, layout, 0, 1.0)
    data = Data(columns, target, sigma, spans[0], spans[1])
    room, q, params = room_for(model, data, initial.shape[1]), len(model.free), initial.shape[1]
    singular, step, theta = singular_room(q), np.empty(q), np.empty(params)
    for g in range(first, until):
        row, begin, end = table[g], spans[0, g], spans[1, g]
        rows = float(end - begin)
        room.seen[0] = -1
        theta[:] = initial[g]
        settle(model, room, theta)
        total = linearise(model, data, room, begin, end, 0.0)[0]
        _begin(total, room.r, rows, model.free, row)
        for _ in range(steps if q else 0):
            least_norm_of(room.r, rows, singular, step)
            for j in range(q):
                theta[model.free[j]] += step[j]
            settle(model, room, theta)
            theta[:] = room.theta
            total = linearise(model, data, room, begin, end, 0.0)[0]
        row[LOSS] = total / rows
        row[HEAD + params :] = theta
        copy_matrix(room.r, r[g])


@compiled
def _begin(total: float, r: Floats, rows: float, free: Ints, row: Floats) -> None:
    """What a row of the table has of the start."""
    q = len(free)
    row[FIRST_LOSS] = total / rows
    for i in range((len(row) - HEAD) // 2):
        row[HEAD + i] = 0.0
    for j in range(q):
        slope = 0.0
        for i in range(j + 1):
            slope += r[i, j] * r[i, q]
        row[HEAD + free[j]] = 2.0 * slope / rows


def fill(first: Readings, last: Readings, theta: Floats, rows: Floats, free: Ints) -> Floats:
    """The table of fits of `rows` rows (fits,) that were read elsewhere, Σz² (fits,) and R at the
    start and at the answer (fits, params)."""
    table, (totals, r) = np.zeros((len(theta), width(theta.shape[1]))), first
    slopes = np.einsum("gij,gi->gj", r[:, :-1, :-1], r[:, :-1, -1])
    table[:, FIRST_LOSS], table[:, LOSS] = totals / rows, last[0] / rows
    table[:, HEAD + free] = 2.0 * slopes / rows[:, None]
    table[:, HEAD + theta.shape[1] :] = theta
    return table
