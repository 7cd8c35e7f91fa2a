"""Levenberg-Marquardt on groups of rows, each by itself: a machine that asks for readings.

Each trial step δ minimises ‖Jδ + z‖² + λ‖Dδ‖² over the params that no bound holds, D being the
norms of J's columns; it is projected onto the bounds and taken if the loss falls. λ follows
Nielsen's rule. Only R of QR [J z] is kept. An epoch is one trial step, taken or not.

There are two strategies. `SCALED` is Moré's: D never shrinks. `SEPARABLE` takes D as it is, and
after each step solves for the params that the prediction is linear in. A group begins with the
first; where that ends at params that hardly matter, explains almost nothing, finds no step or is
slow, the other begins from the same start and they take turns; the lowest loss of all is the
answer. A loss with a corner is rounded, ever less.

`resume` takes one reading (the loss and the R factor at the params in `trial`) and says where the
next is wanted, until an epoch is over. So the same machine is driven by compiled readings of a
formula (`fit`) and by torch's of a network.

Sources: Moré, The Levenberg-Marquardt algorithm (1978); Nielsen, Damping parameter in Marquardt's
method (1999); Kanzow, Yamashita and Fukushima, J. Comput. Appl. Math. 172 (2004) 375 (projection);
Ruhe and Wedin, SIAM Review 22 (1980) 318 (separable problems).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.kernel.compiled import allocating, compiled
from service.engine.kernel.factors import copy, copy_matrix
from service.engine.kernel.marquardt_machine import give_up, resume, start_epoch
from service.engine.kernel.marquardt_state import (
    BEGIN,
    BEST_EPOCH,
    BEST_LOSS,
    CONSTANT_LOSS,
    EPOCH,
    EXACT,
    FIRST_LOSS,
    IDLE,
    LAST_LOSS,
    LOSS,
    PHASE,
    REASON,
    RECORDED,
    RUNNING,
    SCALED,
    UNBORN,
    WAY,
    WIDTH,
    History,
    rules_of,
    unpack,
    work_for,
)
from service.engine.kernel.rows import (
    MEASURE,
    Data,
    constant_loss,
    linearise,
    model_of,
    room_for,
    settle,
)
from service.engine.kernel.types import Bools, Floats, Ints


@compiled
def _set_up(state: Any, rules: Any, g: int, initial: Floats, constant_loss: float) -> None:
    """A group at its start; a constant's loss is what there is to explain."""
    copy(initial[g], state.initial[g])
    copy(initial[g], state.trial[g])
    state.losses[g, CONSTANT_LOSS] = constant_loss
    state.losses[g, FIRST_LOSS] = state.losses[g, BEST_LOSS] = math.nan
    state.counts[g, PHASE] = BEGIN
    for way in range(2):
        copy(initial[g], state.theta[g, way])
        state.ways[g, way, WIDTH] = MEASURE if rules.cornered else 0.0
        state.ways[g, way, LOSS] = state.ways[g, way, EXACT] = math.nan


@compiled
def record(state: Any, rules: Any, history: Any, every: int, g: int) -> None:
    """Keeps the last epoch of a group: the first, the last, and those divisible by `every`."""
    epoch = state.counts[g, EPOCH]
    over = state.counts[g, REASON] != RUNNING
    if history.rows.shape[1] == 0 or not (epoch == 1 or over or epoch % every == 0):
        return
    row = history.rows[g, history.counts[g]]
    history.counts[g] += 1
    params = state.initial.shape[1]
    row[0], row[1] = epoch, state.losses[g, LAST_LOSS]
    copy(state.theta[g, state.counts[g, WAY]], row[2 : 2 + params])
    row[2 + params :] = 0.0
    for j in range(len(rules.free)):
        row[2 + params + rules.free[j]] = state.before[g, j]


@compiled
def carry_on(
    state: Any, rules: Any, history: Any, g: int, rows: float, limit: int, every: int, work: Any
) -> bool:
    """Whether group g waits for a reading: of the epoch that is under way, or of the next one, if
    it goes on and has not come to epoch `limit`."""
    counts = state.counts[g]
    if counts[PHASE] != IDLE:
        return True
    if counts[EPOCH] == 0 and counts[REASON] == RUNNING and limit > 0 and give_up(state, g):
        copy(state.gradient[g, SCALED], state.before[g])
    if counts[RECORDED] < counts[EPOCH]:
        record(state, rules, history, every, g)
        counts[RECORDED] = counts[EPOCH]
    if counts[REASON] != RUNNING or counts[EPOCH] >= limit:
        return False
    start_epoch(state, rules, g, rows, work)
    return True


@allocating
def fit(
    codes: Ints, constants: Floats, layout: Ints, loss: int, delta: float,
    columns: Floats, target: Floats, sigma: Floats, spans: Ints,
    limits: Floats, linear: Bools, tolerances: Floats, most: int, cornered: bool, initial: Floats,
    numbers: Floats, counts: Ints, table: Floats, recorded: Ints,
    groups: Ints, first: int, until: int, epochs: int, every: int, sample: int,
) -> None:  # fmt: skip
    """At most `epochs` epochs of each of the groups `groups[first:until]`, from `initial` (all
    groups, P) or where their state (see `unpack`) says; of at most `most` in all. `recorded` rows
    are in the table: see `History`. Of a group of more than `sample` rows, this number show what
    there is to explain."""
    model, data = (
        model_of(codes, constants, layout, loss, delta),
        Data(columns, target, sigma, spans[0], spans[1]),
    )
    rules = rules_of(limits, model.free, linear, tolerances, most, cornered)
    history = History(table, recorded)
    state = unpack(numbers, counts, spans.shape[1], limits.shape[1], len(model.free))
    room = room_for(model, data, limits.shape[1])
    work = work_for(room.r, room.slope)
    for n in range(first, until):
        g = groups[n]
        start, end = data.first[g], data.end[g]
        rows, limit = float(end - start), state.counts[g, EPOCH] + epochs
        if state.counts[g, PHASE] == UNBORN:
            _set_up(state, rules, g, initial, constant_loss(loss, delta, data, g, sample))
        room.seen[0] = -1
        while carry_on(state, rules, history, g, rows, limit, every, work):
            settle(model, room, state.trial[g])
            width = state.ways[g, state.counts[g, WAY], WIDTH]
            sums = linearise(model, data, room, start, end, width)
            resume(state, rules, g, rows, sums, work)


@allocating
def respond(
    limits: Floats, free: Ints, linear: Bools, tolerances: Floats, most: int, cornered: bool,
    initial: Floats, constant_losses: Floats, numbers: Floats, counts: Ints, table: Floats,
    recorded: Ints, groups: Ints, rows: Floats, until: Ints, sums: Floats, r: Floats,
    slopes: Floats, every: int, wanted: Bools, trial: Floats, widths: Floats,
) -> None:  # fmt: skip
    """The same for readings made elsewhere: takes those of `groups` (their sums (…, 3), R (…, q +
    1, q + 1) and slopes (…, q)); `wanted` is then whether each waits for another, at `trial` (…, P)
    with a corner as wide as `widths`, or has come to epoch `until`. Without sums, whether each
    waits for a first one."""
    rules = rules_of(limits, free, linear, tolerances, most, cornered)
    state = unpack(numbers, counts, len(initial), limits.shape[1], len(free))
    history = History(table, recorded)
    work = work_for(np.empty(r.shape[1:]), np.empty(slopes.shape[1]))
    for n in range(len(groups)):
        g = groups[n]
        if state.counts[g, PHASE] == UNBORN:
            _set_up(state, rules, g, initial, constant_losses[g])
        if len(sums):
            copy_matrix(r[n], work.r)
            copy(slopes[n], work.slope)
            resume(state, rules, g, rows[n], (sums[n, 0], sums[n, 1], sums[n, 2]), work)
        wanted[n] = carry_on(state, rules, history, g, rows[n], until[n], every, work)
        copy(state.trial[g], trial[n])
        widths[n] = state.ways[g, state.counts[g, WAY], WIDTH]


@allocating
def ends_of(numbers: Floats, counts: Ints, free: Ints, groups: int, params: int) -> Any:
    """How the groups stand: a table (groups, 4 + 3P) of the loss at θ, that of the start, the
    lowest and the last one; θ, the params of the lowest loss and ∂loss/∂θ at the start; counts
    (groups, 3) of epochs, reason and epoch of the lowest loss; R of [J z] at θ (groups, q + 1,
    q + 1)."""
    q = len(free)
    state = unpack(numbers, counts, groups, params, q)
    table = np.zeros((groups, 4 + 3 * params))
    found, r = np.empty((groups, 3), np.int64), np.empty((groups, q + 1, q + 1))
    for g in range(groups):
        way, row = state.counts[g, WAY], table[g]
        row[0], row[1] = state.ways[g, way, EXACT], state.losses[g, FIRST_LOSS]
        row[2], row[3] = state.losses[g, BEST_LOSS], state.losses[g, LAST_LOSS]
        copy(state.theta[g, way], row[4 : 4 + params])
        copy(state.best[g], row[4 + params : 4 + 2 * params])
        for j in range(q):
            row[4 + 2 * params + free[j]] = state.steepest[g, j]
        found[g, 0], found[g, 1] = state.counts[g, EPOCH], state.counts[g, REASON]
        found[g, 2] = state.counts[g, BEST_EPOCH]
        copy_matrix(state.factor[g, way], r[g])
    return table, found, r
