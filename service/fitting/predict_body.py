"""What /predict takes of a fit."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from service.engine.formula import Formula
from service.engine.inference.statistics import Statistics
from service.engine.noise import ResidualScale
from service.engine.problem import Problem
from service.fitting.derived import named
from service.fitting.likelihoods import density_inputs
from service.fitting.noise_answer import curve_noise
from service.fitting.plan import Plan
from service.fitting.statistics_answer import number
from service.fitting.ties import texts_of
from service.schemas import answers as wire

NORMAL = 10**12
"""Degrees of freedom at which Student's t equals the normal distribution to rounding."""


def predict_body(
    plan: Plan, theta: Tensor, statistics: Statistics,
    covariance: dict[str, dict[str, float]] | None,
) -> wire.PredictBody:  # fmt: skip
    """The body for /predict of a fit at θ (params,), without its data."""
    problem = plan.task.problem
    return wire.PredictBody(
        model=model_again(problem),
        params={
            **named(problem.params, theta),
            **{n: wire.TiedParam(expr=text) for n, text in texts_of(problem.formula).items()},
        },
        scaling=scales(plan),
        dtype=plan.request.dtype,
        covariance=covariance,
        residual_std=residual_std(plan, statistics),
        sigma_scale=sigma_scale(plan, statistics),
        noise=curve_noise(plan),
        input_range=input_range(plan),
        units=dict(plan.request.units),
        degrees_of_freedom=NORMAL
        if problem.sigma_absolute
        else max(statistics.degrees_of_freedom, 0) or None,
    )


def residual_std(plan: Plan, statistics: Statistics) -> float | None:
    """The standard deviation of an observation, where it is the same for all."""
    sigma, noise = plan.request.sigma, plan.task.problem.noise
    if plan.request.weights is not None:
        return None
    if isinstance(noise, ResidualScale) and plan.noise is not None:
        scale = float(plan.noise.values[0, 0])
        return scale * sigma if isinstance(sigma, float) else scale if sigma is None else None
    if sigma is None:
        return statistics.residual_std
    if isinstance(sigma, float):
        noise_std = number(statistics.figures.noise)
        return None if noise_std is None else noise_std * sigma
    return None


def sigma_scale(plan: Plan, statistics: Statistics) -> float | None:
    """The standard deviation of an observation in units of sigma; None without sigma."""
    request, problem = plan.request, plan.task.problem
    if problem.loss.likelihood is not None or problem.sigma is None:
        return None
    if request.sigma is None and request.weights is None:
        return None
    if isinstance(problem.noise, ResidualScale):
        return None if plan.noise is None else float(plan.noise.values[0, 0])
    return number(statistics.figures.noise)


def input_range(plan: Plan) -> dict[str, list[float]] | None:
    """The smallest and largest value of each input of a formula, in raw units."""
    if not isinstance(plan.task.problem.formula, Formula):
        return None
    ranges = {name: plan.raw[name].numpy() for name in density_inputs(plan.raw)}
    return {name: [float(x.min()), float(x.max())] for name, x in ranges.items()}


def scales(plan: Plan) -> dict[str, dict[str, float]] | None:
    """The scaling of the inputs, as in a request."""
    return {
        name: {"scale": scale.scale, "offset": scale.offset} for name, scale in plan.scaling.items()
    } or None


def model_again(problem: Problem) -> str | dict[str, Any]:
    """The model, as in a request."""
    model = problem.formula
    if isinstance(model, Formula):
        return model.text
    return {
        "name": "mlp",
        "hidden": list(model.hidden),
        "activation": model.activation,
        "inputs": list(model.inputs),
        "target": model.target,
    }
