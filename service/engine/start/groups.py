"""Starts for the fits of a task without initial values.

A single fit has its own search. For groups, starts are searched for on a few groups of different
sizes, and each group uses the one with the lowest loss. Any group may be noise, constant or
invalid: a start is kept only if it explains some variation of its group, and groups that end badly
are fitted again, from the params of groups that ended well and from searches on some of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.engine.inference.statistics import is_chance
from service.engine.kernel import operators
from service.engine.kernel.singular import least_norm
from service.engine.objectives.points import losses_of
from service.engine.problem import Groups, Problem, Task
from service.engine.result import Ends
from service.engine.start.canonical import canonical
from service.engine.start.search import SAME, Search, polish, screen

STARTS = 4
"""Maximum number of starts from one search."""
MUCH = 0.5
"""Explained fraction of a group's variation above which no other group is searched on."""
LITTLE = 0.05
"""Explained fraction below which a start is discarded."""
PLACES = (1 / 2, 3 / 4, 1, 1 / 4, 0)
"""Quantiles of the groups' sizes at which groups are searched on, in this order."""
UNLIKE = 10.0
"""Ratio of a group's unexplained fraction to the median above which it has ended badly."""
ENOUGH = 4
"""Minimum rows per free param of a group to search on, if there are such groups."""
AGAIN = 4
"""Maximum number of groups that ended badly that are searched on."""
SHARED = 3
"""Number of groups that ended well whose params are used as starts."""


@dataclass(frozen=True, eq=False)
class Starts:
    """Starts found so far, and the groups `waiting` to be searched on; the search on the first may
    be running."""

    found: Tensor
    """(starts, params), on the CPU."""
    waiting: tuple[int, ...]
    search: Search | None = None
    again: bool = False
    """Whether they are for groups that have ended badly: then all `waiting` are searched on, and
    the linear params are solved for before the starts are compared."""

    @property
    def done(self) -> bool:
        return not self.waiting


def first_starts(task: Task) -> Starts:
    """The searches needed before the first round; none if all starts are given."""
    none = task.fits.initial[:0].double()
    if not task.options.search:
        return Starts(none, ())
    if task.groups is None:
        return Starts(none, (0,))
    by_size = torch.argsort(task.groups.sizes, stable=True)
    wanted = ENOUGH * len(task.problem.free_params)
    eligible = by_size[task.groups.sizes[by_size] >= wanted]
    if not len(eligible):
        eligible = by_size[-len(PLACES) :]
    at = dict.fromkeys(int(place * (len(eligible) - 1)) for place in PLACES)
    return Starts(none, tuple(int(eligible[i]) for i in at))


def advance(task: Task, starts: Starts) -> Starts:
    """One step of the running search: its screening, a few candidates, or its end."""
    search, options = starts.search, task.options
    problem = task.one(starts.waiting[0]).problem.surrogate
    chosen = options.search or tuple(problem.places.tolist())
    if search is None:
        return replace(starts, search=screen(problem, chosen, options.seed))
    if not search.done:
        if not len(search.waiting):
            again = screen(problem, chosen, options.seed, search)
            return replace(starts, search=again)
        return replace(starts, search=polish(problem, search))
    if task.groups is None:
        best = canonical(problem, _best_of(search, problem), search.where, options.search)
        return replace(starts, found=best.unsqueeze(0), waiting=())
    return _kept(task, starts, search)


def _best_of(search: Search, problem: Problem) -> Tensor:
    """The start of a single fit: the best end, else the best candidate, else the initial params."""
    if search.ends:
        return search.best[0]
    return search.waiting[0] if len(search.waiting) else problem.initial.double().cpu()


def stopped(task: Task, starts: Starts) -> Starts:
    """The starts with the remaining searches cancelled; a single fit uses the best found so far."""
    if task.groups is None and starts.search is not None:
        best = _best_of(starts.search, task.problem)
        return replace(starts, found=best.unsqueeze(0), waiting=())
    return replace(starts, waiting=())


def _kept(task: Task, starts: Starts, search: Search) -> Starts:
    """Adds the ends that explain about as much as the lowest. In a first round the search stops
    after a group of which they explain much."""
    group, *waiting = starts.waiting
    searched = replace(task, problem=task.problem.surrogate)
    constant = float(_constant_losses(searched, torch.tensor([group]))[0])
    ends = sorted(search.ends, key=lambda end: end[1])
    left = replace(starts, waiting=tuple(waiting), search=None)
    if not (ends and constant > 0 and ends[0][1] <= (1 - LITTLE) * constant):
        return left
    most, before, kept = 0.5 * (constant + ends[0][1]), -torch.inf, [*starts.found]
    for theta, loss in ends:
        if loss <= most and loss > before * (1 + SAME) and len(kept) < len(starts.found) + STARTS:
            kept.append(theta)
            before = loss
    enough = not starts.again and ends[0][1] <= (1 - MUCH) * constant
    return replace(left, found=torch.stack(kept), waiting=() if enough else left.waiting)


def second_starts(task: Task, ends: Ends, starts: Starts) -> tuple[Tensor, Starts]:
    """The groups that ended badly (not converged, explaining no more than chance would or far less
    than another group, or leaving far more unexplained than most), and starts for them: those
    found, the params of others, and searches on some."""
    assert task.groups is not None
    constant = _constant_losses(task, torch.arange(len(ends)))
    varied = constant > 0
    explained = torch.where(varied, 1 - ends.loss / constant, 0.0).nan_to_num(nan=0.0, neginf=0.0)
    free = len(task.problem.free_params)
    telling = ends.converged & (task.groups.sizes > free)
    best = float(explained[telling].max()) if bool(telling.any()) else 0.0
    poor = explained < max(LITTLE, best - MUCH)
    left = 1 - explained
    unlike = left > UNLIKE * left[telling].median() if bool(telling.any()) else poor
    chance = is_chance(explained, task.groups.sizes - free, free)
    bad = ~ends.converged | (varied & (poor | unlike | chance))
    good = ends.theta[~bad & (explained > LITTLE)]
    middle = good.median(dim=0).values.unsqueeze(0) if len(good) else good
    initial = task.problem.initial.double().cpu().unsqueeze(0)
    found = torch.cat([starts.found, middle, _spread(good, SHARED), initial])
    hopeful = bad & varied & torch.isfinite(ends.loss)
    hopeful = hopeful if bool(hopeful.any()) else bad & ~torch.isfinite(ends.loss)
    waiting = _spread(hopeful.nonzero().flatten(), AGAIN).tolist()
    return bad.nonzero().flatten(), Starts(found, tuple(waiting), again=True)


def with_best_starts(task: Task, starts: Starts) -> Task:
    """The task with each fit at the start with the lowest loss. In a second round, the linear
    params are solved for first, which leads to other minima than in the first."""
    found = starts.found
    if not len(found):
        return task
    if len(found) == 1:
        return task.starting(found.repeat(len(task.fits), 1).to(task.fits.initial.dtype))
    searched = replace(task, problem=task.problem.surrogate)
    points, losses = [], []
    for start in found:
        theta = start.repeat(len(task.fits), 1)
        if starts.again:
            theta = with_linear(searched, theta)
        points.append(theta)
        losses.append(losses_of(searched.problem, task.fits, theta))
    best = torch.stack(losses).nan_to_num(nan=torch.inf).argmin(dim=0)
    initial = torch.stack(points)[best, torch.arange(len(best))]
    return task.starting(initial.to(task.fits.initial.dtype))


def lower_of(before: Ends, groups: Tensor, again: Ends) -> Tensor:
    """Which of the groups of a second round ended with a lower loss in it, (groups,)."""
    old, new = before.loss[groups], again.loss
    lower = (new < old * (1 - 1e-9)) | (torch.isfinite(new) & ~torch.isfinite(old))
    lower |= (new <= old * (1 + 1e-9)) & again.converged & ~before.converged[groups]
    return lower


def with_linear(task: Task, theta: Tensor) -> Tensor:
    """The params (fits, params) with the linear free ones solved for, if possible."""
    problem = task.problem
    linear = [
        problem.params.index(name)
        for name, chosen in zip(problem.free_params, problem.linear.tolist(), strict=True)
        if chosen
    ]
    if not linear:
        return theta
    program = problem.formula.program(linear).tensors  # type: ignore[union-attr]
    r = _linearise(task, task.fits, program, theta, 0.0)[1]
    steps = torch.from_numpy(least_norm(r.numpy(), task.fits.sizes.double().numpy()))
    moved = theta.clone()
    moved[:, linear] += torch.where(torch.isfinite(steps), steps, 0.0)
    lower, upper = problem.lower.double().cpu(), problem.upper.double().cpu()
    return torch.clamp(moved, lower, upper)


def _linearise(
    task: Task, fits: Groups, program: tuple[Tensor, ...], theta: Tensor, width: float
) -> tuple[Tensor, Tensor, Tensor]:
    problem, widths = task.problem, torch.full((len(fits),), width, dtype=torch.float64)
    data = problem.data(fits.spans)
    found: tuple[Tensor, Tensor, Tensor] = operators.linearise(
        program, problem.loss_number, problem.loss.delta, data, theta, widths
    )
    return found


def _constant_losses(task: Task, at: Tensor) -> Tensor:
    """The loss of the best constant prediction of some groups, (groups,)."""
    problem, some = task.problem, task.fits.at(at)
    data = problem.data(some.spans)
    found: Tensor = operators.constant_losses(problem.loss_number, problem.loss.delta, data)
    return found


def _spread(items: Tensor, most: int) -> Tensor:
    """At most `most` of the items, evenly spread."""
    if len(items) <= most:
        return items
    return items[torch.linspace(0, len(items) - 1, most).long()]
