"""Starts of a fit of groups that share params: from one fit of all rows, and from separate fits.

A shared param starts at the median of the separate fits, so that no single group matters much, or
at its value in the one fit of all rows. With the shared params at such a start each group's own
params are fitted, from the best of several starts.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from service.engine.objectives.points import losses_of
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
from service.engine.problem import Options, Task, Tolerance
from service.engine.result import Ends
from service.engine.solvers.marquardt import Marquardt
from service.engine.start.groups import with_linear

LOCAL = Options(
    "levenberg_marquardt", LevenbergMarquardt(), epochs=100, record_every=100,
    tolerance=Tolerance(params=1e-6),
)  # fmt: skip
"""Options of the fits of each group's own params, the shared ones fixed."""
SAME = 1e-6
"""Relative difference below which starts are the same."""


def together(task: Task) -> Task:
    """The task of one fit of all rows, every param shared."""
    start = task.fits.initial.double().median(dim=0).values.to(task.problem.initial)
    problem = replace(task.problem, initial=start)
    return Task(problem, replace(task.options, challenge=None))


def eligible(task: Task) -> Tensor:
    """The groups with more rows than free params, which can be fitted separately."""
    return (task.fits.sizes > len(task.problem.free_params)).nonzero().flatten()


def separate(task: Task, groups: Tensor) -> Task:
    """The task of separate fits of some groups, no param shared."""
    return Task(task.problem, replace(task.options, challenge=None), task.fits.at(groups))


def locals_of(task: Task, theta: Tensor) -> Task:
    """The task of fitting each group's own params with the shared ones fixed, from θ."""
    problem, local = task.problem, set(task.local_places.tolist())
    free = tuple(i in local for i in range(len(problem.params)))
    fits = replace(task.fits, initial=theta.to(task.fits.initial.dtype))
    search = tuple(i for i in task.options.search if i in local)
    options = replace(task.options, search=search, challenge=bool(local), seed=task.options.seed)
    return Task(replace(problem, free=free), options, fits)


def candidates(task: Task, whole: Ends | None, groups: Tensor, apart: Ends | None) -> list[Tensor]:
    """Starts of all groups, each (groups, params), the best first: from the ends of the one fit,
    and those of the separate fits of some `groups`."""
    initial = task.fits.initial.double()
    shared = torch.from_numpy(task.shared_places)
    own, middle = initial, None
    if apart is not None:
        good = apart.converged & torch.isfinite(apart.theta).all(dim=1)
        good = good if bool(good.any()) else torch.isfinite(apart.theta).all(dim=1)
        if bool(good.any()):
            own = initial.clone()
            own[groups[good]] = apart.theta[good]
            middle = apart.theta[good].median(dim=0).values
    points = [] if middle is None else [middle]
    if whole is not None and bool(torch.isfinite(whole.best[0]).all()):
        points.append(whole.best[0])
    known = not set(shared.tolist()) & set(task.options.search)
    if known or not points:
        points.append(initial.median(dim=0).values)
    places = [own, *(point.repeat(len(initial), 1) for point in points)]
    made: list[Tensor] = []
    for point in points:
        if not any(_same(point[shared], start[0, shared]) for start in made):
            made.append(_with_locals(task, places, point, shared))
    losses = [float(_losses(task, theta).nan_to_num(nan=torch.inf).sum()) for theta in made]
    return [made[i] for i in sorted(range(len(made)), key=losses.__getitem__)]


def _same(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().le(SAME * other.abs()).all())


def _losses(task: Task, theta: Tensor) -> Tensor:
    """Σρ of each group, (groups,)."""
    return losses_of(task.problem, task.fits, theta) * task.fits.sizes


def _with_locals(task: Task, places: list[Tensor], point: Tensor, shared: Tensor) -> Tensor:
    """The start with the shared params of `point`, and each group's own fitted from the best of
    its `places`."""
    local, tried = locals_of(task, task.fits.initial), []
    for place in places:
        theta = place.clone()
        theta[:, shared] = point[shared]
        tried += [theta, with_linear(local, theta)]
    losses = torch.stack([_losses(task, theta) for theta in tried])
    best = losses.nan_to_num(nan=torch.inf).argmin(dim=0)
    start = torch.stack(tried)[best, torch.arange(len(best))]
    if local.problem.is_linear or not len(task.local_places):
        return start
    solver = Marquardt(Task(local.problem, LOCAL, replace(local.fits, initial=start)))
    ends = solver.ends(solver.step(solver.init(), LOCAL.epochs)[0])
    found = torch.where(torch.isfinite(ends.best_loss).unsqueeze(-1), ends.best, start)
    return found.double()
