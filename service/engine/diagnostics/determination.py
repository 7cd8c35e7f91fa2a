"""How well the data determine the params."""

from __future__ import annotations

import math
from typing import Any

from service.engine.diagnostics.ending import POOR
from service.engine.diagnostics.finding import (
    ERROR,
    INFO,
    WARNING,
    About,
    Check,
    Finding,
    Findings,
    Grades,
    Said,
    no,
    some,
)
from service.engine.kernel.types import Bools
from service.engine.start.ranges import ranges


def _among(names: tuple[str, ...], chosen: Bools) -> tuple[str, ...]:
    return tuple(name for name, is_one in zip(names, chosen.tolist(), strict=True) if is_one)


def _grade_rank(findings: Findings) -> Grades:
    """Some params trade off against each other, or act on nothing."""
    return findings.where(ERROR, some(findings.statistics.lost & ~findings.stepping))


def _tell_rank(finding: Finding) -> Said:
    names, flat = finding.statistics.deficient, finding.all.statistics.flat
    nothing = [n for n, is_flat in zip(finding.problem.free_params, flat, strict=False) if is_flat]
    cure = None
    if not set(names) & set(nothing) and finding.lower is None:
        cure = _fixed(finding, names[-1])
    return Said(
        f"the data do not tell these params apart: {', '.join(names)}. Other values of them fit as "
        "well; fix one, or simplify the model.",
        params=names,
        suggestion=cure,
    )


def _grade_step(findings: Findings) -> Grades:
    """A param acts through a condition alone: all values between two rows fit alike."""
    return findings.where(WARNING, some(findings.stepping))


def _tell_step(finding: Finding) -> Said:
    problem = finding.problem
    free, stepping = problem.free_params, finding.all.stepping
    names = _among(free, stepping)
    of, told = " (of the scaled inputs)" if finding.is_scaled else "", []
    for name in names:
        at = problem.params.index(name)
        places, value = ranges(problem)[at].places, float(finding.theta[at])
        if places is not None and (places <= value).any() and (places > value).any():
            low, high = places[places <= value].max(), places[places > value].min()
            told.append(f"any {name} between {low:.6g} and {high:.6g} gives the same fit")
        else:
            told.append(f"values of {name} next to {value:.6g} give the same fit")
    return Said(
        f"{'; '.join(told)}{of}: it acts through a condition alone, and has no standard error.",
        names,
    )


def _fixed(finding: Finding, name: str) -> dict[str, Any] | None:
    """A patch that keeps the param at its fitted value."""
    values = finding.in_request(finding.theta)
    if values is None:
        return None
    value = values[name] if math.isfinite(values[name]) else 1.0
    return {"params": {name: {"value": value, "fixed": True}}}


def _grade_condition(findings: Findings) -> Grades:
    """The params are told apart, but only just."""
    determined = findings.statistics
    condition = determined.condition
    poor = (condition > POOR) & (condition < math.inf)
    return findings.where(WARNING, poor & no(some(determined.lost)))


def _tell_condition(finding: Finding) -> Said:
    condition = finding.statistics.condition
    scaled = finding.problem.is_linear and finding.can_be_standardized
    return Said(
        f"the Jacobian's condition number is {condition:.2g}: about {math.log10(condition):.0f} of "
        "the 16 digits of the params are lost. Scale the inputs, or use fewer params.",
        suggestion={"scaling": "standardize"} if scaled else None,
    )


def _grade_freedom(findings: Findings) -> Grades:
    """Too few rows to tell the noise."""
    degrees = findings.statistics.degrees_of_freedom
    if not findings.problem.formula.has_standard_errors:
        return findings.where(WARNING, degrees <= 0)
    return findings.where(findings.either(degrees < 0, ERROR, WARNING), degrees <= 2)


def _tell_freedom(finding: Finding) -> Said:
    degrees = finding.statistics.degrees_of_freedom
    none = (
        "no rows are" if degrees <= 0 else f"only {degrees} row{'s are' if degrees > 1 else ' is'}"
    )
    unknown = "nothing tells what it predicts between the rows; a smaller network may"
    if finding.problem.formula.has_standard_errors:
        sure = "unknown" if degrees <= 0 else "very uncertain"
        unknown = f"the standard errors are {sure}. Add data or fix params"
    return Said(
        f"{none} left over to tell the noise ({finding.statistics.n} rows, "
        f"{len(finding.problem.free_params)} free params), so {unknown}.",
    )


def _grade_open(findings: Findings) -> Grades:
    """The profile of a param does not close: the data set no limit on it, on some side."""
    if findings.intervals is None:
        return findings.nowhere()
    return findings.where(ERROR, some(findings.intervals.open))


def _tell_open(finding: Finding) -> Said:
    assert finding.intervals is not None
    names = _among(finding.statistics.free, finding.intervals.open)
    return Said(
        f"the data do not determine {', '.join(names)}: at any level of confidence asked for there "
        "is no limit on one side (NaN in the interval), whatever the standard error says. Data "
        "where the model depends on it would, or a known value that is fixed.",
        params=names,
    )


def _grade_bent(findings: Findings) -> Grades:
    """The loss is far from quadratic within the interval."""
    if findings.intervals is None:
        return findings.nowhere()
    return findings.where(INFO, some(findings.intervals.bent))


def _tell_bent(finding: Finding) -> Said:
    assert finding.intervals is not None
    names = _among(finding.statistics.free, finding.intervals.bent)
    return Said(
        f"the loss is not quadratic in {', '.join(names)} as far as the intervals reach, so "
        "value ± t standard errors would be wrong: their intervals are by profile likelihood, "
        "unless that was too much work.",
        params=names,
    )


STEP_PARAM = Check(
    "step_param",
    _grade_step,
    _tell_step,
    About(
        seen="a param acts through a condition alone (`where(x < p, …)`)",
        severity="warning",
        matters="all its values between two rows fit alike, and it has no standard error",
        cure=(
            "none is needed where the interval between the rows is narrow enough; rows "
            "closer together, or a smooth transition"
        ),
    ),
)
RANK_DEFICIENT = Check(
    "rank_deficient",
    _grade_rank,
    _tell_rank,
    About(
        seen="the data do not tell some params apart",
        severity="error",
        matters=(
            "other values of them fit as well, so that none of theirs means anything by "
            "itself; there are no standard errors"
        ),
        cure=(
            "one of them fixed at its value, where that determines the others; else a "
            "simpler model, or data where the params act differently"
        ),
    ),
)
ILL_CONDITIONED = Check(
    "ill_conditioned",
    _grade_condition,
    _tell_condition,
    About(
        seen="the condition number of the Jacobian, its columns of unit norm, is above 10⁸",
        severity="warning",
        matters="half of the digits of the params are lost or more",
        cure="standardized inputs where the formula is linear, or fewer params",
    ),
)
FEW_DEGREES_OF_FREEDOM = Check(
    "few_degrees_of_freedom",
    _grade_freedom,
    _tell_freedom,
    About(
        seen="two rows or fewer are left over to tell the noise; of a network, none",
        severity="warning; error where there are fewer rows than params, but for a network",
        matters=(
            "the residuals tell next to nothing of the noise, so that the standard errors "
            "are very uncertain or unknown"
        ),
        cure="more data, or fixed params",
    ),
)
UNDETERMINED = Check(
    "undetermined",
    _grade_open,
    _tell_open,
    About(
        seen=(
            "the profile of a param does not close: the data set no limit on it on one "
            "side, at the level asked for"
        ),
        severity="error",
        matters=(
            "however far the param goes that way, the curve fits the data about as well; "
            "its standard error says otherwise, and is wrong"
        ),
        cure="data where the model depends on that param, or a known value that is fixed",
    ),
)
NONLINEAR_INTERVAL = Check(
    "nonlinear_interval",
    _grade_bent,
    _tell_bent,
    About(
        seen=(
            "the loss two standard errors from the minimum is not what the Jacobian says, "
            "by a factor of 2"
        ),
        severity="info",
        matters=(
            "value ± t standard errors would hold the truth more or less often than they "
            "should; the intervals of these params are by profile likelihood, unless that "
            "was too much work"
        ),
        cure="none is needed: use the intervals rather than the standard errors",
    ),
)
