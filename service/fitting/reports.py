"""Derived quantities of a fit: from the request to the engine, and from there to the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.catalogue.families import Family
from service.engine.formula import Formula
from service.engine.inference.distributions import t_quantile
from service.engine.inference.intervals import TakesLong
from service.engine.inference.reparametrised import candidates, free_name, profile, solve
from service.engine.inference.reports import Estimates, Quantity, Spread, estimate
from service.engine.inference.statistics import Figures
from service.engine.kernel.types import Floats
from service.engine.problem import Groups, Model, Problem
from service.errors import InvalidFormula, InvalidRequest, UnknownName, token
from service.fitting.resampling import by_default
from service.schemas import answers as wire
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedReport
from service.schemas.options import ReportOptions

UNCONVERTED = "the params cannot be converted to raw units under this scaling"


@dataclass(frozen=True, slots=True)
class Asked:
    """The quantities that a request asks for, with their descriptions where a family has them."""

    quantities: tuple[Quantity, ...] = ()
    meanings: Mapping[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.quantities)

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        return tuple((each.name, each.text) for each in self.quantities)

    @property
    def profiled(self) -> int:
        """How many are computed by profile."""
        return sum(each.method == "profile" for each in self.quantities)


NOTHING = Asked()


def to_asked(request: FitRequest, formula: Model, family: Family | None) -> Asked:
    """The quantities of a request's `report`. Raises InvalidRequest, with pointers."""
    if request.report is None:
        return NOTHING
    if not isinstance(formula, Formula):
        raise InvalidRequest(
            "a network has no reports: its params have no meaning of their own", pointer="/report"
        )
    own = {} if family is None else family.reports
    if request.report == "default":
        if not own:
            whose = "a formula" if family is None else f"'{family.name}'"
            raise InvalidRequest(
                f"{whose} has no reports of its own; write the quantities, as in "
                '{"report": {"half_life": "log(2)/k"}}',
                pointer="/report",
            )
        given = {name: ReportOptions() for name in own}
    else:
        given = request.report
    found, meanings = [], {}
    for name, options in given.items():
        at = f"/report/{token(name)}"
        text = options.expr
        if text is None:
            if name not in own:
                raise UnknownName("report without `expr`:", name, own, pointer=at)
            text, meanings[name] = own[name].expr, own[name].meaning
        if name in formula.params or name in dict(formula.ties):
            raise InvalidRequest(
                f"'{name}' is the name of a param; give the report another name", pointer=at
            )
        method = options.method
        if method is None:
            method = "bootstrap" if by_default(request, log=options.log) else "delta"
        found.append(Quantity(name, text, method, options.log))
    asked = Asked(tuple(found), meanings)
    try:
        formula.derived(asked.texts)
    except InvalidRequest as error:
        raise error.at("/report") from None
    for each in found:
        _check(each, formula)
    if request.scaling and request.group_by is not None:
        raise InvalidRequest(
            "`report` is in raw units, to which grouped fits with scaling are not converted; omit "
            "`scaling`",
            pointer="/report",
        )
    return asked


def _check(each: Quantity, formula: Formula) -> None:
    """Raises InvalidRequest for a method that cannot be used for a quantity."""
    at = f"/report/{token(each.name)}"
    if each.log and each.method != "delta":
        raise InvalidRequest(
            f"`log` is an option of the method 'delta', not of '{each.method}'; omit it",
            pointer=f"{at}/log",
        )
    if each.method == "fieller":
        ratio = each.ratio
        if ratio is None or not set(ratio) <= set(formula.params):
            raise InvalidFormula(
                "the method 'fieller' is for a ratio of two params, such as 'a / b'; use 'delta' "
                "or 'profile' for other expressions",
                pointer=f"{at}/method",
            )


def check_profiles(asked: Asked, problem: Problem, *, scaled: bool) -> None:
    """Raises InvalidRequest for a quantity whose profile cannot be computed."""
    for each in asked.quantities:
        if each.method != "profile":
            continue
        at = f"/report/{token(each.name)}/method"
        assert isinstance(problem.formula, Formula)
        if scaled:
            raise InvalidRequest(
                "the profile of a report needs inputs without scaling; omit `scaling`, or use the "
                "method 'delta'",
                pointer=at,
            )
        if solve(problem.formula, each.text, candidates(problem), free_name(problem.formula)):
            continue
        raise InvalidRequest(
            f"the profile of '{each.name}' needs a free param without bounds that occurs in its "
            "expression exactly once, under +, -, *, /, **, exp, log, sqrt or abs; write it so, or "
            "use the method 'delta'",
            pointer=at,
        )


def check_covariance(request: FitRequest, problem: Problem) -> None:
    """Raises InvalidRequest for a kind of covariance that the request cannot have."""
    kind, formula = request.covariance, problem.formula
    if kind != "expected" and problem.loss.is_robust:
        raise InvalidRequest(
            f"the loss '{problem.loss.name}' has the covariance of a robust fit (Huber 1981, 7.6), "
            f"not the kind '{kind}'; omit `covariance`",
            pointer="/covariance",
        )
    if not problem.loss.has_likelihood:
        _refuse_profiles(request)
    if kind == "sandwich" and request.confidence_interval.method == "profile":
        raise InvalidRequest(
            "profile intervals assume constant noise, for which the covariance is 'expected' or "
            "'observed'; with 'sandwich' use the method 't'",
            pointer="/confidence_interval/method",
        )
    for name, each in request.report.items() if isinstance(request.report, dict) else ():
        if kind == "sandwich" and each.method == "profile":
            raise InvalidRequest(
                "the profile of a report assumes constant noise; with the covariance 'sandwich' "
                "use the method 'delta'",
                pointer=f"/report/{token(name)}/method",
            )
    if kind != "observed" or not isinstance(formula, Formula):
        return
    if any(node.name == "trigamma" for node in formula.tape.nodes if node.kind == "operation"):
        raise InvalidRequest(
            "the second derivative of digamma() is not available, so there is no 'observed' "
            "covariance; use 'expected'",
            pointer="/covariance",
        )


def _refuse_profiles(request: FitRequest) -> None:
    """Raises InvalidRequest for profiles of a loss that is no likelihood."""
    what = f"profiles are of Gaussian noise, with the loss 'mse', not '{request.loss.name}'; use "
    if request.confidence_interval.method == "profile":
        raise InvalidRequest(f"{what}the method 't'", pointer="/confidence_interval/method")
    for name, each in request.report.items() if isinstance(request.report, dict) else ():
        if each.method == "profile":
            raise InvalidRequest(
                f"{what}the method 'delta'", pointer=f"/report/{token(name)}/method"
            )


@dataclass(frozen=True, eq=False)
class Point:
    """Params at which quantities are computed, and their derivatives by the free params of the
    fit."""

    theta: Tensor
    """(fits, params)"""
    change: Floats
    """(fits or 1, params, q)"""


def here(problem: Problem, theta: Tensor) -> Point:
    """The params of the fits themselves; theta (fits, params)."""
    change = np.zeros((1, len(problem.params), len(problem.places)))
    change[0, problem.places, np.arange(len(problem.places))] = 1.0
    return Point(theta.double().cpu(), change)


def estimates(
    problem: Problem, asked: Asked, point: Point, spread: Spread
) -> tuple[Estimates, Floats]:
    """The quantities by `delta` or `fieller`, and their derivatives by the free params (fits,
    quantities, q)."""
    formula = problem.formula
    assert isinstance(formula, Formula)
    derived = formula.derived(asked.texts)
    values, gradients = derived.read(point.theta)
    slopes = gradients @ point.change
    depends = (derived.depends.astype(float) @ np.abs(point.change).max(axis=0)) > 0
    return estimate(derived, asked.quantities, values, slopes, depends, spread), slopes


def reported(
    problem: Problem, fits: Groups, asked: Asked, point: Point, spread: Spread, figures: Figures,
    *, patient: bool = True,
) -> Estimates:  # fmt: skip
    """The quantities of fits, by their methods; `figures` are of many fits. Raises TakesLong for a
    profile if not `patient`."""
    found, slopes = estimates(problem, asked, point, spread)
    for m, each in enumerate(asked.quantities):
        if each.method == "profile":
            if not patient:
                raise TakesLong
            own = slopes[:, m]
            profile(problem, fits, point.theta, figures, each, m, own, found, spread.t)
    return found


def quantiles(level: float, degrees: float) -> float:
    """Student's t of a two-sided interval; NaN without degrees of freedom."""
    return t_quantile(0.5 + level / 2, degrees) if degrees > 0 else float("nan")


def to_wire(
    asked: Asked, found: Estimates, level: float, *, unconverted: bool = False
) -> dict[str, wire.Report]:
    """The quantities of one fit."""
    made = {}
    for m, each in enumerate(asked.quantities):
        stderr, lower, upper = (
            None if np.isnan(column[0, m]) else float(column[0, m])
            for column in (found.stderr, found.lower, found.upper)
        )
        made[each.name] = wire.Report(
            expr=each.text,
            meaning=(asked.meanings or {}).get(each.name),
            value=None if unconverted else float(found.value[0, m]),
            stderr=stderr,
            lower=lower,
            upper=upper,
            level=level,
            method=each.method,
            log=each.log,
            reason=found.reasons[0, m],
        )
    return made


def unconverted(asked: Asked, level: float) -> dict[str, wire.Report]:
    """The quantities of a fit with scaled inputs whose params have no raw units."""
    nan = np.full((1, len(asked.quantities)), np.nan)
    reasons = np.full(nan.shape, UNCONVERTED, dtype=np.object_)
    found = Estimates(nan, nan, nan, nan, reasons)
    return to_wire(asked, found, level, unconverted=True)


def to_columns(asked: Asked, found: Estimates, level: float) -> dict[str, GroupedReport]:
    """The quantities of groups, as columns."""
    return {
        each.name: GroupedReport.model_construct(
            expr=each.text,
            meaning=(asked.meanings or {}).get(each.name),
            level=level,
            method=each.method,
            log=each.log,
            value=found.value[:, m].tolist(),
            stderr=found.stderr[:, m].tolist(),
            lower=found.lower[:, m].tolist(),
            upper=found.upper[:, m].tolist(),
            reason=found.reasons[:, m].tolist(),
        )
        for m, each in enumerate(asked.quantities)
    }


def raw_point(problem: Problem, values: Tensor, change: Tensor) -> Point:
    """The params of one fit in raw units."""
    own = change[:, torch.from_numpy(problem.places)].numpy()
    return Point(values.double().cpu().unsqueeze(0), own[None])
