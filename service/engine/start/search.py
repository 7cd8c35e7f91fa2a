"""A seeded search for the start of one fit.

Candidates are drawn from the search ranges of the params, the linear params are solved for, and
Levenberg-Marquardt refines the best few. Source:
the separable screening of Golub and Pereyra, Inverse Problems 19 (2003) R1, over random
multi-starts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.catalogue.options import NoOptions
from service.engine.fit_options import Options, Tolerance
from service.engine.formula import Formula
from service.engine.inference.statistics import Statistics, summarise
from service.engine.kernel import residuals
from service.engine.kernel.singular import least_norm
from service.engine.kernel.types import Floats
from service.engine.objectives.points import linearised_at, losses_at, shared
from service.engine.problem import Problem, Task
from service.engine.solvers.marquardt import Marquardt
from service.engine.start.ranges import Range, drawn, ranges

CANDIDATES = 512
CHALLENGERS = 192
"""Candidates of a challenge."""
LOWER = 0.005
"""Relative difference from which on a lower loss is a better minimum."""
POLISHED = 12
AT_ONCE = 4
"""Candidates that are refined together."""
POLISH = Options(
    "levenberg_marquardt", NoOptions(), epochs=60, record_every=60,
    tolerance=Tolerance(params=1e-8),
)  # fmt: skip
SCREENING = 2 * CANDIDATES
"""Evaluations of the rows to choose the best candidates."""
POLISHING = POLISHED * POLISH.epochs
"""Maximum number of trial steps to refine them."""
SCREENED_ROWS = 250
POLISHED_ROWS = 2000
ENOUGH = 4
"""Number of candidates with the lowest loss that end a search."""
PHASES = 4
"""Phases at which a candidate is tried."""
FIRST, ROUNDS = 1, 4
"""The first round, of few candidates, and the maximum number of rounds; a further round follows if
no two candidates reach the lowest loss."""
FEW = 96
"""Candidates of the first round."""
SAME = 1e-6
"""Relative difference below which two losses are the same,"""
SAME_ROUGHLY = 1e-3
"""where the loss has a corner, along which the steps become short before the minimum."""
MOST = 0.9
"""Explained fraction of the variation from which on a fit may be settled."""
CERTAIN = 100.0
"""Condition number below which params are well identifiable."""
SPARE = 10
"""Degrees of freedom needed to test the residuals."""
WHITE = 2.0
"""Standard errors of von Neumann's ratio within which residuals are not autocorrelated."""
ROUNDED = 1e6
"""Residuals below this number of units in the last place of the target are rounding errors."""


@dataclass(frozen=True, slots=True)
class Search:
    """A running search: the candidates still to be refined, and the ends of the others."""

    waiting: Tensor
    """(candidates, params)"""
    where: tuple[Range, ...]
    """The search range of each param."""
    ends: tuple[tuple[Tensor, float], ...] = ()
    rounding: float = 0.0
    """Loss that is only rounding errors."""
    rounds: int = FIRST
    """Number of rounds of candidates."""
    same: float = SAME
    """Relative difference below which two losses are the same."""
    settled: bool = False
    """Whether the best end is good enough to end the search."""

    @property
    def best(self) -> tuple[Tensor, float]:
        """The lowest end, and its loss."""
        return min(self.ends, key=lambda end: end[1])

    @property
    def agreeing(self) -> int:
        """Number of ends with the lowest loss."""
        most = self.best[1] * (1 + self.same) + self.rounding
        return sum(loss <= most for _, loss in self.ends)

    @property
    def done(self) -> bool:
        """Whether the first round settled it, enough candidates agree, or all candidates of the
        last round are refined."""
        if self.settled or self.rounds == FIRST:
            return self.settled
        agreeing = self.agreeing if self.ends else 0
        over = not len(self.waiting) and (self.rounds >= ROUNDS or agreeing > 1)
        return over or agreeing >= ENOUGH


def screen(
    problem: Problem, guessed: tuple[int, ...], seed: int, before: Search | None = None
) -> Search:
    """A search with the candidates of its first or next round; `guessed` are the positions of the
    params to choose."""
    if before is None:
        rounds = FIRST if may_leave_noise(problem) else FIRST + 1
        same = SAME if problem.loss.is_smooth else SAME_ROUGHLY
        before = Search(problem.initial[:0], _ranges(problem), (), rounding(problem), rounds, same)
    else:
        rounds = before.rounds + 1
    rng = np.random.default_rng([seed, rounds])
    count, kept = (FEW, AT_ONCE) if rounds == FIRST else (CANDIDATES, POLISHED)
    waiting = _promising(problem, before.where, guessed, rng, count, kept)
    return replace(before, waiting=waiting, rounds=rounds)


def may_leave_noise(problem: Problem) -> bool:
    """Whether there are enough rows to test the residuals, and few enough for it to be cheap."""
    rows, free = problem.rows, len(problem.free_params)
    return problem.loss.is_least_squares and rows <= SCREENED_ROWS and rows - free >= SPARE


def leaves_noise_alone(statistics: Statistics) -> bool:
    """Whether the residuals are only noise: the fit explains most of the variation, its params are
    well identifiable, and the residuals have neither autocorrelation nor outliers. Then no other
    minimum of the model is lower by more than chance."""
    figures = statistics.figures
    ratio, apart = figures.looks[residuals.RATIO], figures.looks[residuals.APART]
    return bool(
        figures.r_squared >= MOST
        and figures.condition <= CERTAIN
        and abs(ratio - 2) <= WHITE * 2 / math.sqrt(figures.n)
        and not apart
    )


def challenge(problem: Problem, end: Tensor, seed: int) -> Search:
    """A search of one round for minima lower than the end of a fit, (params,), which is refined
    first."""
    chosen = tuple(i for i, free in enumerate(problem.free) if free)
    rng = np.random.default_rng([seed, 0])
    where = _ranges(problem)
    waiting = _promising(problem.surrogate, where, chosen, rng, CHALLENGERS)
    waiting = torch.cat([end.double().cpu().unsqueeze(0), waiting])
    return Search(waiting, where, (), rounding(problem), ROUNDS)


def lower(search: Search) -> tuple[Tensor, float] | None:
    """The best end of a challenge, if it is lower than the end that it started with."""
    if not search.ends:
        return None
    own, best = search.ends[0][1], search.best
    return best if best[1] < own * (1 - LOWER) - search.rounding else None


@np.errstate(all="ignore")
def _promising(
    problem: Problem, where: Sequence[Range], guessed: tuple[int, ...],
    rng: np.random.Generator, count: int, kept: int = POLISHED,
) -> Tensor:  # fmt: skip
    """The candidates with the lowest losses that are not close to each other."""
    small = thinned(problem, SCREENED_ROWS)
    points, losses = _screened(small, _candidates(small, where, guessed, rng, count), guessed)
    order = np.argsort(np.nan_to_num(losses, nan=math.inf), kind="stable")
    return torch.from_numpy(points[_apart(points, order, kept)])


def polish(problem: Problem, search: Search) -> Search:
    """The search with a few more candidates refined."""
    small, chosen = thinned(problem, POLISHED_ROWS), search.waiting[:AT_ONCE]
    solver = Marquardt(Task(small, POLISH, shared(len(chosen), small.rows, chosen)))
    state = solver.init()
    state, _ = solver.step(state, POLISH.epochs)
    ends = solver.ends(state)
    reached = [
        (theta, loss)
        for theta, loss in zip(ends.best, ends.best_loss.tolist(), strict=True)
        if math.isfinite(loss)
    ]
    found = replace(search, waiting=search.waiting[AT_ONCE:], ends=(*search.ends, *reached))
    if found.rounds > FIRST or not reached or found.agreeing < 2:
        return found
    settled = found.best[1] <= found.rounding or leaves_noise_alone(
        summarise(problem, found.best[0])
    )
    return replace(found, settled=settled)


def rounding(problem: Problem) -> float:
    """The loss of residuals that are only rounding errors of the target."""
    of = problem.target.double()
    z = of if problem.sigma is None else of / problem.sigma.double()
    size = float(z.abs().max()) * ROUNDED * torch.finfo(problem.target.dtype).eps
    return size * size if problem.loss.has_likelihood else size


def thinned(problem: Problem, most: int) -> Problem:
    """The problem on at most `most` of its rows, evenly spread; on the CPU, whose kernel is the
    fastest way to evaluate few rows often."""
    step = -(-problem.rows // most)
    small = problem if step == 1 else problem.on(slice(None, None, step), problem.initial)
    return small if small.target.device.type == "cpu" else small.to("cpu")


def _ranges(problem: Problem) -> tuple[Range, ...]:
    return ranges(thinned(problem, SCREENED_ROWS))


def _candidates(
    problem: Problem, where: Sequence[Range], guessed: tuple[int, ...],
    rng: np.random.Generator, count: int,
) -> Floats:  # fmt: skip
    """Params to try, (count, params): the first all ones, the others drawn from their ranges."""
    points = problem.initial.double().cpu().repeat(count, 1).numpy()
    for i in guessed:
        points[1:, i] = drawn(where[i], problem, count - 1, rng)
        points[0, i] = 1.0
    return _within(problem, _at_phases(points, where, guessed))


def _at_phases(points: Floats, where: Sequence[Range], guessed: tuple[int, ...]) -> Floats:
    """Half of the candidates at several phases each, if there are phases: a right frequency has a
    low loss only near the right phase. The amplitude is solved for with either sign, so the phases
    span half a period."""
    turns = {i: where[i].turn for i in guessed if where[i].turn is not None}
    if not turns:
        return points
    found = np.repeat(points[: len(points) // 2], PHASES, axis=0)
    for i, turn in turns.items():
        assert turn is not None
        found[:, i] += np.tile(np.arange(PHASES) * turn / (2 * PHASES), len(points) // 2)
    return found


def _within(problem: Problem, points: Floats) -> Floats:
    """The params clipped to their bounds."""
    lower, upper = problem.lower.double().cpu().numpy(), problem.upper.double().cpu().numpy()
    return np.clip(points, lower, upper)


def _screened(problem: Problem, points: Floats, guessed: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The candidates with their linear params solved for, and their losses."""
    formula = problem.formula
    assert isinstance(formula, Formula)
    together = zip(problem.free_params, problem.linear.tolist(), strict=True)
    at = [formula.params.index(name) for name, is_linear in together if is_linear]
    linear = [i for i in at if i in guessed]
    if not linear or problem.rows <= len(linear):
        return points, losses_at(problem, points)
    r = linearised_at(problem, formula.program(linear).tensors, points, 0.0)[1]
    steps = least_norm(r, np.full(len(r), float(problem.rows)))
    steps = np.where(np.isfinite(steps), steps, 0.0)
    solved = points.copy()
    solved[:, linear] += steps
    left = np.einsum("nij,nj->ni", r[:, :, :-1], steps) + r[:, :, -1]
    losses = np.einsum("ni,ni->n", left, left) / problem.rows
    within = _within(problem, solved)
    clipped = (within != solved).any(axis=1)
    if clipped.any():
        losses[clipped] = losses_at(problem, within[clipped])
    return within, losses


def _apart(points: Floats, order: Floats, count: int) -> list[int]:
    """The first `count` candidates in that order that are not close to one already taken."""
    taken: list[int] = []
    for i in order.tolist():
        known = points[taken]
        if not (np.abs(points[i] - known) <= 0.05 * np.abs(known)).all(axis=1).any():
            taken.append(i)
        if len(taken) == count:
            break
    return taken
