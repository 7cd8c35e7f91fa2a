"""Converts the engine's result to the response body of a fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from service.engine.diagnostics import Diagnostic, FinishedFit, examine, verdict
from service.engine.formula import Formula
from service.engine.inference.covariance import Kind, of_kind
from service.engine.inference.intervals import Intervals, TakesLong, intervals
from service.engine.inference.statistics import Statistics, summarise
from service.engine.kernel.types import Floats
from service.engine.problem import Problem
from service.engine.result import Result
from service.fitting.derived import DerivedOfFit, Tied, named, of_covariance, present, with_tied
from service.fitting.errors_in_x import errors_in_x
from service.fitting.param_units import units_of_params
from service.fitting.plan import Plan
from service.fitting.row_filter import rows_used
from service.fitting.ties import texts_of
from service.fitting.values import Sigma
from service.schemas import answers as wire
from service.schemas.names import Status

Named = dict[str, float]
FEW_PARAMS = 8
"""Free params up to which the observed covariance takes about a millisecond."""
NORMAL = 10**12
"""Degrees of freedom at which Student's t equals the normal distribution to rounding."""


def to_fit(
    plan: Plan,
    result: Result,
    *,
    job_id: str,
    history: wire.History,
    timings: wire.Timings,
    patient: bool = True,
) -> wire.Fit:
    """The response body of a fit. If its params are non-finite or it was stopped early, the
    statistics and the body for /predict are those of `best`."""
    problem = plan.task.problem
    trusted = result.best.params if is_cut_short(result) else result.params
    expected = result.statistics
    if expected is None or not torch.equal(expected.theta, trusted.double()):
        expected = summarise(problem, trusted)
    asked, kind = plan.request.confidence_interval, plan.request.covariance
    found = intervals(problem, trusted, expected, asked.level, asked.method, patient=patient)
    finished = FinishedFit(
        plan.task, result, trusted, expected, plan.guessed, found, plan.raw, plan.scaling
    )
    diagnostics = examine(finished)
    if kind == "observed" and len(expected.free) > FEW_PARAMS and not patient:
        raise TakesLong
    statistics = of_kind(problem, expected, kind)
    if kind != "expected":
        own = trusted.double().cpu().numpy()[problem.places]
        found = of_covariance(found, statistics, own, asked, sandwich=kind == "sandwich")
    derived = DerivedOfFit(plan, result, trusted, statistics)
    interval = _interval(plan, found, statistics.free, derived.tied)
    answered = to_statistics(statistics, kind, interval, derived.tied)
    return wire.Fit(
        job_id=job_id,
        status=_status(result),
        stop_reason=result.stop_reason,
        converged=result.converged,
        model=to_model(problem),
        params=with_tied(problem, result.params),
        params_unscaled=derived.unscaled(),
        loss=result.loss,
        epochs=result.epochs,
        optimizer=plan.task.options.optimizer,
        curvature=_curvature(finished),
        best=wire.Best(
            epoch=result.best.epoch,
            loss=result.best.loss,
            params=with_tied(problem, result.best.params),
        ),
        statistics=answered,
        errors_in_x=errors_in_x(problem, trusted, plan.scaling),
        report=derived.report(patient=patient),
        diagnostics=[_diagnostic(diagnostic) for diagnostic in diagnostics],
        verdict=(found_verdict := verdict(diagnostics)),
        trustworthy=found_verdict == "trustworthy",
        dropped=dropped(plan),
        rows=rows_used(plan.request),
        units=units_of(plan),
        reading=plan.request.reading,
        history=history,
        predict=_predict_body(plan, trusted, statistics, answered.covariance),
        timings=timings,
        urls=wire.FitUrls(
            self=f"/jobs/{job_id}",
            history=f"/jobs/{job_id}/history",
            events=f"/jobs/{job_id}/events",
            cancel=f"/jobs/{job_id}/cancel",
            plot=f"/jobs/{job_id}/plot/fit.svg",
        ),
    )


def is_cut_short(result: Result) -> bool:
    """Whether the answer uses `best` rather than the last params."""
    finite = math.isfinite(result.loss) and all(map(math.isfinite, result.params.tolist()))
    return not finite or result.stop_reason in ("cancelled", "time_limit", "diverged")


def to_model(problem: Problem) -> wire.ModelSummary:
    """The model as it was parsed."""
    formula = problem.formula
    return wire.ModelSummary(
        formula=formula.text,
        inputs=list(formula.inputs),
        target=formula.target,
        params=list(formula.params),
        expressions=texts_of(formula),
    )


def to_history(
    names: Sequence[str],
    epoch: Sequence[int],
    loss: Sequence[float],
    params: Sequence[Sequence[float]],
    gradient: Sequence[Sequence[float]],
    *,
    total: int,
    thinned: bool,
) -> wire.History:
    """History rows as columns; `params` and `gradient` are rows, in the order of `names`."""
    return wire.History(
        epoch=list(epoch),
        loss=list(loss),
        params={name: [row[i] for row in params] for i, name in enumerate(names)},
        gradient={name: [row[i] for row in gradient] for i, name in enumerate(names)},
        total=total,
        thinned=thinned,
    )


def to_statistics(
    statistics: Statistics, kind: Kind, interval: wire.ConfidenceInterval | None,
    tied: Tied | None,
) -> wire.Statistics:  # fmt: skip
    """Statistics by name."""
    names = statistics.free
    stderr = None if statistics.stderr is None else named(names, statistics.stderr)
    if tied is not None and stderr is not None:
        stderr |= present(tied.names, tied.found.stderr)
    return wire.Statistics(
        stderr=stderr,
        covariance=_matrix(names, statistics.covariance),
        covariance_kind=kind,
        covariance_reason=statistics.covariance_reason,
        correlation=_matrix(names, statistics.correlation),
        confidence_interval=interval,
        r_squared=statistics.r_squared,
        adjusted_r_squared=statistics.adjusted_r_squared,
        aic=statistics.aic,
        aicc=statistics.aicc,
        bic=statistics.bic,
        reduced_chi_squared=statistics.reduced_chi_squared,
        residual_std=statistics.residual_std,
        degrees_of_freedom=statistics.degrees_of_freedom,
        n=statistics.n,
    )


def _interval(
    plan: Plan, found: Intervals | None, free: Sequence[str], tied: Tied | None
) -> wire.ConfidenceInterval | None:
    if found is None:
        return None
    lower, upper = named(free, found.lower), named(free, found.upper)
    if tied is not None and found.method == "t":
        lower |= present(tied.names, tied.found.lower)
        upper |= present(tied.names, tied.found.upper)
    return wire.ConfidenceInterval(
        level=plan.request.confidence_interval.level,
        method=found.method,
        lower=lower,
        upper=upper,
    )


def units_of(plan: Plan) -> dict[str, str]:
    """The units of the request, and those of the params that follow from them."""
    given = dict(plan.request.units)
    return given if plan.scaling else units_of_params(plan.task.problem.formula, given) | given


def dropped(plan: Plan, gone: Sequence[int] | None = None) -> wire.Dropped | None:
    """The rows that were dropped: those of the plan, or `gone`."""
    found = plan.dropped if gone is None else gone
    if not found:
        return None
    asked, rows = plan.request.rows, tuple(found[:100])
    if asked is not None:
        rows = tuple(map(asked.original, rows))
    return wire.Dropped(count=len(found), rows=[row + 1 for row in rows])


def _matrix(names: Sequence[str], matrix: Floats | None) -> dict[str, Named] | None:
    if matrix is None:
        return None
    rows = matrix.tolist()
    return {name: dict(zip(names, row, strict=True)) for name, row in zip(names, rows, strict=True)}


def _status(result: Result) -> Status:
    return "cancelled" if result.stop_reason == "cancelled" else "succeeded"


def _curvature(finished: FinishedFit) -> wire.Curvature | None:
    if not finished.all.is_plain_descent:
        return None
    return wire.Curvature(learning_rate_limit=finished.limit, condition_number=finished.condition)


def _diagnostic(diagnostic: Diagnostic) -> wire.Diagnostic:
    return wire.Diagnostic(
        code=diagnostic.code,
        severity=diagnostic.severity,
        message=diagnostic.message,
        params=list(diagnostic.params) or None,
        suggestion=diagnostic.suggestion,
    )


def _predict_body(
    plan: Plan, theta: Tensor, statistics: Statistics, covariance: dict[str, Named] | None
) -> wire.PredictBody:
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
        residual_std=residual_std(plan.request.sigma, statistics),
        sigma_scale=None if problem.sigma is None else _number(statistics.figures.noise),
        input_range=input_range(plan),
        degrees_of_freedom=NORMAL
        if problem.sigma_absolute
        else max(statistics.degrees_of_freedom, 0) or None,
    )


def residual_std(sigma: Sigma, statistics: Statistics) -> float | None:
    """The standard deviation of an observation, where it is the same for all."""
    if sigma is None:
        return statistics.residual_std
    if isinstance(sigma, float):
        noise = _number(statistics.figures.noise)
        return None if noise is None else noise * sigma
    return None


def _number(value: float) -> float | None:
    """None for NaN."""
    return None if math.isnan(value) else float(value)


def input_range(plan: Plan) -> dict[str, list[float]] | None:
    """The smallest and largest value of each input of a formula, in raw units."""
    if not isinstance(plan.task.problem.formula, Formula):
        return None
    ranges = {name: column.numpy() for name, column in plan.raw.items()}
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
