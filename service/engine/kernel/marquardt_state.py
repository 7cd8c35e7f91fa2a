"""The state of Levenberg-Marquardt on groups of rows: see `marquardt`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating
from service.engine.kernel.factors import LANES
from service.engine.kernel.types import Bools, Floats, Ints

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


class History(NamedTuple):
    """Recorded epochs: rows (groups, …, 2 + 2P) of epoch, loss and ∂loss/∂θ before the step, and
    params after it (epoch, loss, params, gradient); counts (groups,) says how many there are."""

    rows: Floats
    counts: Ints
