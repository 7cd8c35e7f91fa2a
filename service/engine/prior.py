"""Normal priors of params, as rows beside the data.

A prior θ ~ N(m, C) adds (θ − m)ᵀC⁻¹(θ − m) to χ². With C = LLᵀ and W = L⁻¹ that is ‖W(θ − m)‖², the
squares of k more rows with the prediction Wθ, the target Wm and σ = 1. They follow the rows of each
group, so that every solver sees them. They are in the loss, which is the mean over all these rows,
and in the covariance. n, R² and the residuals are those of the data.
Source: Gelman et al., Bayesian Data Analysis, 3rd ed. (2013), 14.8.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.engine.derivatives import differentiate
from service.engine.formula import Formula
from service.engine.kernel.types import Bools, Floats
from service.engine.normal import NormalPrior
from service.engine.problem import Groups, Problem, Task
from service.engine.tape import Builder

IS_DATA = "is data"
"""The column that is 1 in the rows of the data and 0 in those of the prior; no formula has it."""
RESOLVED = 1e-6
"""The part of a prior's variance that the data remove, below which it is rounding."""


@dataclass(frozen=True, eq=False)
class Extended:
    """A problem and its fits with the rows of the prior."""

    problem: Problem
    fits: Groups


def extended(problem: Problem, fits: Groups, shared: Collection[int] | None = None) -> Extended:
    """Fits of a problem with the rows of its prior, which the new problem has no other of; the same
    where there is no prior. The prior of `shared` params is in the first group alone."""
    prior = problem.prior
    if prior is None:
        return Extended(problem, fits)
    assert isinstance(problem.formula, Formula)
    k, many = len(prior.mean), len(fits)
    sizes, device = fits.sizes + k, problem.target.device
    ends = torch.cumsum(sizes, 0)
    group = torch.repeat_interleave(torch.arange(many), sizes)
    place = torch.arange(int(ends[-1])) - (ends - sizes)[group]
    of_prior = place - fits.sizes[group]
    rows = (fits.spans[0][group] + torch.minimum(place, fits.sizes[group] - 1)).to(device)
    is_data = (of_prior < 0).to(device)
    row = torch.clamp(of_prior, min=0).to(device)

    once = torch.from_numpy(are_shared(problem, prior, shared or ())).to(device)
    is_none = is_data | (once[row] & (group > 0).to(device))

    def column(own: Floats) -> Tensor:
        """0 in the rows of the data, those values in the rows of the prior."""
        values = torch.from_numpy(np.ascontiguousarray(own)).to(problem.target)
        return torch.where(is_none, torch.zeros_like(values[:1]), values[row])

    own = problem.on(rows, problem.initial)
    weights = {_weight(name): column(prior.factor[:, i]) for i, name in enumerate(prior.names)}
    sigma = torch.ones_like(own.target) if own.sigma is None else own.sigma
    found = replace(
        own,
        formula=with_rows_of(problem.formula, prior.names),
        columns={**own.columns, IS_DATA: is_data.to(problem.target), **weights},
        target=torch.where(is_data, own.target, column(prior.factor @ prior.mean)),
        sigma=torch.where(is_data, sigma, torch.ones_like(sigma)),
        prior=None,
    )
    return Extended(found, replace(fits, spans=torch.stack([ends - sizes, ends])))


def of_one(problem: Problem) -> Problem:
    """The problem of one fit with the rows of its prior."""
    if problem.prior is None:
        return problem
    return extended(problem, Groups(problem.whole, problem.initial.cpu().unsqueeze(0))).problem


def of_task(task: Task) -> Task:
    """The task with the rows of its prior."""
    if task.problem.prior is None:
        return task
    found = extended(task.problem, task.fits, task.shared)
    groups = None if task.groups is None else found.fits
    return replace(task, problem=found.problem, groups=groups)


def are_shared(problem: Problem, prior: NormalPrior, shared: Collection[int]) -> Bools:
    """Which rows of a prior are of shared params, at those positions, (k,)."""
    return _rows_on(problem, prior, np.isin(np.arange(len(problem.params)), list(shared)))


def are_mixed(problem: Problem, prior: NormalPrior, shared: Collection[int]) -> bool:
    """Whether a row of a prior is both of shared params and of others."""
    is_shared = np.isin(np.arange(len(problem.params)), list(shared))
    return bool((_rows_on(problem, prior, is_shared) & _rows_on(problem, prior, ~is_shared)).any())


def _rows_on(problem: Problem, prior: NormalPrior, chosen: Bools) -> Bools:
    """Which rows of a prior depend on one of those params, (k,)."""
    tied = problem.formula.tied if isinstance(problem.formula, Formula) else None
    on = np.zeros(len(prior.names), dtype=np.bool_)
    for i, name in enumerate(prior.names):
        if name in problem.params:
            on[i] = chosen[problem.params.index(name)]
        elif tied is not None:
            on[i] = bool((tied.depends[tied.names.index(name)] & chosen).any())
    found: Bools = ((prior.factor != 0) & on).any(axis=1)
    return found


def with_rows_of(formula: Formula, names: tuple[str, ...]) -> Formula:
    """The formula is_data·f + Σ w_i·θ_i, with a column of weights for each of the params, which may
    be tied."""
    if names not in formula.extended:
        formula.extended[names] = _with_rows_of(formula, names)
    return formula.extended[names]


def _with_rows_of(formula: Formula, names: tuple[str, ...]) -> Formula:
    builder = Builder()
    (value,) = builder.copy(formula.prediction, {})
    total = builder.apply("multiply", builder.column(IS_DATA), value)
    tied: dict[str, int] = {}
    if formula.tied is not None:
        nodes = builder.copy(formula.tied.tape, {})
        tied = dict(zip(formula.tied.names, nodes, strict=True))
    for name in names:
        own = tied[name] if name in tied else builder.param(name)
        total = builder.apply("add", total, builder.apply("multiply", _column(builder, name), own))
    slopes = differentiate(builder, total, formula.params)
    return replace(
        formula,
        inputs=(*formula.inputs, IS_DATA, *map(_weight, names)),
        prediction=builder.tape([total]),
        tape=builder.tape([total, *(slopes[name] for name in formula.params)]),
    )


def _weight(name: str) -> str:
    return f"weight of {name}"


def _column(builder: Builder, name: str) -> int:
    return builder.column(_weight(name))


def values_of(problem: Problem, prior: NormalPrior, theta: Tensor) -> tuple[Floats, Floats]:
    """The params of a prior, tied ones too, at θ (fits, params), (fits, k); and their slopes by the
    free params, (fits, k, q)."""
    formula = problem.formula
    assert isinstance(formula, Formula)
    at: Floats = theta.double().cpu().numpy()
    values = np.empty((len(at), len(prior.names)))
    slopes = np.zeros((len(at), len(prior.names), at.shape[1]))
    read = None if formula.tied is None else formula.tied.read(theta)
    for i, name in enumerate(prior.names):
        if name in problem.params:
            place = problem.params.index(name)
            values[:, i], slopes[:, i, place] = at[:, place], 1.0
        else:
            assert formula.tied is not None
            assert read is not None
            m = formula.tied.names.index(name)
            values[:, i], slopes[:, i] = read[0][:, m], read[1][:, m]
    return values, slopes[:, :, problem.places]


@dataclass(frozen=True, eq=False)
class Learned:
    """What the data say of the k params with a prior, (fits, k)."""

    values: Floats
    apart: Floats
    """(θ̂ − m)/√(sd² − se²), a standard normal variate if data and prior agree: the variance of the
    posterior mean is that of the prior less that of the posterior."""
    share: Floats
    """1 − (se/sd)², the part of the variance of the prior that the data remove."""


def learned(problem: Problem, theta: Floats, covariance: Floats) -> Learned:
    """What the data say at θ (fits, params), with the covariance (fits, q, q); NaN without one."""
    prior = problem.prior
    assert prior is not None
    values, slopes = values_of(problem, prior, torch.from_numpy(theta))
    variance = np.einsum("fki,fij,fkj->fk", slopes, covariance, slopes)
    share = 1 - variance / prior.sd**2
    with np.errstate(all="ignore"):
        apart = (values - prior.mean) / (prior.sd * np.sqrt(share))
    return Learned(values, np.where(share > RESOLVED, apart, 0.0), share)
