"""Checks of the residuals: outliers, autocorrelation, and no explained variation."""

from __future__ import annotations

import math

import numpy as np

from service.engine.diagnostics.descent import POOR_SCALE
from service.engine.diagnostics.finished import (
    ERROR,
    WARNING,
    About,
    Check,
    Each,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
    any_of,
    negated,
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
"""Largest fraction of the rows that count as outliers."""
SHOWN = 5
FOLLOWS = 0.05
DWARFED = 1e4
NORMAL = float(np.finfo(np.float64).tiny)
"""The smallest number with all digits of float64."""
TINY = math.sqrt(NORMAL) / float(np.finfo(np.float64).eps)
"""The size of a target below which the square of its own rounding has fewer digits."""
WAVY = 4.0
"""Standard errors by which von Neumann's ratio is below 2 for autocorrelated residuals."""


def _outliers_severity(finished: FinishedFits) -> Severities:
    """Rows whose residuals are far larger than those of the others."""
    if not finished.problem.loss.is_least_squares:
        return finished.nowhere()
    rows, count, spread = finished.statistics.n, finished.seen(FAR), finished.seen(SPREAD)
    few = (count > 0) & (count <= MANY * rows) & (rows >= ENOUGH)
    has_spread = (spread >= 1e-9 * finished.scale) & (spread < math.inf)
    return finished.where(WARNING, few & has_spread & negated(_is_rounding(finished)))


def _is_rounding(finished: FinishedFits) -> Each:
    """Whether the residuals are only rounding errors of the target."""
    return finished.statistics.is_rounding


def _describe_outliers(fit: FinishedFit) -> Message:
    spread = fit.all.seen(SPREAD)
    apart = np.abs(fit.statistics.z - fit.all.seen(CENTRE))
    limit = fit.all.seen(LIMIT)
    far = np.flatnonzero(apart > limit).tolist()
    listed = ", ".join(str(row + 1) for row in far[:SHOWN]) + (", …" if len(far) > SHOWN else "")
    delta = float(f"{2 * spread:.2g}")
    robust = delta > 0 and not fit.problem.sigma_x
    cure = "Check them, or use a robust loss." if not fit.problem.sigma_x else "Check them."
    return Message(
        f"{len(far)} outlier{'s' * (len(far) > 1)}, more than {limit / spread:.2g} robust standard "
        f"deviations from the curve (row{'s' * (len(far) > 1)} {listed}), which distort the fit. "
        + cure,
        suggestion={"loss": {"name": "soft_l1", "delta": delta}} if robust else None,
    )


def _autocorrelation_severity(finished: FinishedFits) -> Severities:
    """Residuals are autocorrelated along the first input. Von Neumann's ratio is about 2, with
    standard error 2/√n, for independent rows."""
    statistics = finished.statistics
    rows = statistics.n
    n = -(-rows // (-(-rows // SAMPLE)))
    enough = (n >= 2 * ENOUGH) & (statistics.degrees_of_freedom >= ENOUGH)
    rounding = _is_rounding(finished) | (statistics.r_squared > 1 - 1e-12)
    wavy = finished.seen(RATIO) < 2 - WAVY * 2 / n**0.5
    return finished.where(WARNING, enough & wavy & negated(rounding) & (statistics.total > 0))


def _describe_autocorrelation(fit: FinishedFit) -> Message:
    guessed = fit.problem.is_linear or fit.guessed
    ratio, along = fit.all.seen(RATIO), fit.problem.formula.inputs[0]
    return Message(
        f"the residuals along {along} are autocorrelated (von Neumann's ratio {ratio:.2g}; 2 "
        "expected): the model misses a pattern in the data, and the standard errors are too "
        "small.",
        suggestion=None if guessed else {"params": None},
    )


def _explained_severity(finished: FinishedFits) -> Severities:
    """The curve explains almost none of the variation, mostly after a start far from the solution.
    ERROR for a nonlinear formula if it explains no more than chance, or little without having
    converged, or if the standard errors are undefined or far larger than the params."""
    problem, statistics = finished.problem, finished.statistics
    if not problem.loss.is_least_squares or not problem.formula.inputs:
        return finished.nowhere()
    if problem.is_linear:
        little = (statistics.r_squared <= FOLLOWS) & (statistics.degrees_of_freedom >= 3)
        return finished.where(WARNING, little & (statistics.offset <= NEAR))
    stderr, values = statistics.stderr, np.abs(finished.theta[..., finished.free])
    if stderr.shape != values.shape:
        stderr = np.full(values.shape, np.nan)
    degrees, explained = statistics.degrees_of_freedom, statistics.r_squared
    undefined = negated(any_of(~np.isnan(stderr))) | any_of(stderr > DWARFED * values)
    little = (explained <= FOLLOWS) & (degrees >= 3)
    chance = is_chance(explained, degrees, len(statistics.free))
    # First-order optimizers normally end at the last epoch.
    short = negated(finished.ended("converged")) & (not finished.is_first_order)
    failed = chance | (little & short)
    seen = little | failed | (_is_constant(finished) & (degrees >= 3))
    zero = _is_constant(finished) & (statistics.size == 0.0)
    return finished.where(finished.either(undefined | failed | zero, ERROR, WARNING), seen)


def _is_constant(finished: FinishedFits) -> Each:
    """Whether a constant target was to determine params that have standard errors."""
    statistics = finished.statistics
    named = finished.problem.formula.has_standard_errors
    return np.isnan(statistics.r_squared) & np.isfinite(statistics.size) & named


def _describe_explained(fit: FinishedFit) -> Message:
    explained = fit.statistics.r_squared
    if fit.problem.is_linear:
        said = "" if explained is None else f" (R² = {explained:.2g})"
        return Message(
            f"the curve explains almost none of the variation{said}: the target "
            "does not depend on the inputs in this way, or not at all."
        )
    if _is_constant(fit.all):
        return Message(
            "the target is constant: nothing in it determines the shape of a curve, whatever the "
            "standard errors. Use data that vary, or a simpler model."
        )
    failed = "" if fit.all.ended("converged") else " and the fit has not converged"
    said = "" if explained is None else f" (R² = {explained:.2g})"
    return Message(
        f"the curve explains almost none of the variation{said}{failed}. Use "
        "initial values nearer the solution; without them a start is searched for.",
        suggestion=None if fit.guessed else {"params": None},
    )


def _vanished(finished: FinishedFits) -> Each:
    """Whether a sum of squares is 0, or has lost digits, though the target is not 0."""
    tiny = finished.statistics.size < TINY
    lowest = np.fmin(finished.loss, finished.best_loss)
    return (lowest < NORMAL) & (finished.seen(TARGET) > 0.0) & tiny


def _rounding_severity(finished: FinishedFits) -> Severities:
    """The squared residuals underflow or overflow, or the squares of the target overflow."""
    statistics = finished.statistics
    overflowed = (finished.best_loss == math.inf) & statistics.finite
    if finished.problem.loss.is_least_squares:
        overflowed = overflowed | (statistics.size == math.inf)
    return finished.where(ERROR, _vanished(finished) | overflowed)


def _describe_rounding(fit: FinishedFit) -> Message:
    vanished, size = _vanished(fit.all), fit.all.seen(TARGET)
    of, fix = "", "use another unit for it"
    if fit.problem.sigma is not None:
        of, fix = " relative to sigma", "check sigma"
    return Message(
        f"the target (up to {size:.2g}) is so {'small' if vanished else 'large'}{of} that the "
        f"squares of its residuals {'underflow' if vanished else 'overflow'}; {fix}.",
    )


OUTLIERS = Check(
    "outliers",
    _outliers_severity,
    _describe_outliers,
    About(
        seen=(
            "at most a fifth of the n rows are more than 5·(1 + 15/n) robust standard deviations "
            "from the curve"
        ),
        severity="warning",
        matters="a few rows distort the whole curve",
        cure=(
            "a check of those rows, or a robust loss, which gives them less weight; "
            '`"outliers": "rout"` tests them and gives the fit without them too'
        ),
    ),
)
AUTOCORRELATED_RESIDUALS = Check(
    "autocorrelated_residuals",
    _autocorrelation_severity,
    _describe_autocorrelation,
    About(
        seen=(
            "the residuals are autocorrelated along the first input (von Neumann's ratio, for 20 "
            "rows or more)"
        ),
        severity="warning",
        matters="the model misses a pattern in the data, and the standard errors are too small",
        cure=(
            "another model, with a term for that pattern; the fit without initial values, if "
            "they were given"
        ),
    ),
)
UNEXPLAINED = Check(
    "unexplained",
    _explained_severity,
    _describe_explained,
    About(
        seen=(
            "the curve explains less than 5 % of the variation, or a nonlinear one no more than "
            "chance would; or a nonlinear formula was fitted to a constant target; with shared "
            "params over the rows of all groups too"
        ),
        severity=(
            "warning; for a nonlinear formula error if it explains no more than chance would, "
            "the fit has not converged, the target is 0, or a standard error is far larger than "
            "its param"
        ),
        matters=(
            "the target does not depend on the inputs in this way, or the start was far from "
            "the solution"
        ),
        cure="the fit without initial values, so that a start is searched for; or another model",
    ),
)
LOST_IN_ROUNDING = Check("poor_scale", _rounding_severity, _describe_rounding, POOR_SCALE.about)
