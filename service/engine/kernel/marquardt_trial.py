"""A trial step of Levenberg-Marquardt: what is tried, and what is made of its reading.

The sources are those of `marquardt`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.kernel.compiled import compiled
from service.engine.kernel.factors import (
    all_finite,
    copy,
    copy_matrix,
    invert_upper,
    length,
    pad,
    solve_upper,
    triangularise,
)
from service.engine.kernel.marquardt_state import (
    BEGUN,
    BELIEVED,
    CONSTANT_LOSS,
    CONVERGED,
    DAMPING,
    ENDED,
    EXACT,
    GROWTH,
    LINGERED,
    LOSS,
    MOVED,
    PROMISED,
    QUIETEST,
    RUNNING,
    SCALED,
    SEPARABLE,
    SLANT,
    STALLED,
    STEEPEST,
    STEPS,
    TOOK,
)
from service.engine.kernel.types import Bools, Floats

EXPLAINED = 0.5
"""An end whose loss is more than so much of a constant's is not believed at once: it may lie beside
a pole, or be another minimum than the lowest, and the other strategy lead elsewhere."""
ROUGH = 1e-7
"""A step on a rounded corner that is relatively smaller is none."""
FIRST_DAMPING = (1e-4, 1e-2)
LEAST_DAMPING, MOST_DAMPING, SHRINK = 1e-16, 1e20, 1.0 / 3.0
ROUNDING = 64.0
"""Times the rounding of the loss: a promise that is smaller is no promise."""
LINGERING = 6
"""Steps in a row of which the loss can't tell anything and that get no shorter: rounding moves the
params, and the minimum is there."""
DWARFED = 1e4
"""A standard error this many times its param: the param hardly matters."""
STRAIGHT = 1e-3


@compiled
def norm_of(factor: Floats, j: int) -> float:
    """The norm of column j of J."""
    total = 0.0
    for i in range(j + 1):
        total += factor[i, j] * factor[i, j]
    return math.sqrt(total)


@compiled
def slope_of(factor: Floats, j: int) -> float:
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
def is_held(state: Any, rules: Any, g: int, way: int, j: int) -> bool:
    """Whether a bound holds free param j back."""
    at = rules.free[j]
    value, slope = state.theta[g, way, at], slope_of(state.factor[g, way], j)
    return (value <= rules.lower[at] and slope > 0.0) or (value >= rules.upper[at] and slope < 0.0)


@compiled
def step_from(
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
        projected = 0.0
        for j in range(i, q):
            projected += factor[i, j] * step[j]
        promised -= (projected + 2.0 * factor[i, q]) * projected
    return promised / rows, math.sqrt(long) / max(math.sqrt(whole), 1e-300)


@compiled
def _slant(state: Any, g: int, way: int, held: Bools) -> float:
    factor = state.factor[g, way]
    q = factor.shape[0] - 1
    total, most = 0.0, 0.0
    for i in range(q + 1):
        total += factor[i, q] * factor[i, q]
    for j in range(q):
        size = norm_of(factor, j) * math.sqrt(total)
        if size != 0.0 and not held[j]:
            most = max(most, abs(slope_of(factor, j)) / max(size, 1e-300))
    return most


@compiled
def propose(state: Any, rules: Any, g: int, way: int, rows: float, work: Any) -> None:
    """The trial step of a strategy: what to try, and what is promised for it."""
    q = len(rules.free)
    ways = state.ways[g, way]
    separable = way == SEPARABLE and rules.linear.any()
    first = separable and state.flags[g, way, STEPS] == 0
    held = work.mask
    for j in range(q):
        held[j] = is_held(state, rules, g, way, j)
    ways[SLANT] = _slant(state, g, way, held)
    damping = ways[DAMPING]
    if first:
        for j in range(q):
            held[j] |= not rules.linear[j]
        damping *= 1e-20
    ways[PROMISED], ways[MOVED] = step_from(
        rules, work, rows, state.theta[g, way], state.factor[g, way], state.scale[g, way],
        held, damping, state.trial[g],
    )  # fmt: skip


@compiled
def begin(
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
        state.scale[g, way, j] = norm_of(state.factor[g, way], j)
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
            state.gradient[g, way, j] = 2.0 * slope_of(state.factor[g, way], j) / rows


@compiled
def judge(
    state: Any, rules: Any, g: int, way: int, rows: float, loss: float, exact: float, work: Any
) -> None:
    """Takes the trial step if the loss falls, and sets λ."""
    ways, q = state.ways[g, way], len(rules.free)
    before, promised = ways[LOSS], ways[PROMISED]
    fine = _finite(work.r, loss)
    now = loss / rows
    actual = before - now
    rounding = ROUNDING * rules.epsilon * _rounded(state, g, before)
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
            norm = norm_of(state.factor[g, way], j)
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
def _rounded(state: Any, g: int, loss: float) -> float:
    """What the rounding of the loss is in proportion to. A residual z is rounded as its target y
    is, by εy; so z² is by 2εyz, whose mean is about √(loss·constant's loss)."""
    constant = state.losses[g, CONSTANT_LOSS]
    if not loss < constant < math.inf:
        return loss
    return math.sqrt(loss) * math.sqrt(constant)


@compiled
def _ending(state: Any, rules: Any, g: int, way: int, before: float) -> int:
    ways = state.ways[g, way]
    tolerance = max(rules.params_tolerance, 4.0 * rules.epsilon)
    if rules.cornered:
        tolerance = max(tolerance, ROUGH)
    small = ways[MOVED] <= tolerance or state.flags[g, way, LINGERED] >= LINGERING
    # Residuals that are only rounding may have any direction.
    least = (ROUNDING * rules.epsilon) ** 2 * state.losses[g, CONSTANT_LOSS]
    at_rest = ways[SLANT] <= STRAIGHT or ways[LOSS] <= least
    if (small and at_rest) or ways[PROMISED] <= tolerance**2:
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
        size = norm_of(factor, j)
        if size == 0.0:
            return True
        for i in range(j + 1):
            scaled[i, j] = factor[i, j] / size
    if not invert_upper(scaled, q, inverse):
        return True
    for j in range(q):
        stderr = length(inverse[j], q) / norm_of(factor, j) * noise
        if not stderr <= DWARFED * abs(state.theta[g, way, rules.free[j]]):
            return True
    return False
