"""Computes /predict, /loss and /gradient, the stateless parts of a fit."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor

from service.engine import slices
from service.engine.explain import Factor, explain
from service.engine.fit_options import GradientMethod
from service.engine.formula import Formula
from service.engine.inference.bands import Band, band
from service.engine.kernel import operators
from service.engine.objectives.objective import GRADIENTS, Objective
from service.engine.problem import Model, Problem
from service.engine.scaling import Scale
from service.errors import (
    BudgetExceeded,
    InvalidData,
    InvalidFormula,
    InvalidRequest,
    UnknownName,
    token,
)
from service.fitting import costs
from service.fitting.columns import (
    DTYPES,
    check_shape,
    finite_arrays,
    finite_columns,
)
from service.fitting.covariances import to_covariance
from service.fitting.derived import named
from service.fitting.likelihoods import Measure, check_alone, to_measure
from service.fitting.models import resolve
from service.fitting.noise_at import must_scale, sigma_at
from service.fitting.options import to_gradient, to_loss
from service.fitting.row_filter import rows_used, with_rows
from service.fitting.start import to_theta, values_of
from service.fitting.ties import ties_of
from service.fitting.values import (
    explained,
    narrowed,
    narrowed_sigma,
    series,
    to_scaling,
    to_sigma,
)
from service.schemas import compute as wire
from service.schemas.numbers import RobustScale
from service.schemas.options import BandOptions, Tied
from service.schemas.options import Scaling as ScalingRequest
from service.settings import Settings


def predict(
    request: wire.PredictRequest, max_rows: int = 2**62, max_operations: float = math.inf
) -> wire.Predictions:
    """f(x; θ) at each row. Raises InvalidRequest."""
    request = with_rows(request)
    if request.params is None:
        raise InvalidRequest("`params` are required without `job_id`", pointer="/params")
    rows = check_shape(request.data, max_rows)
    ties = ties_of(request.params)
    formula = resolve(request.model, request.data.keys(), request.params.keys(), ties).formula
    costs.check(costs.of_prediction(formula, request), rows, max_operations)
    if _is_plain(request) and isinstance(formula, Formula) and rows <= slices.ROWS:
        return _predict_plain(formula, request.params, request, rows)
    columns = _inputs(formula, request, DTYPES[request.dtype])
    theta = to_theta(request.params, formula, DTYPES[request.dtype])
    prediction = slices.predict(formula, columns, rows, theta)
    if request.interval is None:
        found, used = series(prediction), rows_used(request)
        return wire.Predictions(
            predictions=found, target=formula.target, units=request.units or None, rows=used
        )
    around = _band(request, request.interval, formula, columns, theta, rows)
    return wire.Predictions(
        predictions=series(prediction),
        target=formula.target,
        stderr=series(around.stderr),
        lower=series(around.lower),
        upper=series(around.upper),
        units=request.units or None,
        rows=rows_used(request),
    )


def _is_plain(request: wire.PredictRequest) -> bool:
    """Whether the request has no scaling, band or condition, and is in float64."""
    has_options = request.scaling is not None or request.interval is not None
    return not has_options and request.rows is None and request.dtype == "float64"


def _predict_plain(
    formula: Formula, params: Mapping[str, float | Tied], request: wire.PredictRequest, rows: int
) -> wire.Predictions:
    """`predict` for a plain request with few rows, with less overhead."""
    theta = torch.tensor([values_of(params, formula)], dtype=torch.float64)
    inputs = np.empty((len(formula.inputs), rows))
    for i, column in enumerate(finite_arrays(request.data, formula.inputs).values()):
        inputs[i] = column
    found: Tensor = operators.read(formula.forward.tensors, torch.from_numpy(inputs), theta)
    return wire.Predictions(
        predictions=series(found[0, 0]), target=formula.target, units=request.units or None
    )


def _band(
    request: wire.PredictRequest,
    interval: BandOptions,
    formula: Model,
    columns: Mapping[str, Tensor],
    theta: Tensor,
    rows: int,
) -> Band:
    """The requested band. Raises InvalidRequest if a field that it requires is missing."""
    if request.covariance is None or request.degrees_of_freedom is None:
        raise InvalidRequest(
            "a band requires `covariance` and `degrees_of_freedom`; the `predict` of a fit has "
            "them if the fit has standard errors",
            pointer="/interval",
        )
    free, matrix = to_covariance(request.covariance, formula.params)
    noise = None
    if interval.kind == "prediction":
        if request.noise is not None:
            known = np.array([list(request.noise.params.values())])
            own = sigma_at(
                request.noise.expr, list(request.noise.params), known,
                slices.predict(formula, columns, rows, theta).double().numpy(), request.data,
            )  # fmt: skip
            noise = torch.from_numpy(must_scale(request.sigma_scale) * own)
        elif request.residual_std is None:
            raise InvalidRequest(
                "a prediction band requires `residual_std`, the standard deviation of a new "
                "observation; a fit with a likelihood has none, for its noise follows from the "
                "mean: ask for the kind 'confidence'",
                pointer="/residual_std",
            )
        else:
            noise = torch.full((rows,), request.residual_std, dtype=torch.float64)
    return band(
        formula,
        columns,
        theta,
        free,
        torch.from_numpy(matrix),
        level=interval.level,
        degrees_of_freedom=float(request.degrees_of_freedom),
        noise=noise,
        rows=rows,
    )


def loss(request: wire.LossRequest, settings: Settings) -> wire.LossAnswer:
    """The loss at the given params; the residuals and the loss surface if requested."""
    request = with_rows(request)
    problem = _problem(request, settings.max_rows)
    cost = costs.of_loss(problem.formula, request)
    costs.check(cost, problem.rows, settings.max_answer_operations)
    objective = Objective(problem)
    residuals = None
    if request.residuals:
        residuals = series(objective.predict(problem.initial) - problem.target)
    return wire.LossAnswer(
        loss=float(objective.loss(problem.initial)),
        residuals=residuals,
        surface=_surface(request, problem, settings) if request.surface else None,
        rows=rows_used(request),
    )


def gradient(
    request: wire.GradientRequest, max_rows: int = 2**62, max_operations: float = math.inf
) -> wire.GradientAnswer:
    """∂loss/∂param at the given params."""
    request = with_rows(request)
    if request.explain and request.likelihood is not None:
        raise InvalidRequest(
            "the chain rule is explained for losses of residuals, not for a likelihood; omit "
            "`explain`",
            pointer="/explain",
        )
    problem = _problem(request, max_rows)
    costs.check(costs.of_gradient(problem.formula, request), problem.rows, max_operations)
    if not problem.params:
        raise InvalidFormula("the formula has no params, so it has no gradient", pointer="/model")
    objective, method = Objective(problem), to_gradient(request.gradient)
    value, slope = objective.gradient(problem.initial, method)
    return wire.GradientAnswer(
        gradient=named(problem.params, slope),
        loss=float(value),
        method=request.gradient.method,
        check=_check(objective, problem, method.delta) if request.check else None,
        explain=_explanation(problem) if request.explain else None,
        rows=rows_used(request),
    )


def _problem(request: wire.LossRequest | wire.GradientRequest, max_rows: int) -> Problem:
    rows = check_shape(request.data, max_rows)
    dtype = DTYPES[request.dtype]
    ties = ties_of(request.params)
    formula = resolve(request.model, request.data.keys(), ties=ties).formula
    theta = to_theta(request.params, formula, dtype)
    if isinstance(getattr(request.loss, "delta", None), RobustScale):
        raise InvalidRequest(
            "a scale of the residuals follows from a fit: here give `delta` as a number",
            pointer="/loss/delta",
        )
    check_alone(request, formula)
    target = explained(formula, request.data, rows)
    if request.likelihood is None:
        sigma = to_sigma(request.sigma, request.data, rows)
        measure = Measure(to_loss(request.loss), target, sigma, absolute=False)
    else:
        measure = to_measure(request.likelihood, request.data, target, formula.target)
    return Problem(
        formula=formula,
        columns=_inputs(formula, request, dtype),
        target=narrowed(measure.target, dtype, formula.target_columns[0]),
        initial=theta,
        lower=torch.full_like(theta, -math.inf),
        upper=torch.full_like(theta, math.inf),
        free=(True,) * len(formula.params),
        loss=measure.loss,
        sigma=None if measure.sigma is None else narrowed_sigma(measure.sigma, dtype),
    )


def _inputs(
    formula: Model,
    request: wire.PredictRequest | wire.LossRequest | wire.GradientRequest,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    raw = finite_columns(request.data, formula.inputs)
    scaling = _given_scaling(
        request.scaling, raw, predicting=isinstance(request, wire.PredictRequest)
    )
    return {
        name: narrowed(scaling[name].apply(column) if name in scaling else column, dtype, name)
        for name, column in raw.items()
    }


def _given_scaling(
    spec: ScalingRequest | None, raw: Mapping[str, Tensor], *, predicting: bool
) -> dict[str, Scale]:
    if isinstance(spec, str) and predicting:
        raise InvalidRequest(
            f"'{spec}' would scale according to these data, not those of the fit; give the scale "
            "and offset of the fit (they are in its `predict`)",
            pointer="/scaling",
        )
    return to_scaling(spec, raw)


def _surface(request: wire.LossRequest, problem: Problem, settings: Settings) -> wire.LossSurface:
    assert request.surface is not None
    axes = {}
    for name, axis in request.surface.items():
        if name not in problem.params:
            raise UnknownName("param", name, problem.params, pointer=f"/surface/{token(name)}")
        if not axis.min < axis.max:
            raise InvalidData("`min` must be below `max`", pointer=f"/surface/{token(name)}")
        ends = torch.tensor([axis.min, axis.max, axis.max - axis.min], dtype=problem.target.dtype)
        if not bool(torch.isfinite(ends).all()):
            raise InvalidData("the axis exceeds `dtype`", pointer=f"/surface/{token(name)}")
        axes[name] = torch.linspace(axis.min, axis.max, axis.steps, dtype=problem.target.dtype)
    points = math.prod(len(axis) for axis in axes.values())
    if points > settings.max_surface_points:
        raise BudgetExceeded(
            f"{points:,} points are more than the {settings.max_surface_points:,} allowed",
            pointer="/surface",
        )
    cost = float(points) * problem.rows * problem.formula.operations
    if cost > settings.max_surface_operations:
        raise BudgetExceeded(
            f"{points:,} points × {problem.rows:,} rows take {cost:.2g} operations, more than the "
            f"{settings.max_surface_operations:.2g} allowed; use fewer steps",
            pointer="/surface",
        )
    losses = Objective(problem).losses(
        torch.cartesian_prod(*axes.values()), _positions(axes, problem)
    )
    grid = losses.reshape([len(axis) for axis in axes.values()])
    return wire.LossSurface(
        axes={name: axis.tolist() for name, axis in axes.items()}, loss=series(grid)
    )


def _positions(axes: Collection[str], problem: Problem) -> list[int]:
    return [problem.params.index(name) for name in axes]


def _check(objective: Objective, problem: Problem, delta: float | None) -> wire.GradientCheck:
    slopes = {
        method: objective.gradient(problem.initial, GradientMethod(method, delta))[1]
        for method in GRADIENTS
    }
    stacked = torch.stack(list(slopes.values())).double()
    size = max(1.0, float(stacked.abs().max()))
    spread = float((stacked.amax(dim=0) - stacked.amin(dim=0)).max()) / size
    epsilon = torch.finfo(problem.target.dtype).eps
    slack = epsilon ** (1 / 2) if delta is None else max(epsilon ** (1 / 2), min(delta, 1.0) ** 2)
    return wire.GradientCheck(
        analytic=named(problem.params, slopes["analytic"]),
        autograd=named(problem.params, slopes["autograd"]),
        numeric=named(problem.params, slopes["numeric"]),
        max_difference=spread,
        agree=spread <= slack,
    )


def _explanation(problem: Problem) -> wire.Explanation:
    if not isinstance(problem.formula, Formula):
        raise InvalidRequest(
            "the chain rule is available for formulas, not for networks", pointer="/explain"
        )
    rule = explain(problem.formula, problem.loss, weighted=problem.sigma is not None)
    return wire.Explanation(
        text=rule.text,
        latex=rule.latex,
        steps=dict(rule.steps),
        params={
            name: wire.ChainRule(
                text=one.text, latex=one.latex, paths=[[_factor(f) for f in p] for p in one.paths]
            )
            for name, one in rule.params.items()
        },
    )


def _factor(factor: Factor) -> wire.ChainFactor:
    return wire.ChainFactor(of=factor.of, by=factor.by, text=factor.text, latex=factor.latex)
