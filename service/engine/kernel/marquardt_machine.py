"""Levenberg-Marquardt as a machine that asks for readings: see `marquardt`."""

from __future__ import annotations

import math
from typing import Any

from service.engine.kernel.compiled import compiled
from service.engine.kernel.factors import all_finite, copy, copy_matrix
from service.engine.kernel.marquardt_state import (
    BEGIN,
    BEGUN,
    BELIEVED,
    BEST_EPOCH,
    BEST_LOSS,
    CONVERGED,
    DAMPING,
    DIVERGED,
    ENDED,
    EPOCH,
    EXACT,
    FIRST_LOSS,
    FIRST_WIDTH,
    IDLE,
    LAST_LOSS,
    LOSS,
    MAX_EPOCHS,
    NARROW,
    PHASE,
    REASON,
    RUNNING,
    SCALED,
    SEPARABLE,
    SOLVE,
    STAGE_BEGAN,
    STEEPEST,
    STEPS,
    TRY,
    WAY,
    WIDTH,
)
from service.engine.kernel.marquardt_trial import (
    begin,
    judge,
    norm_of,
    propose,
    slope_of,
    step_from,
)
from service.engine.kernel.rows import MEASURE

PATIENCE = 150
"""Trial steps of one turn of a strategy."""
NARROWER, NARROWEST, STAGE = 0.2, 1e-7, 60
"""A rounded corner is narrowed by this factor, down to this part of the residuals' size, after at
most this number of trial steps."""


@compiled
def _turn(state: Any, g: int) -> int:
    """Whose turn it is; a strategy that has not begun has it when all others have had one."""
    flags = state.flags[g]
    fresh, chosen = True, -1
    for way in range(2):
        if not flags[way, BEGUN] or flags[way, ENDED] != RUNNING:
            continue
        turns = flags[way, STEPS] // PATIENCE
        fresh = fresh and turns > 0
        if chosen < 0 or turns < flags[chosen, STEPS] // PATIENCE:
            chosen = way
    if fresh and not flags[SEPARABLE, BEGUN]:
        return SEPARABLE
    return chosen


@compiled
def _lowest(state: Any, g: int) -> int:
    second = state.flags[g, SEPARABLE, BEGUN] == 1
    lower = state.ways[g, SEPARABLE, LOSS] < state.ways[g, SCALED, LOSS]
    return SEPARABLE if second and lower else SCALED


@compiled
def _reason(state: Any, rules: Any, g: int) -> int:
    """How the group ends: when its lowest strategy is believed, or when all have ended."""
    low = _lowest(state, g)
    limit = state.ways[g, low, LOSS] * (1.0 + 1e-9)
    over = True
    for way in range(2):
        flags = state.flags[g, way]
        if flags[BEGUN] and flags[BELIEVED] and state.ways[g, way, LOSS] <= limit:
            return CONVERGED
        over = over and flags[BEGUN] == 1 and flags[ENDED] != RUNNING
    if over:
        return int(state.flags[g, low, ENDED])
    return MAX_EPOCHS if state.counts[g, EPOCH] >= rules.epochs else RUNNING


@compiled
def start_epoch(state: Any, rules: Any, g: int, rows: float, work: Any) -> None:
    """Sets the trial of a group's next epoch, and what reading it waits for."""
    counts = state.counts[g]
    way = _turn(state, g)
    counts[WAY] = way
    if not state.flags[g, way, BEGUN]:
        copy(state.initial[g], state.trial[g])
        state.ways[g, way, WIDTH] = state.losses[g, FIRST_WIDTH]
        counts[PHASE] = BEGIN
        return
    state.losses[g, LAST_LOSS] = state.ways[g, way, EXACT]
    copy(state.gradient[g, way], state.before[g])
    propose(state, rules, g, way, rows, work)
    counts[PHASE] = TRY


@compiled
def resume(
    state: Any, rules: Any, g: int, rows: float, sums: tuple[float, float, float], work: Any
) -> None:
    """Takes the reading that group g waits for: Σρ, Σρ of the loss as it is and Σ|z| at its trial,
    R of [J z] in `work.r`. The epoch is over when it waits for none; the group's very first
    reading belongs to no epoch."""
    counts, ways = state.counts[g], state.ways[g]
    way, phase = counts[WAY], counts[PHASE]
    loss, exact, sizes = sums
    if phase == BEGIN and rules.cornered and ways[way, WIDTH] == MEASURE:
        ways[way, WIDTH] = state.losses[g, FIRST_WIDTH] = sizes / rows
        return
    if phase == BEGIN:
        begin(state, rules, g, way, rows, loss, exact, work)
        if way == SCALED:
            _set_out(state, rules, g)
        else:
            start_epoch(state, rules, g, rows, work)
        return
    if phase == NARROW:
        steps = state.flags[g, way, STEPS]
        begin(state, rules, g, way, rows, loss, exact, work)
        state.flags[g, way, STEPS], state.flags[g, way, STAGE_BEGAN] = steps, steps
        return _finish(state, rules, g)
    if phase == TRY and way == SEPARABLE and rules.linear.any() and state.flags[g, way, STEPS]:
        return _solve_linear(state, rules, g, way, rows, loss, exact, work)
    if phase == SOLVE and not loss / rows < state.held[g, 0]:
        loss, exact = _fall_back(state, g, work)
    judge(state, rules, g, way, rows, loss, exact, work)
    if rules.cornered and _narrowed(state, g, way):
        copy(state.theta[g, way], state.trial[g])
        counts[PHASE] = NARROW
        return
    _finish(state, rules, g)


@compiled
def _set_out(state: Any, rules: Any, g: int) -> None:
    """The group's own start, once its first strategy has been read there."""
    losses, counts = state.losses[g], state.counts[g]
    first = state.ways[g, SCALED, EXACT]
    losses[FIRST_LOSS] = losses[BEST_LOSS] = losses[LAST_LOSS] = first
    copy(state.initial[g], state.best[g])
    counts[BEST_EPOCH] = 1
    losses[STEEPEST] = 0.0
    copy(state.gradient[g, SCALED], state.steepest[g])
    for j in range(len(rules.free)):
        losses[STEEPEST] = max(losses[STEEPEST], abs(state.gradient[g, SCALED, j]))
    counts[PHASE] = IDLE


@compiled
def _solve_linear(
    state: Any, rules: Any, g: int, way: int, rows: float, loss: float, exact: float, work: Any
) -> None:
    """Keeps the trial as it was read, and asks for the same with its linear params solved for."""
    q = len(rules.free)
    usable = all_finite(work.r)
    factor, scale = work.factor, work.scale
    copy_matrix(state.factor[g, way], factor)
    copy(state.scale[g, way], scale)
    if usable:
        copy_matrix(work.r, factor)
        for j in range(q):
            scale[j] = norm_of(factor, j)
    state.held[g, 0] = loss / rows if usable else math.nan
    state.held[g, 1], state.held[g, 2] = loss, exact
    copy_matrix(work.r, state.held_r[g])
    copy(work.slope, state.held_slope[g])
    copy(state.trial[g], state.held_theta[g])
    held = work.mask
    for j in range(q):
        at = rules.free[j]
        value, slope = state.trial[g, at], slope_of(factor, j)
        held[j] = not rules.linear[j]
        held[j] |= (value <= rules.lower[at] and slope > 0.0) or (
            value >= rules.upper[at] and slope < 0.0
        )
    damping = 1e-20 * state.ways[g, way, DAMPING]
    step_from(rules, work, rows, state.held_theta[g], factor, scale, held, damping, state.trial[g])
    state.counts[g, PHASE] = SOLVE


@compiled
def _fall_back(state: Any, g: int, work: Any) -> tuple[float, float]:
    """Back to the trial without its linear params solved for: that is not better."""
    copy(state.held_theta[g], state.trial[g])
    copy_matrix(state.held_r[g], work.r)
    copy(state.held_slope[g], work.slope)
    return state.held[g, 1], state.held[g, 2]


@compiled
def _narrowed(state: Any, g: int, way: int) -> bool:
    """Whether a strategy at its end on a rounded loss goes on, on one that is rounded less."""
    flags, ways = state.flags[g, way], state.ways[g, way]
    if ways[WIDTH] == 0.0:
        return False
    if flags[ENDED] == RUNNING and flags[STEPS] - flags[STAGE_BEGAN] < STAGE:
        return False
    if ways[WIDTH] <= NARROWEST * state.losses[g, FIRST_WIDTH]:
        flags[ENDED], flags[BELIEVED] = CONVERGED, 1
        return False
    ways[WIDTH] *= NARROWER
    flags[ENDED], flags[BELIEVED] = RUNNING, 0
    return True


@compiled
def _finish(state: Any, rules: Any, g: int) -> None:
    """The epoch is over: the best so far, and whether the group ends."""
    counts, losses = state.counts[g], state.losses[g]
    counts[EPOCH] += 1
    counts[PHASE] = IDLE
    counts[REASON] = _reason(state, rules, g)
    if counts[REASON] != RUNNING:
        counts[WAY] = _lowest(state, g)
    way = counts[WAY]
    if state.ways[g, way, EXACT] < losses[BEST_LOSS]:
        losses[BEST_LOSS], counts[BEST_EPOCH] = state.ways[g, way, EXACT], counts[EPOCH]
        copy(state.theta[g, way], state.best[g])


@compiled
def give_up(state: Any, g: int) -> bool:
    """Ends a group that has no finite loss to start from, or nothing to fit; whether it did."""
    first = state.losses[g, FIRST_LOSS]
    if math.isfinite(first) and state.factor.shape[2] > 1:
        return False
    state.counts[g, EPOCH] = 1
    state.counts[g, REASON] = CONVERGED if math.isfinite(first) else DIVERGED
    return True
