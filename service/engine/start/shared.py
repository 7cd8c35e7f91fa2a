"""Starts of a fit of groups that share params.

A shared param starts at the median of separate fits of the groups, so that no single group matters
much; at its value in one fit of all rows; or at values drawn from its range. All are tried on some
of the groups, whose other params are solved for or taken from the best of several places; the fit
of all groups begins at the lowest ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.catalogue.options import NoOptions
from service.engine.fit_options import Options, Tolerance
from service.engine.formula import Formula
from service.engine.objectives.points import losses_of
from service.engine.problem import Groups, Task
from service.engine.result import Ends
from service.engine.start.canonical import canonical
from service.engine.start.groups import with_linear
from service.engine.start.ranges import drawn, ranges
from service.engine.start.search import SCREENED_ROWS, rounding, thinned

TRIED_GROUPS, TRIED_ROWS = 48, 200
"""The groups that starts are tried on, and the most rows of each."""
DRAWS, KEPT = 64, 4
"""Values of the shared params that are drawn, and how many of them are refined."""
LEADING = 2
"""Ends from which all groups are fitted, if their losses differ by at most this factor."""
TRIAL = Options(
    "levenberg_marquardt", NoOptions(), epochs=60, record_every=60,
    tolerance=Tolerance(params=1e-8),
)  # fmt: skip
ALIKE = 1e-6
"""Relative difference below which losses are the same."""
SAME = 1e-3
"""Relative difference below which values of the shared params are the same."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of the params before groups are fitted together."""

    own: Tensor
    """Of each group, (groups, params): by a separate fit, or its start."""
    points: tuple[Tensor, ...]
    """Of all groups, (params,) each: medians, the fit of all rows, the given start."""

    def at(self, groups: Tensor) -> Known:
        """What is known of some of the groups."""
        return Known(self.own[groups], self.points)


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
    options = replace(task.options, search=search, challenge=bool(local))
    return Task(replace(problem, free=free), options, fits)


def known_of(task: Task, whole: Ends | None, groups: Tensor, apart: Ends | None) -> Known:
    """What the fit of all rows, and the separate fits of some `groups`, tell of the params."""
    initial = task.fits.initial.double()
    shared = set(task.shared_places.tolist())
    own, points = initial, []
    if apart is not None:
        finite = torch.isfinite(apart.theta).all(dim=1)
        good = apart.converged & finite
        good = good if bool(good.any()) else finite
        if bool(good.any()):
            own = initial.clone()
            own[groups[good]] = apart.theta[good]
            points.append(apart.theta[good].median(dim=0).values)
    if whole is not None and bool(torch.isfinite(whole.best[0]).all()):
        points.append(whole.best[0])
    if not shared & set(task.options.search) or not points:
        points.append(initial.median(dim=0).values)
    return Known(own, tuple(points))


def tried(task: Task) -> tuple[Task, Tensor]:
    """The task of trying starts, on some of the rows of some of the groups; and which these are."""
    fits = task.fits
    order = torch.argsort(fits.sizes, stable=True)
    if len(order) > TRIED_GROUPS:
        order = order[torch.linspace(0, len(order) - 1, TRIED_GROUPS).long()]
    chosen = order.sort().values
    parts = []
    for begin, end in fits.spans[:, chosen].T.tolist():
        count = min(end - begin, TRIED_ROWS)
        parts.append(begin + np.arange(count) * (end - begin) // count)
    rows = torch.from_numpy(np.concatenate(parts)).to(task.problem.target.device)
    ends = torch.from_numpy(np.cumsum([len(part) for part in parts]))
    spans = torch.stack([torch.cat([ends[:1] * 0, ends[:-1]]), ends])
    problem = task.problem.on(rows, task.problem.initial).to("cpu")
    options = replace(TRIAL, seed=task.options.seed, search=task.options.search)
    return Task(problem, options, Groups(spans, fits.initial[chosen]), task.shared), chosen


def screened(task: Task, known: Known) -> list[Tensor]:
    """Starts to be tried, (groups, params) each: at every known point, and at the best values of
    those drawn for the shared params."""
    shared = torch.from_numpy(task.shared_places)
    found: list[Tensor] = []
    for point in known.points:
        if not any(_same(point[shared], start[0, shared]) for start in found):
            found.append(with_shared(task, known, point))
    drawings = [with_shared(task, known, point, point) for point in _drawn(task, known)]
    losses = [total(task, theta) for theta in drawings]
    for i in sorted(range(len(losses)), key=losses.__getitem__):
        theta = drawings[i]
        if np.isfinite(losses[i]) and len(found) < len(known.points) + KEPT:
            apart = not any(_same(theta[0, shared], start[0, shared]) for start in found)
            found += [theta] * apart
    return found


@np.errstate(all="ignore")
def _drawn(task: Task, known: Known) -> list[Tensor]:
    """Values of the free params drawn from their ranges, (params,) each."""
    problem = thinned(task.problem, SCREENED_ROWS)
    if not isinstance(problem.formula, Formula):
        return []
    rng = np.random.default_rng([task.options.seed, len(task.fits)])
    points = known.points[0].numpy()[None].repeat(DRAWS, axis=0)
    where = ranges(problem)
    for i in problem.places.tolist():
        points[:, i] = drawn(where[i], problem, DRAWS, rng)
    points = np.clip(points, *problem.limits.numpy())
    return [torch.from_numpy(point) for point in points]


def with_shared(task: Task, known: Known, point: Tensor, *others: Tensor) -> Tensor:
    """The start with the shared params of `point`, and each group's own from where its loss is the
    lowest: as in `others`, or as known; the linear ones solved for, too. Of places that are as
    good the first is taken: a group whose own params its rows do not determine has them of usual
    size."""
    shared, count = torch.from_numpy(task.shared_places), len(known.own)
    local = locals_of(task, known.own)
    places = [*(each.repeat(count, 1) for each in (*others, *known.points)), known.own]
    thetas = []
    for place in places:
        theta = place.clone()
        theta[:, shared] = point[shared]
        thetas += [with_linear(local, theta), theta]
    losses = torch.stack([losses_of(task.problem, task.fits, theta) for theta in thetas])
    losses = losses.nan_to_num(nan=torch.inf)
    limit = losses.min(dim=0).values * (1 + ALIKE) + rounding(task.problem)
    best = (losses <= limit).to(torch.uint8).argmax(dim=0)
    return torch.stack(thetas)[best, torch.arange(count)]


def total(task: Task, theta: Tensor) -> float:
    """Σρ over all groups; infinite where no group has one."""
    sums = losses_of(task.problem, task.fits, theta) * task.fits.sizes
    finite = torch.isfinite(sums)
    return float(sums[finite].sum()) if bool(finite.any()) else np.inf


def leading(task: Task, ends: list[tuple[float, Tensor]]) -> list[Tensor]:
    """The params at the lowest ends of the starts that were tried, (params,) each: the shared ones,
    and the medians of the others."""
    shared = torch.from_numpy(task.shared_places)
    found: list[Tensor] = []
    ordered = sorted(ends, key=lambda end: end[0])
    for loss, theta in ordered:
        if not loss <= LEADING * ordered[0][0]:
            break
        point = _canonical(task, theta)
        apart = not any(_same(point[shared], other[shared]) for other in found)
        if apart and len(found) < LEADING:
            found.append(point)
    return found


def _canonical(task: Task, theta: Tensor) -> Tensor:
    """The median of the canonical forms of each group's params, in which the shared ones are the
    same, or of the params as they are."""
    problem, chosen = thinned(task.problem, SCREENED_ROWS), task.options.search
    where, shared = ranges(problem), torch.from_numpy(task.shared_places)
    forms = [
        canonical(task.one(group).problem, row, where, chosen) for group, row in enumerate(theta)
    ]
    found = torch.stack(forms)
    alike = all(_same(form[shared], found[0, shared]) for form in forms)
    return (found if alike else theta).median(dim=0).values


def _same(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().le(SAME * other.abs()).all())
