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
from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled
from service.engine.kernel.factors import (
    LANES,
    all_finite,
    copy,
    copy_matrix,
    invert_upper,
    length,
    pad,
    solve_upper,
    triangularise,
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

PATIENCE = 150
"""Trial steps of one turn of a strategy."""
EXPLAINED = 0.5
"""An end whose loss is more than so much of a constant's is not believed at once: it may lie beside
a pole, or be another minimum than the lowest, and the other strategy lead elsewhere."""
NARROWER, NARROWEST, STAGE, ROUGH = 0.2, 1e-7, 60, 1e-7
"""A rounded corner is narrowed by this factor, down to this part of the residuals' size, after at
most so many trial steps, or when a step is relatively smaller than the last of these."""
FIRST_DAMPING = (1e-4, 1e-2)
LEAST_DAMPING, MOST_DAMPING, SHRINK = 1e-16, 1e20, 1.0 / 3.0
ROUNDING = 64.0
"""Times ε·loss: a promise that is smaller is no promise."""
LINGERING = 6
"""Steps in a row of which the loss can't tell anything and that get no shorter: rounding moves the
params, and the minimum is there."""
DWARFED = 1e4
"""A standard error so many times its param says that the param hardly matters."""
STRAIGHT = 1e-3

SCALED, SEPARABLE = 0, 1
RUNNING, CONVERGED, STALLED, DIVERGED, MAX_EPOCHS = range(5)
"""How a group, or a strategy of it, stands."""

WAYS = 9
LOSS, DAMPING, GROWTH, MOVED, SLANT, PROMISED, WIDTH, EXACT, QUIETEST = range(WAYS)
"""Of a strategy, columns of `ways`: the loss; λ and its growth; of the last trial step the relative
size ‖Dδ‖/‖Dθ‖, the largest cosine between z and a column of J that no bound holds (MINPACK's gtol)
and the reduction that it promised, relative to the loss; the width of a rounded corner, and the
loss as it is; the smallest MOVED of a step of which the loss could not tell anything."""
FLAGS = 7
STEPS, ENDED, BELIEVED, TOOK, STAGE_BEGAN, BEGUN, LINGERED = range(FLAGS)
"""Of a strategy, columns of `flags`."""
LOSSES = 6
FIRST_LOSS, BEST_LOSS, CONSTANT_LOSS, LAST_LOSS, FIRST_WIDTH, STEEPEST = range(LOSSES)
"""Of a group, columns of `losses`: at the start, the lowest, that of a constant, that of the last
epoch before its step; the first width, and the largest |gradient| of the start."""
COUNTS = 6
EPOCH, REASON, BEST_EPOCH, PHASE, WAY, RECORDED = range(COUNTS)
"""Of a group, columns of `counts`."""
UNBORN, IDLE, BEGIN, TRY, SOLVE, NARROW = range(6)
"""What reading a group waits for: it has none of its numbers yet; none; of a strategy's start; of a
trial step; of the same with its linear params solved for; of a corner that is rounded less."""


class State(NamedTuple):
    """Where each group stands: all that it needs to go on. P params, q of them free."""

    theta: Floats
    """(groups, 2, P): of each strategy."""
    factor: Floats
    """(groups, 2, q + 1, q + 1): R of [J z] there, its rows."""
    scale: Floats
    """(groups, 2, q): D."""
    gradient: Floats
    """(groups, 2, q): ∂loss/∂θ there."""
    ways: Floats
    flags: Ints
    losses: Floats
    counts: Ints
    best: Floats
    """(groups, P): the params of the lowest loss."""
    initial: Floats
    """(groups, P)"""
    trial: Floats
    """(groups, P): where the next reading is wanted."""
    steepest: Floats
    """(groups, q): ∂loss/∂θ at the start."""
    before: Floats
    """(groups, q): ∂loss/∂θ before the last epoch's step."""
    held: Floats
    """(groups, 3): of a trial that is put aside while its linear params are solved for, the loss,
    Σρ and Σρ of the loss as it is;"""
    held_r: Floats
    """(groups, q + 1, q + 1): its R,"""
    held_slope: Floats
    """(groups, q): its Σψ·∂z/∂θ,"""
    held_theta: Floats
    """(groups, P): and its params."""


def room_of_state(groups: int, params: int, q: int) -> tuple[int, int]:
    """How many numbers and how many counts a state is made of: see `unpack`."""
    numbers = 6 * params + 3 * (q + 1) ** 2 + 7 * q + 2 * WAYS + LOSSES + 3
    return groups * numbers, groups * (2 * FLAGS + COUNTS)


@allocating
def unpack(numbers: Floats, counts: Ints, groups: int, params: int, q: int) -> Any:
    """The state that lies in a vector of numbers and one of counts."""
    at = 0
    theta = numbers[at : at + groups * 2 * params].reshape((groups, 2, params))
    at += theta.size
    factor = numbers[at : at + groups * 2 * (q + 1) ** 2].reshape((groups, 2, q + 1, q + 1))
    at += factor.size
    scale = numbers[at : at + groups * 2 * q].reshape((groups, 2, q))
    at += scale.size
    gradient = numbers[at : at + groups * 2 * q].reshape((groups, 2, q))
    at += gradient.size
    ways = numbers[at : at + groups * 2 * WAYS].reshape((groups, 2, WAYS))
    at += ways.size
    losses = numbers[at : at + groups * LOSSES].reshape((groups, LOSSES))
    at += losses.size
    best = numbers[at : at + groups * params].reshape((groups, params))
    at += best.size
    initial = numbers[at : at + groups * params].reshape((groups, params))
    at += initial.size
    trial = numbers[at : at + groups * params].reshape((groups, params))
    at += trial.size
    steepest = numbers[at : at + groups * q].reshape((groups, q))
    at += steepest.size
    before = numbers[at : at + groups * q].reshape((groups, q))
    at += before.size
    held = numbers[at : at + groups * 3].reshape((groups, 3))
    at += held.size
    held_r = numbers[at : at + groups * (q + 1) ** 2].reshape((groups, q + 1, q + 1))
    at += held_r.size
    held_slope = numbers[at : at + groups * q].reshape((groups, q))
    at += held_slope.size
    held_theta = numbers[at : at + groups * params].reshape((groups, params))
    flags = counts[: groups * 2 * FLAGS].reshape((groups, 2, FLAGS))
    rest = counts[flags.size :].reshape((groups, COUNTS))
    return State(
        theta, factor, scale, gradient, ways, flags, losses, rest, best, initial, trial, steepest,
        before, held, held_r, held_slope, held_theta,
    )  # fmt: skip


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


class Work(NamedTuple):
    """What one thread's own small systems are solved in. `r` and `slope` are those of the reading
    (see `rows.Room`)."""

    r: Floats
    slope: Floats
    stacked: Floats
    """A trial step's least squares, as its columns,"""
    own: Floats
    """its R, and"""
    step: Floats
    """its solution;"""
    factor: Floats
    """an R (q + 1, q + 1),"""
    inverse: Floats
    """the inverse of one,"""
    scale: Floats
    """lengths of columns,"""
    mask: Bools
    """and params that are held, (q,)."""


@allocating
def work_for(r: Floats, slope: Floats) -> Any:
    """What to work in, for readings that leave R and the slope there."""
    q = len(slope)
    return Work(
        r,
        slope,
        np.empty((q + 1, 2 * q + 2 * LANES)),
        np.empty((q + 1, q + 1)),
        np.empty(q),
        np.empty((q + 1, q + 1)),
        np.empty((q, q)),
        np.empty(q),
        np.empty(q, np.bool_),
    )


class Rules(NamedTuple):
    """What is asked of a fit. lower and upper (P,); free (q,) positions; linear (q,): which of them
    the prediction is jointly linear in. Tolerances of 0 are off; `epsilon` is that of the dtype."""

    lower: Floats
    upper: Floats
    free: Ints
    linear: Bools
    cornered: bool
    epochs: int
    loss_tolerance: float
    params_tolerance: float
    gradient_tolerance: float
    epsilon: float


@compiled
def _norms(factor: Floats, j: int) -> float:
    total = 0.0
    for i in range(j + 1):
        total += factor[i, j] * factor[i, j]
    return math.sqrt(total)


@compiled
def _slope_of(factor: Floats, j: int) -> float:
    """(Jᵀz)_j"""
    q = factor.shape[0] - 1
    total = 0.0
    for i in range(j + 1):
        total += factor[i, j] * factor[i, q]
    return total


@compiled
def _finite(r: Floats, loss: float) -> bool:
    return math.isfinite(loss) and all_finite(r)


@compiled
def _held(state: Any, rules: Any, g: int, way: int, j: int) -> bool:
    """Whether a bound holds free param j back."""
    at = rules.free[j]
    value, slope = state.theta[g, way, at], _slope_of(state.factor[g, way], j)
    return (value <= rules.lower[at] and slope > 0.0) or (value >= rules.upper[at] and slope < 0.0)


@compiled
def _step(
    rules: Any, work: Any, rows: float, base: Floats, factor: Floats, scale: Floats,
    held: Bools, damping: float, trial: Floats,
) -> tuple[float, float]:  # fmt: skip
    """Puts the params to try into `trial`: the δ of least ‖Rδ + c‖² + λ‖Dδ‖² over the params not
    held, by QR of [R c] on [√λ·D 0]. The reduction that it promises, and its relative size."""
    q = len(rules.free)
    stacked, step = work.stacked, work.step
    stacked[:] = 0.0
    root = math.sqrt(damping)
    for j in range(q):
        unit = scale[j] if scale[j] > 0.0 else 1.0
        if not held[j]:
            for i in range(j + 1):
                stacked[j, i] = factor[i, j] / unit
        stacked[j, q + j] = root
    for i in range(q):
        stacked[q, i] = factor[i, q]
    triangularise(stacked, q + 1, pad(stacked, q + 1, 2 * q), work.own)
    solve_upper(work.own, q, step)
    copy(base, trial)
    long, whole = 0.0, 0.0
    for j in range(q):
        unit = scale[j] if scale[j] > 0.0 else 1.0
        at = rules.free[j]
        value = base[at] + step[j] / unit
        value = min(max(value, rules.lower[at]), rules.upper[at]) if value == value else value
        if rules.epsilon > 1e-10:
            value = float(np.float32(value))
        trial[at] = value
        step[j] = value - base[at]
        long += (unit * step[j]) ** 2
        whole += (unit * base[at]) ** 2
    promised = 0.0
    for i in range(q):
        bent = 0.0
        for j in range(i, q):
            bent += factor[i, j] * step[j]
        promised -= (bent + 2.0 * factor[i, q]) * bent
    return promised / rows, math.sqrt(long) / max(math.sqrt(whole), 1e-300)


@compiled
def _slant(state: Any, g: int, way: int, held: Bools) -> float:
    factor = state.factor[g, way]
    q = factor.shape[0] - 1
    total, most = 0.0, 0.0
    for i in range(q + 1):
        total += factor[i, q] * factor[i, q]
    for j in range(q):
        size = _norms(factor, j) * math.sqrt(total)
        if size != 0.0 and not held[j]:
            most = max(most, abs(_slope_of(factor, j)) / max(size, 1e-300))
    return most


@compiled
def _propose(state: Any, rules: Any, g: int, way: int, rows: float, work: Any) -> None:
    """The trial step of a strategy: what to try, and what is promised for it."""
    q = len(rules.free)
    ways = state.ways[g, way]
    separable = way == SEPARABLE and rules.linear.any()
    first = separable and state.flags[g, way, STEPS] == 0
    held = work.mask
    for j in range(q):
        held[j] = _held(state, rules, g, way, j)
    ways[SLANT] = _slant(state, g, way, held)
    damping = ways[DAMPING]
    if first:
        for j in range(q):
            held[j] |= not rules.linear[j]
        damping *= 1e-20
    ways[PROMISED], ways[MOVED] = _step(
        rules, work, rows, state.theta[g, way], state.factor[g, way], state.scale[g, way],
        held, damping, state.trial[g],
    )  # fmt: skip


@compiled
def _begin(
    state: Any, rules: Any, g: int, way: int, rows: float, loss: float, exact: float, work: Any
) -> None:
    """A strategy at its start (or where a corner is rounded less), which has been read."""
    ways, q = state.ways[g, way], len(rules.free)
    fine = _finite(work.r, loss)
    copy(state.trial[g], state.theta[g, way])
    ways[LOSS] = loss / rows if fine else math.nan
    ways[DAMPING], ways[GROWTH] = FIRST_DAMPING[way], 2.0
    ways[MOVED] = ways[PROMISED] = ways[SLANT] = ways[QUIETEST] = math.inf
    copy_matrix(work.r, state.factor[g, way])
    for j in range(q):
        state.scale[g, way, j] = _norms(state.factor[g, way], j)
    _measure(state, rules, g, way, rows, exact, work)
    state.flags[g, way, TOOK] = 0
    state.flags[g, way, BEGUN] = 1


@compiled
def _measure(
    state: Any, rules: Any, g: int, way: int, rows: float, exact: float, work: Any
) -> None:
    """The loss as it is and its gradient, where a strategy stands."""
    state.ways[g, way, EXACT] = exact / rows if rules.cornered else state.ways[g, way, LOSS]
    for j in range(len(rules.free)):
        if rules.cornered:
            state.gradient[g, way, j] = work.slope[j] / rows
        else:
            state.gradient[g, way, j] = 2.0 * _slope_of(state.factor[g, way], j) / rows


@compiled
def _judge(
    state: Any, rules: Any, g: int, way: int, rows: float, loss: float, exact: float, work: Any
) -> None:
    """Takes the trial step if the loss falls, and sets λ."""
    ways, q = state.ways[g, way], len(rules.free)
    before, promised = ways[LOSS], ways[PROMISED]
    fine = _finite(work.r, loss)
    now = loss / rows
    actual = before - now
    rounding = ROUNDING * rules.epsilon * before
    negligible = abs(promised) <= rounding
    falls = actual > 0.0 and promised > 0.0
    took = fine and (falls or (negligible and actual >= -rounding))
    ways[PROMISED] = abs(promised) / before if before != 0.0 else math.inf
    if took:
        ratio = 1.0 if negligible else actual / promised
        shrink = max(1.0 - (2.0 * ratio - 1.0) ** 3, SHRINK)
        ways[DAMPING], ways[GROWTH] = max(ways[DAMPING] * shrink, LEAST_DAMPING), 2.0
        ways[LOSS] = now
        copy(state.trial[g], state.theta[g, way])
        copy_matrix(work.r, state.factor[g, way])
        for j in range(q):
            norm = _norms(state.factor[g, way], j)
            running = way == SCALED and state.scale[g, way, j] > norm
            state.scale[g, way, j] = state.scale[g, way, j] if running else norm
        _measure(state, rules, g, way, rows, exact, work)
    else:
        ways[DAMPING] *= ways[GROWTH]
        ways[GROWTH] *= 2.0
    state.flags[g, way, TOOK] = int(took)
    if not negligible:
        state.flags[g, way, LINGERED] = 0
    elif ways[MOVED] < 0.5 * ways[QUIETEST]:
        ways[QUIETEST], state.flags[g, way, LINGERED] = ways[MOVED], 0
    else:
        state.flags[g, way, LINGERED] += 1
    state.flags[g, way, STEPS] += 1
    ended = _ending(state, rules, g, way, before)
    state.flags[g, way, ENDED] = ended
    if ended == CONVERGED:
        constant = EXPLAINED * state.losses[g, CONSTANT_LOSS]
        doubtful = _uncertain(state, rules, g, way, rows, work) or ways[LOSS] >= constant > 0.0
        state.flags[g, way, BELIEVED] = int(not doubtful)


@compiled
def _ending(state: Any, rules: Any, g: int, way: int, before: float) -> int:
    ways = state.ways[g, way]
    tolerance = max(rules.params_tolerance, 4.0 * rules.epsilon)
    if rules.cornered:
        tolerance = max(tolerance, ROUGH)
    small = ways[MOVED] <= tolerance or state.flags[g, way, LINGERED] >= LINGERING
    if (small and ways[SLANT] <= STRAIGHT) or ways[PROMISED] <= tolerance**2:
        return CONVERGED
    if ways[LOSS] == 0.0:
        return CONVERGED
    slow = before - ways[LOSS] <= rules.loss_tolerance * before
    if rules.loss_tolerance > 0.0 and state.flags[g, way, TOOK] and slow:
        return CONVERGED
    if rules.gradient_tolerance > 0.0:
        steepest = 0.0
        for j in range(len(rules.free)):
            steepest = max(steepest, abs(state.gradient[g, way, j]))
        if steepest <= rules.gradient_tolerance * state.losses[g, STEEPEST]:
            return CONVERGED
    if not state.flags[g, way, TOOK] and ways[DAMPING] > MOST_DAMPING:
        return STALLED
    return RUNNING


@compiled
def _uncertain(state: Any, rules: Any, g: int, way: int, rows: float, work: Any) -> bool:
    """Whether some param hardly matters there: its standard error dwarfs it, or the columns are
    dependent."""
    q, factor = len(rules.free), state.factor[g, way]
    inverse, scaled = work.inverse, work.factor
    noise = math.sqrt(state.ways[g, way, LOSS] * rows / max(rows - q, 1.0))
    for j in range(q):
        size = _norms(factor, j)
        if size == 0.0:
            return True
        for i in range(j + 1):
            scaled[i, j] = factor[i, j] / size
    if not invert_upper(scaled, q, inverse):
        return True
    for j in range(q):
        stderr = length(inverse[j], q) / _norms(factor, j) * noise
        if not stderr <= DWARFED * abs(state.theta[g, way, rules.free[j]]):
            return True
    return False


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
    _propose(state, rules, g, way, rows, work)
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
        _begin(state, rules, g, way, rows, loss, exact, work)
        if way == SCALED:
            _set_out(state, rules, g)
        else:
            start_epoch(state, rules, g, rows, work)
        return
    if phase == NARROW:
        steps = state.flags[g, way, STEPS]
        _begin(state, rules, g, way, rows, loss, exact, work)
        state.flags[g, way, STEPS], state.flags[g, way, STAGE_BEGAN] = steps, steps
        return _finish(state, rules, g)
    if phase == TRY and way == SEPARABLE and rules.linear.any() and state.flags[g, way, STEPS]:
        return _solve_linear(state, rules, g, way, rows, loss, exact, work)
    if phase == SOLVE and not loss / rows < state.held[g, 0]:
        loss, exact = _fall_back(state, g, work)
    _judge(state, rules, g, way, rows, loss, exact, work)
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
            scale[j] = _norms(factor, j)
    state.held[g, 0] = loss / rows if usable else math.nan
    state.held[g, 1], state.held[g, 2] = loss, exact
    copy_matrix(work.r, state.held_r[g])
    copy(work.slope, state.held_slope[g])
    copy(state.trial[g], state.held_theta[g])
    held = work.mask
    for j in range(q):
        at = rules.free[j]
        value, slope = state.trial[g, at], _slope_of(factor, j)
        held[j] = not rules.linear[j]
        held[j] |= (value <= rules.lower[at] and slope > 0.0) or (
            value >= rules.upper[at] and slope < 0.0
        )
    damping = 1e-20 * state.ways[g, way, DAMPING]
    _step(rules, work, rows, state.held_theta[g], factor, scale, held, damping, state.trial[g])
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


class History(NamedTuple):
    """Recorded epochs: rows (groups, …, 2 + 2P) of epoch, loss and ∂loss/∂θ before the step, and
    params after it (epoch, loss, params, gradient); counts (groups,) says how many there are."""

    rows: Floats
    counts: Ints


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
def rules_of(
    limits: Floats, free: Ints, linear: Bools, tolerances: Floats, epochs: int, cornered: bool
) -> Any:
    """Rules of limits (2, P) and tolerances (of the loss, the params and the gradient, and the
    dtype's ε)."""
    return Rules(
        limits[0], limits[1], free, linear, cornered, epochs, tolerances[0], tolerances[1],
        tolerances[2], tolerances[3],
    )  # fmt: skip


@allocating
def fit(
    codes: Ints, constants: Floats, layout: Ints, loss: int, delta: float,
    columns: Floats, target: Floats, sigma: Floats, spans: Ints,
    limits: Floats, linear: Bools, tolerances: Floats, most: int, cornered: bool, initial: Floats,
    numbers: Floats, counts: Ints, table: Floats, recorded: Ints,
    groups: Ints, first: int, until: int, epochs: int, every: int, sample: int,
) -> None:  # fmt: skip
    """At most so many epochs of each of the groups `groups[first:until]`, from `initial` (all
    groups, P) or where their state (see `unpack`) says; of at most `most` in all. `recorded` rows
    are in the table: see `History`. Of a group of more than `sample` rows, so many say what there
    is to explain."""
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
