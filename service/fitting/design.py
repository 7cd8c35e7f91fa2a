"""The answer to `design`: the precision of the fit with one more reading at each candidate."""

from __future__ import annotations

import math

import numpy as np
import torch

from service.engine.formula import Formula
from service.engine.inference.design import gains
from service.engine.inference.statistics import Statistics
from service.engine.kernel import operators
from service.engine.kernel.types import Floats
from service.fitting.noise_answer import expression_of, noise_of
from service.fitting.noise_at import sigma_at
from service.fitting.plan import Plan
from service.schemas.resampled import Design
from service.schemas.resampling import CandidateRange, DesignOptions


def to_design(plan: Plan, theta: torch.Tensor, statistics: Statistics) -> Design | None:
    """The candidates, best first; None where they were not asked for, or the fit has no
    covariance."""
    asked, problem = plan.request.design, plan.task.problem.double()
    formula = problem.formula
    if asked is None or statistics.covariance is None or not isinstance(formula, Formula):
        return None
    figures, names = statistics.figures, formula.inputs
    raw = _candidates(asked, names)
    inputs = [
        plan.scaling[name].apply(torch.from_numpy(column)) if name in plan.scaling
        else torch.from_numpy(column)
        for name, column in zip(names, raw, strict=True)
    ]  # fmt: skip
    point = theta.double().cpu().unsqueeze(0)
    read = operators.read(
        formula.program(problem.places.tolist()).tensors, torch.stack(inputs), point
    )[:, 0]
    sigma = _sigma(plan, asked, read[0].numpy(), dict(zip(names, raw, strict=True)))
    slopes = (read[1:].numpy() / sigma).T
    gradient = None if asked.of is None else _gradient(plan, asked.of, point)
    found = gains(figures.covariance, float(figures.noise), slopes, gradient)
    best = found.volume if found.stderr is None else found.stderr
    order = np.argsort(np.nan_to_num(best, nan=np.inf), kind="stable")
    now = None
    if gradient is not None:
        now = math.sqrt(max(0.0, float(gradient @ figures.covariance @ gradient)))
    return Design(
        of=asked.of,
        criterion="D" if asked.of is None else "c",
        stderr_now=now,
        candidates={name: column[order].tolist() for name, column in zip(names, raw, strict=True)},
        stderr=None if found.stderr is None else found.stderr[order].tolist(),
        volume=found.volume[order].tolist(),
    )


def _sigma(
    plan: Plan, asked: DesignOptions, predictions: Floats, inputs: dict[str, Floats]
) -> Floats | float:
    """σ of the next reading at each candidate, in units of that of the fit."""
    given, expr = plan.request.sigma, expression_of(plan.request)
    if asked.sigma is not None:
        return asked.sigma
    if expr is None:
        return given if isinstance(given, float) else 1.0
    found = noise_of(plan)
    params = {} if found is None else found.params
    values = np.array([list(params.values())], dtype=np.float64).reshape(1, len(params))
    return sigma_at(expr, tuple(params), values, predictions, {}, inputs)


def _candidates(asked: DesignOptions, names: tuple[str, ...]) -> list[Floats]:
    given = asked.candidates
    if isinstance(given, CandidateRange):
        return [np.linspace(given.min, given.max, given.steps)]
    if isinstance(given[0], dict):
        return [np.array([row[name] for row in given]) for name in names]
    return [np.array(given, dtype=np.float64)]


def _gradient(plan: Plan, name: str, theta: torch.Tensor) -> Floats:
    """∂h/∂θ of a param or a report by the free params, (q,)."""
    problem = plan.task.problem
    formula = problem.formula
    assert isinstance(formula, Formula)
    if name in problem.free_params:
        unit = np.zeros(len(problem.places))
        unit[problem.free_params.index(name)] = 1.0
        return unit
    texts = dict(plan.report.texts)
    derived = formula.derived(((name, texts.get(name, name)),))
    found: Floats = derived.read(theta)[1][0, 0, problem.places]
    return found
