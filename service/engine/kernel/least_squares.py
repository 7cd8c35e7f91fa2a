"""Linear least squares on groups of rows, each by itself, in one step.

With prediction f₀ + Jθ the answer minimises ‖(f₀ + Jθ − y)/σ‖. R of QR [J z] holds all that is
needed: its columns are scaled to unit norm, its singular values say what the rank is, and where
that is short the answer is the one of least norm in the scaled params (Golub and Van Loan, Matrix
Computations, 4th ed., 5.3-5.5). Then the answer is refined: the rows are read again there, and the
same singular values give a second step, which takes away the rounding of a far start. J is the same
numbers at all params, so R is the same too, its signs included; only Qᵀz is another.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled
from service.engine.kernel.factors import all_finite, copy, copy_matrix
from service.engine.kernel.marquardt import CONVERGED, DIVERGED
from service.engine.kernel.rows import linearise, room_for, settle
from service.engine.kernel.singular import least_norm, rank_of, scale_columns, singular_room
from service.engine.kernel.types import Floats, Ints

REFINEMENTS = 1
"""Steps after the first."""

FIRST_LOSS, LAST_LOSS = range(2)
"""Of a group, columns of `losses`: at the start and at the answer."""
EPOCH, REASON, RANK = range(3)
"""Of a group, columns of `counts`."""


class State(NamedTuple):
    """Where each group stands; P params, q of them free."""

    initial: Floats
    """(groups, P)"""
    theta: Floats
    """(groups, P): the answer."""
    factor: Floats
    """(groups, q + 1, q + 1): R of [J z] there, its rows."""
    gradient: Floats
    """(groups, q): ∂loss/∂θ at the start."""
    losses: Floats
    counts: Ints


class Rules(NamedTuple):
    """free (q,) are positions of params; `epsilon` is that of the dtype."""

    free: Ints
    epsilon: float


def state_of(initial: Floats, q: int) -> State:
    """The state of groups that set out from params (groups, P)."""
    groups = len(initial)
    return State(
        initial,
        initial.copy(),
        np.zeros((groups, q + 1, q + 1)),
        np.zeros((groups, q)),
        np.full((groups, 2), np.nan),
        np.zeros((groups, 3), np.int64),
    )


@allocating
def solve(
    model: Any, data: Any, rules: Any, state: Any, history: Any,
    groups: Ints, first: int, until: int,
) -> None:  # fmt: skip
    """The one epoch of each of the groups `groups[first:until]`."""
    room = room_for(model, data, state.initial.shape[1])
    singular = singular_room(len(rules.free))
    for n in range(first, until):
        solve_one(model, data, rules, state, groups[n], room, singular)
        _record(rules, state, history, groups[n])


@compiled
def solve_one(
    model: Any, data: Any, rules: Any, state: Any, g: int, room: Any, singular: Any
) -> None:
    """The answer of group g."""
    q, start, end = len(rules.free), data.first[g], data.end[g]
    rows, theta = float(end - start), state.theta[g]
    room.seen[0] = -1
    copy(state.initial[g], theta)
    loss = _loss_at(model, data, room, theta, start, end)
    state.losses[g, FIRST_LOSS] = loss
    _slope(room.r, rows, state.gradient[g])
    scale_columns(room.r, singular)
    finite = all_finite(room.r)
    rank = rank_of(singular.scaled, q, rows, rules.epsilon, singular) if finite else 0
    if q:
        for _ in range(1 + REFINEMENTS):
            _step(rules, room, singular, finite, rank, theta)
            loss = _loss_at(model, data, room, theta, start, end)
    state.losses[g, LAST_LOSS] = loss
    copy_matrix(room.r, state.factor[g])
    state.counts[g, EPOCH], state.counts[g, RANK] = 1, rank
    fine = math.isfinite(state.losses[g, FIRST_LOSS])
    state.counts[g, REASON] = CONVERGED if fine else DIVERGED


@compiled
def _loss_at(model: Any, data: Any, room: Any, theta: Floats, start: int, end: int) -> float:
    """The loss at θ; R of [J z] is then in `room.r`."""
    settle(model, room, theta)
    return linearise(model, data, room, start, end, 0.0)[0] / float(end - start)


@compiled
def _slope(r: Floats, rows: float, gradient: Floats) -> None:
    """∂loss/∂θ = 2Rᵀc/rows of a factor [R c]."""
    q = len(gradient)
    for j in range(q):
        total = 0.0
        for i in range(j + 1):
            total += r[i, j] * r[i, q]
        gradient[j] = 2.0 * total / rows


@compiled
def _step(rules: Any, room: Any, singular: Any, finite: bool, rank: int, theta: Floats) -> None:
    """Takes θ to the minimum, as R of [J z] there has it in `room.r`."""
    q, step = len(rules.free), room.step
    for i in range(q):
        singular.right[i] = room.r[i, q]
    least_norm(singular.right, q, rank, singular, step)
    for j in range(q):
        value = theta[rules.free[j]] + step[j] if finite else math.nan
        if rules.epsilon > 1e-10:
            value = float(np.float32(value))
        theta[rules.free[j]] = value


@compiled
def _record(rules: Any, state: Any, history: Any, g: int) -> None:
    """Keeps the epoch of group g, where it is asked for: see `marquardt.History`."""
    if history.rows.shape[1] == 0:
        return
    row, params = history.rows[g, history.count[g]], state.initial.shape[1]
    history.count[g] += 1
    row[0], row[1] = 1, state.losses[g, FIRST_LOSS]
    copy(state.theta[g], row[2 : 2 + params])
    row[2 + params :] = 0.0
    for j in range(len(rules.free)):
        row[2 + params + rules.free[j]] = state.gradient[g, j]
