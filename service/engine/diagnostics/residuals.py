"""What the residuals tell: rows that do not belong, and a shape that the model misses."""

from __future__ import annotations

import math

import numpy as np

from service.engine.diagnostics.descent import POOR_SCALE
from service.engine.diagnostics.finding import (
    ERROR,
    WARNING,
    About,
    Check,
    Each,
    Finding,
    Findings,
    Grades,
    Said,
    no,
    some,
)
from service.engine.inference.intervals import NEAR
from service.engine.inference.statistics import is_chance
from service.engine.kernel.residuals import (
    CENTRE,
    FAR,
    LIMIT,
    RATIO,
    SAMPLE,
    SPREAD,
    TARGET,
)

ENOUGH = 10
MANY = 0.2
"""A larger part of the rows is no outlier any more."""
SHOWN = 5
FOLLOWS = 0.05
DWARFED = 1e4
TINY = 1e-150
WAVY = 4.0
"""Standard errors below which the lag-one sum of squares shows a pattern."""


def _grade_outliers(findings: Findings) -> Grades:
    """Rows whose residual is far beyond the others'."""
    if not findings.problem.loss.is_least_squares:
        return findings.nowhere()
    rows, count, spread = findings.statistics.n, findings.seen(FAR), findings.seen(SPREAD)
    few = (count > 0) & (count <= MANY * rows) & (rows >= ENOUGH)
    told = (spread >= 1e-9 * findings.scale) & (spread < math.inf)
    return findings.where(WARNING, few & told & no(_is_rounding(findings)))


def _is_rounding(findings: Findings) -> Each:
    """Whether the residuals are no more than the rounding of the target."""
    return findings.statistics.is_rounding


def _tell_outliers(finding: Finding) -> Said:
    spread = finding.all.seen(SPREAD)
    apart = np.abs(finding.statistics.z - finding.all.seen(CENTRE))
    limit = finding.all.seen(LIMIT)
    far = np.flatnonzero(apart > limit).tolist()
    listed = ", ".join(str(row + 1) for row in far[:SHOWN]) + (", …" if len(far) > SHOWN else "")
    delta = float(f"{2 * spread:.2g}")
    return Said(
        f"more than {limit / spread:.2g} robust standard deviations off the curve: {len(far)} "
        f"row{'s' * (len(far) > 1)} ({listed}), which pull it their way. Check them, or use a "
        "robust loss.",
        suggestion={"loss": {"name": "soft_l1", "delta": delta}} if delta > 0 else None,
    )


def _grade_autocorrelation(findings: Findings) -> Grades:
    """Neighbours along the first input err alike: the model misses a shape in the data. The ratio
    is about 2, with standard error 2/√n, for independent rows."""
    statistics = findings.statistics
    rows = statistics.n
    n = -(-rows // (-(-rows // SAMPLE)))
    asked = (n >= 2 * ENOUGH) & (statistics.degrees_of_freedom >= ENOUGH)
    rounding = _is_rounding(findings) | (statistics.r_squared > 1 - 1e-12)
    wavy = findings.seen(RATIO) < 2 - WAVY * 2 / n**0.5
    return findings.where(WARNING, asked & wavy & no(rounding) & (statistics.total > 0))


def _tell_autocorrelation(finding: Finding) -> Said:
    guessed = finding.problem.is_linear or finding.guessed
    ratio, along = finding.all.seen(RATIO), finding.problem.formula.inputs[0]
    return Said(
        f"neighbouring residuals along {along} err alike (von Neumann's ratio {ratio:.2g}; "
        "about 2 is due): the model misses a shape in the data, and the "
        "standard errors are too small.",
        suggestion=None if guessed else {"params": None},
    )


def _grade_explained(findings: Findings) -> Grades:
    """A curve that follows nothing in the data: mostly the end of a start far from the answer. One
    that explains no more than chance would is no answer, though it may be a minimum; nor is one
    that explains little and has not converged."""
    problem, statistics = findings.problem, findings.statistics
    if not problem.loss.is_least_squares or not problem.formula.inputs:
        return findings.nowhere()
    if problem.is_linear:
        little = (statistics.r_squared <= FOLLOWS) & (statistics.degrees_of_freedom >= 3)
        return findings.where(WARNING, little & (statistics.offset <= NEAR))
    stderr, values = statistics.stderr, np.abs(findings.theta[..., findings.free])
    if stderr.shape != values.shape:
        stderr = np.full(values.shape, np.nan)
    degrees, explained = statistics.degrees_of_freedom, statistics.r_squared
    lost = no(some(~np.isnan(stderr))) | some(stderr > DWARFED * values)
    little = (explained <= FOLLOWS) & (degrees >= 3)
    chance = is_chance(explained, degrees, len(statistics.free))
    # The last epoch is a first-order method's ordinary end, and no sign by itself.
    short = no(findings.ended("converged")) & (not findings.is_first_order)
    adrift = chance | (little & short)
    return findings.where(findings.either(lost | adrift, ERROR, WARNING), little | adrift)


def _tell_explained(finding: Finding) -> Said:
    explained = finding.statistics.r_squared
    if finding.problem.is_linear:
        return Said(
            f"the curve explains almost none of the variation (R² = {explained:.2g}): the target "
            "does not depend on the inputs in this way, or not at all."
        )
    adrift = "" if finding.all.ended("converged") else " and the fit has not converged"
    return Said(
        f"the curve explains almost none of the variation (R² = {explained:.2g}){adrift}. A start "
        "nearer the answer may end elsewhere; without initial values one is searched for.",
        suggestion=None if finding.guessed else {"params": None},
    )


def _vanished(findings: Findings) -> Each:
    largest = findings.seen(TARGET)
    return (findings.best_loss == 0.0) & (largest > 0.0) & (largest < TINY)


def _grade_rounding(findings: Findings) -> Grades:
    """Squares of the residuals that vanish or overflow."""
    overflowed = (findings.best_loss == math.inf) & findings.statistics.finite
    return findings.where(ERROR, _vanished(findings) | overflowed)


def _tell_rounding(finding: Finding) -> Said:
    vanished, size = _vanished(finding.all), finding.all.seen(TARGET)
    return Said(
        f"the target is so {'small' if vanished else 'large'} (up to {size:.2g}) that the squares "
        f"of its residuals {'vanish' if vanished else 'overflow'}; give it in another unit.",
    )


OUTLIERS = Check(
    "outliers",
    _grade_outliers,
    _tell_outliers,
    About(
        seen=(
            "rows more than 5·(1 + 15/n) robust standard deviations off the curve, of n "
            "rows, and no more than a fifth of them"
        ),
        severity="warning",
        matters="a few rows pull the whole curve their way",
        cure="those rows checked; or a robust loss, which counts them less",
    ),
)
AUTOCORRELATED_RESIDUALS = Check(
    "autocorrelated_residuals",
    _grade_autocorrelation,
    _tell_autocorrelation,
    About(
        seen=(
            "neighbours along the first input err alike (von Neumann's ratio, of 20 rows or more)"
        ),
        severity="warning",
        matters="the model misses a shape in the data, and the standard errors are too small",
        cure=(
            "another model, with a term for that shape; the fit without initial values, "
            "where they were given"
        ),
    ),
)
UNEXPLAINED = Check(
    "unexplained",
    _grade_explained,
    _tell_explained,
    About(
        seen=(
            "a curve explains less than 5 % of the variation, or a nonlinear one no more "
            "than chance would"
        ),
        severity=(
            "warning; of a nonlinear curve error where it does not beat chance, the fit has "
            "not converged, or a standard error dwarfs its param"
        ),
        matters=(
            "the curve follows nothing in the data: the target does not depend on the "
            "inputs in this way, or the start was far from the answer"
        ),
        cure="the fit without initial values, so that a start is searched for; or another model",
    ),
)
LOST_IN_ROUNDING = Check("poor_scale", _grade_rounding, _tell_rounding, POOR_SCALE.about)
