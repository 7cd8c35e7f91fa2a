"""Checks of how well the data determine the params."""

from __future__ import annotations

import math
from typing import Any

from service.engine.diagnostics.ending import POOR
from service.engine.diagnostics.finished import (
    ERROR,
    INFO,
    WARNING,
    About,
    Check,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
    any_of,
    negated,
)
from service.engine.kernel.types import Bools
from service.engine.start.ranges import ranges


def _among(names: tuple[str, ...], chosen: Bools) -> tuple[str, ...]:
    return tuple(name for name, is_one in zip(names, chosen.tolist(), strict=True) if is_one)


def _rank_severity(finished: FinishedFits) -> Severities:
    """Some params are not identifiable: the Jacobian is rank deficient."""
    return finished.where(ERROR, any_of(finished.statistics.lost & ~finished.stepping))


def _describe_rank(fit: FinishedFit) -> Message:
    names, flat = fit.statistics.deficient, fit.all.statistics.flat
    nothing = [n for n, is_flat in zip(fit.problem.free_params, flat, strict=False) if is_flat]
    cure = None
    if not set(names) & set(nothing) and fit.lower is None:
        cure = _fixed(fit, names[-1])
    return Message(
        f"the data do not determine {', '.join(names)} (the Jacobian is rank deficient): other "
        "values fit equally well. Fix one of them, or simplify the model.",
        params=names,
        suggestion=cure,
    )


def _step_severity(finished: FinishedFits) -> Severities:
    """A param occurs only in conditions, so that all its values between two rows fit equally."""
    return finished.where(WARNING, any_of(finished.stepping))


def _describe_step(fit: FinishedFit) -> Message:
    problem = fit.problem
    free, stepping = problem.free_params, fit.all.stepping
    names = _among(free, stepping)
    of, parts = " (of the scaled inputs)" if fit.is_scaled else "", []
    for name in names:
        at = problem.params.index(name)
        places, value = ranges(problem)[at].places, float(fit.theta[at])
        if places is not None and (places <= value).any() and (places > value).any():
            low, high = places[places <= value].max(), places[places > value].min()
            parts.append(f"any {name} between {low:.6g} and {high:.6g} gives the same fit")
        else:
            parts.append(f"values of {name} near {value:.6g} give the same fit")
    return Message(
        f"{'; '.join(parts)}{of}: it occurs only in a condition, and has no standard error.",
        names,
    )


def _fixed(fit: FinishedFit, name: str) -> dict[str, Any] | None:
    """A patch that fixes the param at its fitted value."""
    values = fit.in_request(fit.theta)
    if values is None:
        return None
    value = values[name] if math.isfinite(values[name]) else 1.0
    return {"params": {name: {"value": value, "fixed": True}}}


def _condition_severity(finished: FinishedFits) -> Severities:
    """The Jacobian has full rank, but is ill-conditioned."""
    determined = finished.statistics
    condition = determined.condition
    poor = (condition > POOR) & (condition < math.inf)
    return finished.where(WARNING, poor & negated(any_of(determined.lost)))


def _describe_condition(fit: FinishedFit) -> Message:
    condition = fit.statistics.condition
    scaled = fit.problem.is_linear and fit.can_be_standardized
    return Message(
        f"the Jacobian's condition number is {condition:.2g}: about {math.log10(condition):.0f} of "
        "the 16 digits of the params are lost. Scale the inputs, or use fewer params.",
        suggestion={"scaling": "standardize"} if scaled else None,
    )


def _freedom_severity(finished: FinishedFits) -> Severities:
    """Too few degrees of freedom to estimate the noise."""
    if finished.problem.prior is not None:
        return finished.nowhere()
    degrees = finished.statistics.degrees_of_freedom
    if not finished.problem.formula.has_standard_errors:
        return finished.where(WARNING, degrees <= 0)
    return finished.where(finished.either(degrees < 0, ERROR, WARNING), degrees <= 2)


def _describe_freedom(fit: FinishedFit) -> Message:
    degrees = fit.statistics.degrees_of_freedom
    left = (
        "no degrees of freedom are left"
        if degrees <= 0
        else f"only {degrees} degree{'s' * (degrees > 1)} of freedom "
        f"{'are' if degrees > 1 else 'is'} left"
    )
    effect = "its predictions between the rows are arbitrary; use a smaller network"
    if fit.problem.formula.has_standard_errors:
        sure = "unknown" if degrees <= 0 else "very uncertain"
        effect = f"the standard errors are {sure}. Add data or fix params"
        if fit.problem.sigma_absolute and fit.statistics.stderr is not None:
            effect = (
                "nothing tests the model: the standard errors are those of the noise that is "
                "given. Add data or fix params"
            )
    return Message(
        f"{left} to estimate the noise ({fit.statistics.n} rows, "
        f"{len(fit.problem.free_params)} free params), so {effect}.",
    )


def _open_severity(finished: FinishedFits) -> Severities:
    """The profile likelihood of a param sets no limit on it on one side."""
    if finished.intervals is None:
        return finished.nowhere()
    return finished.where(ERROR, any_of(finished.intervals.open))


def _describe_open(fit: FinishedFit) -> Message:
    assert fit.intervals is not None
    names = _among(fit.statistics.free, fit.intervals.open)
    return Message(
        f"the data do not determine {', '.join(names)}: its profile likelihood sets no limit on "
        "one side at this confidence level (NaN in the interval), so the standard error is "
        "meaningless. Add data where the model depends on it, or fix it at a known value.",
        params=names,
    )


def _nonlinear_severity(finished: FinishedFits) -> Severities:
    """The loss is not quadratic within the confidence interval."""
    if finished.intervals is None or _is_resampled(finished.one):
        return finished.nowhere()
    return finished.where(INFO, any_of(finished.intervals.nonlinear))


def _is_resampled(fit: FinishedFit | None) -> bool:
    """Whether the intervals are those of a bootstrap."""
    return fit is not None and fit.resampled is not None and fit.resampled.refits is not None


def _describe_nonlinear(fit: FinishedFit) -> Message:
    assert fit.intervals is not None
    names = _among(fit.statistics.free, fit.intervals.nonlinear)
    return Message(
        f"the loss is not quadratic in {', '.join(names)} within the confidence intervals, so "
        "value ± t standard errors would be wrong: their intervals are by profile likelihood, "
        "unless that was too expensive.",
        params=names,
    )


STEP_PARAM = Check(
    "step_param",
    _step_severity,
    _describe_step,
    About(
        seen="a param occurs only in a condition (`where(x < p, …)`)",
        severity="warning",
        matters="all its values between two rows fit equally well; it has no standard error",
        cure=(
            "none needed if the interval between the rows is narrow enough; else rows closer "
            "together, or a smooth transition"
        ),
    ),
)
RANK_DEFICIENT = Check(
    "rank_deficient",
    _rank_severity,
    _describe_rank,
    About(
        seen="the data do not determine some params: the Jacobian is rank deficient",
        severity="error",
        matters=(
            "other values of these params fit equally well, so that the fitted values are "
            "arbitrary; there are no standard errors"
        ),
        cure=(
            "one of them fixed at its value, if that determines the others; else a simpler "
            "model, or data where the params have different effects"
        ),
    ),
)
ILL_CONDITIONED = Check(
    "ill_conditioned",
    _condition_severity,
    _describe_condition,
    About(
        seen="the condition number of the Jacobian, its columns of unit norm, is above 10⁸",
        severity="warning",
        matters="at least half of the digits of the params are lost",
        cure="standardized inputs if the formula is linear, or fewer params",
    ),
)
FEW_DEGREES_OF_FREEDOM = Check(
    "few_degrees_of_freedom",
    _freedom_severity,
    _describe_freedom,
    About(
        seen="at most two degrees of freedom are left; of a network, none",
        severity="warning; error with fewer rows than params, except for a network",
        matters=(
            "the noise cannot be estimated from the residuals, so that the standard errors are "
            "very uncertain or unknown; where the noise is given, the residuals do not test it"
        ),
        cure="more data, or fixed params",
    ),
)
UNDETERMINED = Check(
    "undetermined",
    _open_severity,
    _describe_open,
    About(
        seen=(
            "the profile likelihood of a param sets no limit on it on one side, at the "
            "confidence level of the request"
        ),
        severity="error",
        matters=(
            "the curve fits the data about equally well however far the param moves in that "
            "direction; its standard error is wrong"
        ),
        cure="data where the model depends on that param, or the param fixed at a known value",
    ),
)
NONLINEAR_INTERVAL = Check(
    "nonlinear_interval",
    _nonlinear_severity,
    _describe_nonlinear,
    About(
        seen=(
            "the rise of the loss two standard errors from the minimum differs by a factor of 2 "
            "from its quadratic approximation by the Jacobian"
        ),
        severity="info",
        matters=(
            "value ± t standard errors would not have the nominal coverage; the intervals of "
            "these params are by profile likelihood, unless that was too expensive"
        ),
        cure="none needed: use the intervals rather than the standard errors",
    ),
)
