"""What a fit is asked for besides itself: checks of the request, and the engine's form of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.engine.formula import Formula
from service.engine.problem import Problem
from service.engine.resampling.coverage import Bootstrap, Intervals
from service.engine.resampling.run import Resampling
from service.errors import BudgetExceeded, InvalidRequest, UnknownName, token
from service.fitting.noise import noise_columns
from service.schemas.fit import FitRequest
from service.schemas.options import ConfidenceOptions
from service.schemas.resampling import CandidateRange, DesignOptions

if TYPE_CHECKING:
    from service.fitting.plan import Plan
    from service.settings import Settings

EVALUATIONS = 10
"""Evaluations of the rows for a replicate, about,"""
ROUNDS = 10
"""and rounds of those, where the noise follows from the fit."""
PROFILED = 300
"""And for the profile of one param."""
MOST_DRAWS = 2**24
"""Most numbers of the replicates of a fit: 128 MiB."""
_AT = "/confidence_interval"


def bootstrap_of(asked: ConfidenceOptions) -> Bootstrap | None:
    """The bootstrap that is asked for."""
    if asked.method != "bootstrap":
        return None
    return Bootstrap(asked.kind or "residual", asked.replicates or 1999,
                     asked.interval or "percentile")  # fmt: skip


def resampling_of(request: FitRequest) -> Resampling | None:
    """What follows the fit; None if nothing does."""
    asked = request.confidence_interval
    bootstrap = bootstrap_of(asked)
    if bootstrap is None and request.coverage is None:
        return None
    simulate = 0 if request.coverage is None else request.coverage.simulate
    intervals = Intervals(
        asked.level, asked.method, request.covariance, bootstrap or Bootstrap()
    )  # fmt: skip
    return Resampling(request.seed, bootstrap, simulate, intervals)


def by_default(request: FitRequest, *, log: bool) -> bool:
    """Whether a report without a method has its interval from the replicates."""
    return request.confidence_interval.method == "bootstrap" and not log and not request.scaling


def check_interval(asked: ConfidenceOptions) -> None:
    """Raises InvalidRequest for options of a bootstrap without one."""
    for name in ("kind", "replicates", "interval"):
        if asked.method != "bootstrap" and getattr(asked, name) is not None:
            raise InvalidRequest(
                f"`{name}` is an option of the method 'bootstrap', not of '{asked.method}'; omit "
                "it, or use that method",
                pointer=f"{_AT}/{name}",
            )


def check_resampling(request: FitRequest, problem: Problem, reports: Sequence[str]) -> None:
    """Raises InvalidRequest for a bootstrap, a coverage or a design that the fit cannot have;
    `reports` are the names of its quantities."""
    check_interval(request.confidence_interval)
    _check_outliers(request)
    if request.confidence_interval.method == "bootstrap":
        _check_bootstrap(request, problem)
    for name, each in request.report.items() if isinstance(request.report, dict) else ():
        if each.method == "bootstrap":
            _check_report(request, f"/report/{token(name)}/method")
    for field in ("coverage", "design"):
        if getattr(request, field) is not None:
            _check_single(request, problem, field)
    if request.design is not None:
        _check_design(request, request.design, problem, reports)


def _check_outliers(request: FitRequest) -> None:
    """Raises InvalidRequest where a fit would be repeated whose rows are tested."""
    asked = (
        ("/confidence_interval/method", request.confidence_interval.method == "bootstrap"),
        ("/coverage", request.coverage is not None),
        ("/design", request.design is not None),
    )
    for pointer, is_asked in asked:
        if is_asked and request.outliers is not None:
            raise InvalidRequest(
                "a fit with `outliers` is not repeated: omit `outliers`, and leave out by `rows` "
                "those that it has found",
                pointer=pointer,
            )


def _check_bootstrap(request: FitRequest, problem: Problem) -> None:
    asked, by = request.confidence_interval, request.group_by
    if by is not None and by.is_pooled:
        raise InvalidRequest(
            "a bootstrap is of fits with a noise of their own; omit `shared` and `noise`, or use "
            "the method 't' or 'profile'",
            pointer=f"{_AT}/method",
        )
    if not isinstance(problem.formula, Formula):
        raise InvalidRequest(
            "the params of a network are not identifiable, so their replicates have no meaning; "
            "use the method 't'",
            pointer=f"{_AT}/method",
        )
    if problem.loss.is_least_squares:
        return
    if asked.kind != "case" and problem.loss.likelihood is None:
        raise InvalidRequest(
            f"with the loss '{problem.loss.name}' rows are drawn: use the kind 'case'",
            pointer=f"{_AT}/kind",
        )
    if problem.loss.likelihood is not None:
        _check_counts(problem, asked.kind)
    if asked.interval == "bca":
        raise InvalidRequest(
            f"the acceleration of 'bca' is for the loss 'mse', not '{problem.loss.name}'; use "
            "'percentile'",
            pointer=f"{_AT}/interval",
        )


def _check_counts(problem: Problem, kind: str | None) -> None:
    """Raises InvalidRequest for a kind of bootstrap that counts do not have."""
    name = problem.loss.name
    if kind not in ("case", "parametric"):
        raise InvalidRequest(
            f"counts have no residuals to draw from: with the likelihood '{name}' use the kind "
            "'parametric', which draws counts from it, or 'case', which draws rows",
            pointer=f"{_AT}/kind",
        )
    if kind == "parametric" and not problem.sigma_absolute:
        raise InvalidRequest(
            "a likelihood with an estimated dispersion is no distribution to draw counts from; use "
            "the kind 'case', or omit `overdispersion`",
            pointer=f"{_AT}/kind",
        )


def _check_report(request: FitRequest, at: str) -> None:
    if request.confidence_interval.method != "bootstrap":
        raise InvalidRequest(
            "a report by 'bootstrap' takes the replicates of the params: use "
            '{"confidence_interval": {"method": "bootstrap"}} too',
            pointer=at,
        )
    if request.scaling:
        raise InvalidRequest(
            "a report by 'bootstrap' needs inputs without scaling; omit `scaling`, or use the "
            "method 'delta'",
            pointer=at,
        )


def _check_single(request: FitRequest, problem: Problem, field: str) -> None:
    if request.group_by is not None:
        raise InvalidRequest(
            f"`{field}` is of one fit; send the rows of one group without `group_by`",
            pointer=f"/{field}",
        )
    counts = problem.loss.likelihood is not None and field == "coverage"
    if counts and not problem.sigma_absolute:
        raise InvalidRequest(
            "a likelihood with an estimated dispersion is no distribution to simulate counts from; "
            "omit `overdispersion`, or `coverage`",
            pointer=f"/{field}",
        )
    known = problem.loss.is_least_squares or counts
    if not isinstance(problem.formula, Formula) or not known:
        raise InvalidRequest(
            f"`{field}` is for formulas and families with the loss 'mse'"
            f"{', or a likelihood' if field == 'coverage' else ''}; omit it",
            pointer=f"/{field}",
        )


def _check_design(
    request: FitRequest, asked: DesignOptions, problem: Problem, reports: Sequence[str]
) -> None:
    formula, given = problem.formula, asked.candidates
    assert isinstance(formula, Formula)
    inputs = formula.inputs
    if not inputs:
        raise InvalidRequest("the formula has no input to choose", pointer="/design")
    if isinstance(given, CandidateRange) or not isinstance(given[0], dict):
        if len(inputs) != 1:
            example = ", ".join(f'"{name}": 1' for name in inputs)
            raise InvalidRequest(
                f"the formula has the inputs {', '.join(inputs)}: a candidate has a value for "
                f"each, as in [{{{example}}}]",
                pointer="/design/candidates",
            )
        if isinstance(given, CandidateRange) and not given.min < given.max:
            raise InvalidRequest("`min` must be below `max`", pointer="/design/candidates")
    else:
        for i, each in enumerate(given):
            if set(each) != set(inputs):
                raise InvalidRequest(
                    f"a candidate has a value for each input: {', '.join(inputs)}",
                    pointer=f"/design/candidates/{i}",
                )
    free, tied = problem.free_params, tuple(formula.tied.names) if formula.tied else ()
    if asked.of is not None and asked.of not in (*free, *tied, *reports):
        raise UnknownName("free param or report", asked.of, (*free, *tied, *reports),
                          pointer="/design/of")  # fmt: skip
    if asked.of in reports and request.scaling:
        raise InvalidRequest(
            "a design for a report needs inputs without scaling; omit `scaling`, or name a param",
            pointer="/design/of",
        )
    _check_reading(request, asked, inputs)


def _check_reading(request: FitRequest, asked: DesignOptions, inputs: Sequence[str]) -> None:
    """Raises InvalidRequest where σ of the next reading is not known, or of no use."""
    weights, beside = request.weights, set(noise_columns(request)) - set(inputs)
    if asked.sigma is None and isinstance(request.sigma, str | list):
        raise InvalidRequest(
            "`sigma` differs from row to row: give the next reading's in `design`",
            pointer="/design/sigma",
        )
    is_column = isinstance(weights, str) and weights in request.data
    if asked.sigma is None and (isinstance(weights, list) or is_column):
        raise InvalidRequest(
            "`weights` differ from row to row: give the next reading's 1/√weight in `design`",
            pointer="/design/sigma",
        )
    if asked.sigma is None and beside:
        raise InvalidRequest(
            f"the noise depends on {', '.join(sorted(beside))}, which a candidate does not have: "
            "give the next reading's sigma in `design`, in units of that expression",
            pointer="/design/sigma",
        )
    if asked.sigma is not None and request.sigma is None and weights is None:
        raise InvalidRequest(
            "the fit has no `sigma`: the next reading has the noise of the others; omit it",
            pointer="/design/sigma",
        )


def check_cost(plan: Plan, settings: Settings) -> None:
    """Raises BudgetExceeded if the replicates and simulations would take too long, or too much
    memory."""
    problem, request = plan.task.problem, plan.request
    bootstrap = bootstrap_of(request.confidence_interval)
    reading, most = (
        float(problem.rows) * problem.formula.operations,
        settings.max_profile_operations,
    )
    if problem.noise is not None:
        reading *= ROUNDS
    fits, free = len(plan.task.fits), len(problem.free_params)
    if bootstrap is not None:
        numbers = fits * bootstrap.replicates * (len(problem.params) + len(plan.report.quantities))
        cost = bootstrap.replicates * EVALUATIONS * reading
        if cost > most or numbers > MOST_DRAWS:
            fewer = int(bootstrap.replicates * min(most / cost, MOST_DRAWS / numbers))
            of = f" for each of {fits:,} groups" if fits > 1 else ""
            raise BudgetExceeded(
                f"{bootstrap.replicates:,} replicates{of} would take about {cost:.2g} operations "
                f"and {numbers:,} numbers, more than the {most:.2g} and {MOST_DRAWS:,} allowed; "
                f"use at most {fewer:,}, or the method 't'",
                pointer=f"{_AT}/replicates",
            )
    if request.coverage is None:
        return
    each = EVALUATIONS
    if bootstrap is not None:
        each *= bootstrap.replicates
    elif request.confidence_interval.method == "profile":
        each += PROFILED * free
    cost = request.coverage.simulate * each * reading
    if cost > most:
        raise BudgetExceeded(
            f"the intervals of {request.coverage.simulate:,} data sets would take about "
            f"{cost:.2g} operations, more than the {most:.2g} allowed; simulate at most "
            f"{int(request.coverage.simulate * most / cost):,}, or use the method 't'",
            pointer="/coverage/simulate",
        )
