"""First-order descent on groups of rows, each by itself: the whole loop.

An epoch reads the loss and its gradient over all rows of a group, and then makes one update of the
params, or one for each mini-batch; each ends at the nearest params within their bounds. A state is
all that a group needs to go on: in how many calls its epochs are done changes no bit.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled, inlined
from service.engine.kernel.evaluation import larger, smaller
from service.engine.kernel.factors import copy
from service.engine.kernel.gradient import gradient_room, read_batch, read_gradient
from service.engine.kernel.marquardt_state import CONVERGED, DIVERGED, MAX_EPOCHS, RUNNING, History
from service.engine.kernel.rows import Data, model_of
from service.engine.kernel.types import Floats, Ints
from service.engine.kernel.updates import Update, move, update_from

EXPLOSION = 1e12
"""A loss that grows by this factor over the first has diverged."""
SMALLEST = 5e-324
"""A first loss counts as no smaller than this."""

FIRST_LOSS, BEST_LOSS, LAST_LOSS = range(3)
"""Of a group, columns of `losses`: at the start, the lowest, and that of the last epoch before its
update."""
EPOCH, REASON, BEST_EPOCH, UPDATES = range(4)
"""Of a group, columns of `counts`: epochs done; how it stands (RUNNING to MAX_EPOCHS of
`marquardt`); the epoch before whose update the loss was lowest; updates made."""


class State(NamedTuple):
    """Where each group stands: all that it needs to go on. P params, q of them free; of the dtype
    of the data where no other is named."""

    theta: Floats
    """(groups, P)"""
    sums: Floats
    """(groups, 3, q): the running sums of the update rule."""
    first: Floats
    """(groups, q): the gradient of the first epoch."""
    best: Floats
    """(groups, P): the params of the lowest loss."""
    losses: Floats
    """(groups, 3) float64"""
    counts: Ints
    """(groups, 4) int64"""


class Rules(NamedTuple):
    """What is asked of a descent. lower and upper (P,), of the dtype of the data; `batch` rows make
    a mini-batch, 0 for all at once, as where a group has no more; tolerances of 0 are off."""

    update: Update
    lower: Floats
    upper: Floats
    epochs: int
    batch: int
    stop_on_divergence: bool
    loss_tolerance: float
    params_tolerance: float
    gradient_tolerance: float


class Plan(NamedTuple):
    """What one call of `fit` is to do: epochs `after` + 1, `after` + 2, …

    rates (epochs,): the learning rate of each. orders (epochs, rows of the data) int64: in the
    columns of a group's rows the order in which they come in that epoch's mini-batches, counted
    from the group's first row; (0, 0) without mini-batches. Of a group's epochs the first, the last
    and those divisible by `every` are recorded.
    """

    after: int
    rates: Floats
    orders: Ints
    every: int


class Work(NamedTuple):
    """What one thread works in, beside the room for its readings: the gradient of the epoch and
    that of a mini-batch (q,), and the params before the epoch's updates (P,)."""

    gradient: Floats
    part: Floats
    before: Floats


@compiled
def _steepest(gradient: Floats) -> float:
    """The largest |gradient|; NaN where one is."""
    most = 0.0
    for j in range(len(gradient)):
        most = larger(most, abs(np.float64(gradient[j])))
    return most


@compiled
def _moved_little(before: Floats, theta: Floats, tolerance: float) -> bool:
    """‖Δθ‖ ≤ tolerance·‖θ‖."""
    moved, size = 0.0, 0.0
    for i in range(len(theta)):
        moved += np.float64(theta[i] - before[i]) ** 2
        size += np.float64(before[i]) ** 2
    return math.sqrt(moved) <= tolerance * math.sqrt(size)


@inlined
def _is_converged(rules: Any, state: Any, g: int, loss: float, last: float, work: Any) -> bool:
    """Whether one tolerance that is on is met by an epoch of that loss, `last` being that of the
    epoch before."""
    if rules.loss_tolerance != 0.0 and abs(last - loss) <= rules.loss_tolerance * abs(last):
        return True
    if rules.params_tolerance != 0.0 and _moved_little(
        work.before, state.theta[g], rules.params_tolerance
    ):
        return True
    if rules.gradient_tolerance == 0.0:
        return False
    limit = rules.gradient_tolerance * _steepest(state.first[g])
    return bool(_steepest(work.gradient) <= limit)


@inlined
def _reason(rules: Any, state: Any, g: int, loss: float, last: float, work: Any) -> int:
    """How the group stands after that epoch."""
    first = state.losses[g, FIRST_LOSS]
    least = SMALLEST if first < SMALLEST else first
    if not math.isfinite(loss) or loss > EXPLOSION * least:
        if rules.stop_on_divergence:
            return DIVERGED
    elif _is_converged(rules, state, g, loss, last, work):
        return CONVERGED
    return MAX_EPOCHS if state.counts[g, EPOCH] >= rules.epochs else RUNNING


@inlined
def _update(model: Any, rules: Any, state: Any, g: int, gradient: Floats, rate: float) -> None:
    """One update, ended at the nearest params within their bounds."""
    theta, counts = state.theta[g], state.counts[g]
    move(rules.update, theta, model.free, gradient, state.sums[g], counts[UPDATES], rate)
    counts[UPDATES] += 1
    for j in range(len(model.free)):
        i = model.free[j]
        theta[i] = smaller(larger(theta[i], rules.lower[i]), rules.upper[i])


@inlined
def _record(state: Any, history: Any, every: int, g: int, free: Ints, gradient: Floats) -> None:
    """Keeps the last epoch of a group, if it is one of those to be kept."""
    epoch = state.counts[g, EPOCH]
    over = state.counts[g, REASON] != RUNNING
    if history.rows.shape[1] > 0 and (epoch == 1 or over or epoch % every == 0):
        row = history.rows[g, history.counts[g]]
        history.counts[g] += 1
        params = state.theta.shape[1]
        row[0], row[1] = epoch, state.losses[g, LAST_LOSS]
        copy(state.theta[g], row[2 : 2 + params])
        row[2 + params :] = 0.0
        for j in range(len(free)):
            row[2 + params + free[j]] = gradient[j]


@compiled
def _descend(
    model: Any, data: Any, rules: Any, state: Any, history: Any, plan: Any, g: int,
    room: Any, work: Any,
) -> None:  # fmt: skip
    """The planned epochs of one group."""
    first, end = data.first[g], data.end[g]
    theta, losses, counts = state.theta[g], state.losses[g], state.counts[g]
    whole = rules.batch == 0 or rules.batch >= end - first
    room.seen[0] = -1
    at = counts[EPOCH] - plan.after
    while counts[REASON] == RUNNING and 0 <= at < len(plan.rates):
        copy(theta, work.before)
        loss = read_gradient(model, data, room, theta, first, end, work.gradient)
        counts[EPOCH] += 1
        if counts[EPOCH] == 1:
            losses[FIRST_LOSS] = losses[BEST_LOSS] = loss
            copy(work.gradient, state.first[g])
        if loss < losses[BEST_LOSS]:
            losses[BEST_LOSS], counts[BEST_EPOCH] = loss, counts[EPOCH]
            copy(theta, state.best[g])
        if whole:
            _update(model, rules, state, g, work.gradient, plan.rates[at])
        else:
            order = plan.orders[at, first:end]
            for start in range(0, len(order), rules.batch):
                rows = order[start : start + rules.batch]
                read_batch(model, data, room, theta, first, rows, work.part)
                _update(model, rules, state, g, work.part, plan.rates[at])
        last = losses[LAST_LOSS]
        losses[LAST_LOSS] = loss
        counts[REASON] = _reason(rules, state, g, loss, last, work)
        _record(state, history, plan.every, g, model.free, work.gradient)
        at += 1


@allocating
def fit(
    codes: Ints, constants: Floats, layout: Ints, loss: int, delta: float,
    columns: Floats, target: Floats, sigma: Floats, spans: Ints,
    limits: Floats, options: Floats, tolerances: Floats, most: int, batch: int, stop: bool,
    theta: Floats, sums: Floats, start: Floats, best: Floats, losses: Floats, counts: Ints,
    table: Floats, recorded: Ints, after: int, rates: Floats, orders: Ints, every: int,
    first: int, until: int,
) -> None:  # fmt: skip
    """The planned epochs (see `Plan`) of each of the groups from number `first` to `until`: a group
    takes up where it stands (which is not before the plan's first epoch), and does no more once it
    has ended. limits (2, P); `options` are those of `updates.Update`, in its order. The state (see
    `State`) changes in place; `recorded` rows are in the table (see `marquardt.History`), which has
    room for all that is to be recorded, or for nothing."""
    model = model_of(codes, constants, layout, loss, delta)
    data = Data(columns, target, sigma, spans[0], spans[1])
    rules = Rules(
        update_from(options), limits[0], limits[1], most, batch, stop, tolerances[0],
        tolerances[1], tolerances[2],
    )  # fmt: skip
    state = State(theta, sums, start, best, losses, counts)
    history, plan = History(table, recorded), Plan(after, rates, orders, every)
    room = gradient_room(model, data)
    q = len(model.free)
    work = Work(
        np.empty(q, target.dtype), np.empty(q, target.dtype), np.empty(theta.shape[1], target.dtype)
    )
    for g in range(first, until):
        _descend(model, data, rules, state, history, plan, g, room, work)


@allocating
def measure(
    codes: Ints, constants: Floats, layout: Ints, loss: int, delta: float,
    columns: Floats, target: Floats, sigma: Floats, spans: Ints, theta: Floats,
    first: int, until: int, losses: Floats, gradients: Floats,
) -> None:  # fmt: skip
    """The losses (groups,) and gradients (groups, q) of the groups from number `first` to `until`
    at θ (groups, P), as an epoch there would have them, to the bit."""
    model = model_of(codes, constants, layout, loss, delta)
    data = Data(columns, target, sigma, spans[0], spans[1])
    room = gradient_room(model, data)
    for g in range(first, until):
        room.seen[0] = -1
        losses[g] = read_gradient(
            model, data, room, theta[g], data.first[g], data.end[g], gradients[g]
        )
