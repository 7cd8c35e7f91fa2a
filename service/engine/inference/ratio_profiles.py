"""Profile intervals of a param's ratios between groups with one noise.

The ratio of group h to the reference becomes a shared param: with 1 in the column u_h for the rows
of group h and 0 elsewhere, the param is written as e·(u_ref + Σ_h u_h·φ_h), or with φ_h below for
the inverse ratio. The formula is the same; the profiles of φ_h, along which all other params of all
groups are fitted again, are those of the ratios (Bates and Watts, Nonlinear Regression Analysis,
1988, 6.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from service.engine.formula import Formula, read_formula
from service.engine.inference.pooled import pool
from service.engine.inference.shared_intervals import shared_intervals
from service.engine.kernel.types import Bools, Floats
from service.engine.names import leaves
from service.engine.problem import Groups, Task
from service.engine.syntax import parse

MOST_GROUPS = 24
"""More groups would make a formula too long."""


@dataclass(frozen=True, eq=False)
class RatioLimits:
    """Confidence limits of ratios, (groups,); NaN for the reference, and where there is none."""

    lower: Floats
    upper: Floats
    open: Bools
    """Where the data set no limit on one side."""


@np.errstate(all="ignore")
def ratio_limits(
    task: Task, theta: Floats, name: str, reference: int, level: float, *, inverse: bool
) -> RatioLimits:
    """The limits of the ratios of that local param, at θ (groups, params) of a task in float64."""
    groups = len(task.fits)
    found = RatioLimits(
        np.full(groups, np.nan), np.full(groups, np.nan), np.zeros(groups, dtype=np.bool_)
    )
    own = theta[:, task.problem.params.index(name)]
    ratios = own[reference] / own if inverse else own / own[reference]
    if not (np.isfinite(theta).all() and np.isfinite(ratios).all()):
        return found
    made = _with_ratios(task, theta, name, reference, ratios, inverse=inverse)
    pooled = pool(made.task, made.theta)
    wanted = np.array([each in made.ratios for each in pooled.shared])
    limits = shared_intervals(made.task, made.theta, pooled, level, "profile", wanted)
    if limits is None:
        return found
    for group, ratio in zip(made.groups, made.ratios, strict=True):
        at = pooled.shared.index(ratio)
        found.lower[group], found.upper[group] = limits.lower[at], limits.upper[at]
        found.open[group] = limits.open[at]
    return found


@dataclass(frozen=True, eq=False)
class _Rewritten:
    task: Task
    theta: Floats
    groups: list[int]
    ratios: list[str]
    """The params that are the ratios of these groups."""


def _with_ratios(
    task: Task, theta: Floats, name: str, reference: int, ratios: Floats, *, inverse: bool
) -> _Rewritten:
    """The task with the ratios as shared params."""
    problem = task.problem
    formula = problem.formula
    assert isinstance(formula, Formula)
    taken = {*formula.inputs, *formula.params, *formula.target_columns}
    names = _free_names(taken)
    others = [g for g in range(len(task.fits)) if g != reference]
    flags = {g: next(names) for g in (reference, *others)}
    params = {g: next(names) for g in others}
    sign = "/" if inverse else "*"
    factor = " + ".join([flags[reference], *(f"{flags[g]}{sign}{params[g]}" for g in others)])
    columns = frozenset((*formula.inputs, *formula.target_columns, *flags.values()))
    changed = read_formula(_replaced(formula.text, name, f"({name}*({factor}))"), columns)
    old = {each: i for i, each in enumerate(problem.params)}
    ratio_of = {params[g]: float(ratios[g]) for g in others}
    new = np.empty((len(theta), len(changed.params)))
    for i, each in enumerate(changed.params):
        new[:, i] = ratio_of[each] if each in ratio_of else theta[:, old[each]]
        if each == name:
            new[:, i] = theta[reference, old[name]]
    whole = dict.fromkeys(ratio_of, (-torch.inf, torch.inf, True)) | {
        p: (float(problem.lower[i]), float(problem.upper[i]), problem.free[i])
        for p, i in old.items()
    }
    lower, upper, free = zip(*(whole[p] for p in changed.params), strict=True)
    rows = torch.zeros(len(flags), problem.rows, dtype=torch.float64)
    for i, group in enumerate(flags):
        rows[i, slice(*task.fits.spans[:, group].tolist())] = 1.0
    own = replace(
        problem, formula=changed, free=free,
        columns={**problem.columns, **dict(zip(flags.values(), rows, strict=True))},
        initial=torch.from_numpy(new[0].copy()),
        lower=torch.tensor(lower, dtype=torch.float64),
        upper=torch.tensor(upper, dtype=torch.float64),
    )  # fmt: skip
    kept = {problem.params[i] for i in task.shared or ()} | {name, *ratio_of}
    shared = tuple(i for i, p in enumerate(changed.params) if p in kept)
    fits = Groups(task.fits.spans, torch.from_numpy(new))
    made = replace(task, problem=own, groups=fits, shared=shared)
    return _Rewritten(made, new, others, list(ratio_of))


def _replaced(text: str, name: str, by: str) -> str:
    """The formula with another expression in place of a name on its right side."""
    starts = sorted(leaf.column - 1 for leaf in leaves(parse(text)[1]) if leaf.name == name)
    for start in reversed(starts):
        text = text[:start] + by + text[start + len(name) :]
    return text


def _free_names(taken: set[str]) -> Iterator[str]:
    return (each for i in range(10**6) if (each := f"ratio_{i}") not in taken)
