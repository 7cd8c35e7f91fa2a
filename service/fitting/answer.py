"""Converts the engine's result to the response body of a fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from service.engine.diagnostics import Diagnostic, FinishedFit, examine, verdict
from service.engine.diagnostics.spread import NON_CONSTANT_SPREAD
from service.engine.inference.covariance import of_kind
from service.engine.inference.intervals import Intervals, Method, TakesLong, intervals
from service.engine.inference.statistics import summarise
from service.engine.problem import Problem
from service.engine.resampling.run import Resampled
from service.engine.result import Result
from service.fitting.derived import DerivedOfFit, Tied, named, of_covariance, present, with_tied
from service.fitting.design import to_design
from service.fitting.drawn import replicates_of, to_coverage
from service.fitting.errors_in_x import errors_in_x
from service.fitting.likelihoods import density_inputs
from service.fitting.noise_answer import noise_of
from service.fitting.outliers import outliers_of, with_outliers
from service.fitting.param_units import units_of_params
from service.fitting.plan import Plan
from service.fitting.predict_body import predict_body
from service.fitting.prior_answer import prior_of
from service.fitting.row_filter import rows_used
from service.fitting.statistics_answer import to_statistics
from service.fitting.ties import texts_of
from service.schemas import answers as wire
from service.schemas.names import Status
from service.schemas.statistics import ConfidenceInterval

FEW_PARAMS = 8
"""Free params up to which the observed covariance takes about a millisecond."""


def to_fit(
    plan: Plan,
    result: Result,
    *,
    job_id: str,
    history: wire.History,
    timings: wire.Timings,
    patient: bool = True,
    exact: bool = True,
    resampled: Resampled | None = None,
) -> wire.Fit:
    """The response body of a fit. If its params are non-finite or it was stopped early, the
    statistics and the body for /predict are those of `best`. `resampled` has what followed it.
    Unless `exact`, limits that profiles would have are those of standard errors."""
    found_outliers = outliers_of(plan, result.outlying)
    plan = with_outliers(plan.with_noise(result.noise), result.outlying)
    problem = plan.task.problem
    trusted = result.best.params if is_cut_short(result) else result.params
    expected = result.statistics
    if problem.prior is not None:  # what the run has computed counts its rows as data
        expected = None
    if expected is None or not torch.equal(expected.theta, trusted.double()):
        expected = summarise(problem, trusted)
    asked, kind = plan.request.confidence_interval, plan.request.covariance
    method: Method = "profile" if asked.method == "profile" else "t"
    found = intervals(problem, trusted, expected, asked.level, method, patient=patient, exact=exact)
    finished = FinishedFit(
        plan.task, result, trusted, expected, plan.guessed, found, plan.raw, plan.scaling,
        resampled,
    )  # fmt: skip
    diagnostics = examine(finished)
    if kind == "sandwich":
        diagnostics = [each for each in diagnostics if each.code != NON_CONSTANT_SPREAD.code]
    if kind == "observed" and len(expected.free) > FEW_PARAMS and not patient:
        raise TakesLong
    statistics = of_kind(problem, expected, kind)
    if kind != "expected":
        own = trusted.double().cpu().numpy()[problem.places]
        found = of_covariance(found, statistics, own, asked, sandwich=kind == "sandwich")
    replicates = replicates_of(plan, resampled)
    derived = DerivedOfFit(plan, result, trusted, statistics, replicates)
    interval = _interval(plan, found, statistics.free, derived.tied)
    if asked.method == "bootstrap":
        interval = None if replicates is None else replicates.interval()
    answered = to_statistics(plan, statistics, interval, derived.tied)
    stopped = None if resampled is None else resampled.stopped
    predict = predict_body(plan, trusted, statistics, answered.covariance)
    fit = wire.Fit(
        job_id=job_id,
        status="cancelled" if stopped == "cancelled" else _status(result),
        stop_reason=stopped or result.stop_reason,
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
        coverage=to_coverage(plan, None if resampled is None else resampled.coverage),
        design=to_design(plan, trusted, statistics),
        diagnostics=[_diagnostic(diagnostic) for diagnostic in diagnostics],
        verdict=(found_verdict := verdict(diagnostics)),
        trustworthy=found_verdict == "trustworthy",
        dropped=dropped(plan),
        rows=rows_used(plan.request),
        units=units_of(plan),
        reading=plan.request.reading,
        history=history,
        predict=predict,
        noise=noise_of(plan),
        outliers=found_outliers,
        prior=prior_of(problem, trusted, statistics),
        timings=timings,
        urls=wire.FitUrls(
            self=f"/jobs/{job_id}",
            history=f"/jobs/{job_id}/history",
            events=f"/jobs/{job_id}/events",
            cancel=f"/jobs/{job_id}/cancel",
            plot=f"/jobs/{job_id}/plot/fit.svg",
        ),
    )
    return fit if replicates is None else fit.with_drawn(replicates.drawn(predict.document()))


def is_cut_short(result: Result) -> bool:
    """Whether the answer uses `best` rather than the last params."""
    finite = math.isfinite(result.loss) and all(map(math.isfinite, result.params.tolist()))
    return not finite or result.stop_reason in ("cancelled", "time_limit", "diverged")


def to_model(problem: Problem) -> wire.ModelSummary:
    """The model as it was parsed."""
    formula = problem.formula
    return wire.ModelSummary(
        formula=formula.text,
        inputs=density_inputs(formula.inputs),
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


def _interval(
    plan: Plan, found: Intervals | None, free: Sequence[str], tied: Tied | None
) -> ConfidenceInterval | None:
    if found is None:
        return None
    lower, upper = named(free, found.lower), named(free, found.upper)
    if tied is not None and found.method == "t":
        lower |= present(tied.names, tied.found.lower)
        upper |= present(tied.names, tied.found.upper)
    return ConfidenceInterval(
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
