"""What the residuals tell: rows that do not belong, and a shape that the model misses."""

from __future__ import annotations

import math

import numpy as np

from service.engine.diagnostics.finding import (
    ERROR,
    WARNING,
    Bools,
    Check,
    Each,
    Finding,
    Findings,
    Grades,
    Said,
    no,
    some,
)
from service.engine.inference.statistics import is_chance
from service.engine.kernel.types import Floats

OUTLYING = 5.0
"""Robust standard deviations beyond which a row is an outlier."""
ENOUGH = 10
MANY = 0.2
"""A larger part of the rows is no outlier any more."""
SHOWN = 5
FOLLOWS = 0.05
DWARFED = 1e4
TINY = 1e-150
WAVY = 4.0
"""Standard errors below which the lag-one sum of squares shows a pattern."""


def _median(values: Floats, rows: Each) -> Each:
    """Of the first so many values of each line, (fits,); what is beyond them is +∞."""
    ordered, low, high = np.sort(values, axis=-1), (rows - 1) // 2, rows // 2
    if values.ndim == 1:
        return (ordered[low] + ordered[high]) / 2
    at = np.arange(len(values))
    return (ordered[at, low] + ordered[at, high]) / 2


def _outlying(findings: Findings) -> tuple[Bools, Each]:
    """Which rows are far beyond the others', (fits, rows), and the robust spread, (fits,)."""
    if "outlying" not in findings.seen:
        findings.seen["outlying"] = _looked_for(findings)
    found: tuple[Bools, Each] = findings.seen["outlying"]
    return found


def _looked_for(findings: Findings) -> tuple[Bools, Each]:
    sample, kept, step = findings.sample, findings.kept, findings.step
    rows = -(-findings.statistics.n // step)
    beyond = None if kept is None else ~kept[..., ::step]
    masked = sample if beyond is None else np.where(beyond, np.inf, sample)
    centre = _median(masked, rows)
    size = np.abs(sample - np.asarray(centre)[..., None])
    size = size if beyond is None else np.where(beyond, np.inf, size)
    spread = 1.4826 * _median(size, rows)
    if step == 1:
        far = size > OUTLYING * np.asarray(spread)[..., None]
    else:
        far = _far(findings, centre * findings.scale, OUTLYING * spread * findings.scale)
    return far if kept is None else far & kept, spread


def _far(findings: Findings, centre: Each, limit: Each) -> Bools:
    """Which rows of long data are farther from the centre than the limit: mostly none."""
    z = findings.z
    if findings.one is not None and centre - limit <= z.min() and z.max() <= centre + limit:
        return np.zeros(z.shape, dtype=bool)
    return np.asarray(np.abs(z - np.asarray(centre)[..., None]) > np.asarray(limit)[..., None])


def _grade_outliers(findings: Findings) -> Grades:
    """Rows whose residual is far beyond the others'."""
    if not findings.problem.loss.is_least_squares:
        return findings.nowhere()
    rows = findings.statistics.n
    far, spread = _outlying(findings)
    count = far.sum(axis=-1)
    few = (count > 0) & (count <= MANY * rows) & (rows >= ENOUGH)
    told = (spread >= 1e-9) & (spread < math.inf)
    return findings.where(WARNING, few & told & no(_is_rounding(findings)))


def _is_rounding(findings: Findings) -> Each:
    """Whether the residuals are no more than the rounding of the target."""
    return findings.statistics.is_rounding


def _tell_outliers(finding: Finding) -> Said:
    mask, spread = _outlying(finding.all)
    far = np.flatnonzero(mask).tolist()
    listed = ", ".join(str(row + 1) for row in far[:SHOWN]) + (", …" if len(far) > SHOWN else "")
    scale = 2 * float(spread) * (finding.statistics.residual_std or 1.0)
    delta = float(f"{scale:.2g}")
    return Said(
        f"more than {OUTLYING:g} robust standard deviations off the curve: {len(far)} "
        f"row{'s' * (len(far) > 1)} ({listed}), which pull it their way. Check them, or use a "
        "robust loss.",
        suggestion={"loss": {"name": "soft_l1", "delta": delta}} if delta > 0 else None,
    )


def _ratio(findings: Findings) -> Each:
    """Von Neumann's ratio of the mean square of successive differences, along the first input, to
    the variance (Annals of Mathematical Statistics 12 (1941) 367), (fits,)."""
    step = findings.step
    z = np.atleast_2d(findings.sample)
    x = findings.inputs[findings.problem.formula.inputs[0]][..., ::step]
    x = np.broadcast_to(x, z.shape)
    kept = None if findings.kept is None else findings.kept[:, ::step]
    apart = None if kept is None else kept[:, 1:]
    if kept is not None:
        x = np.where(kept, x, np.inf)
    shuffled = (np.diff(x, axis=1) < 0).any(axis=1)
    if shuffled.any():
        order = np.argsort(x[shuffled], axis=1, kind="stable")
        z = z.copy()
        z[shuffled] = np.take_along_axis(z[shuffled], order, axis=1)
    steps = np.diff(z, axis=1)
    if apart is not None:
        steps = np.where(apart, steps, 0.0)
    ratio = (steps * steps).sum(axis=1) / (z * z).sum(axis=1)
    return ratio if findings.one is None else float(ratio[0])


def _grade_autocorrelation(findings: Findings) -> Grades:
    """Neighbours along the first input err alike: the model misses a shape in the data. The ratio
    is about 2, with standard error 2/√n, for independent rows."""
    statistics = findings.statistics
    n = -(-statistics.n // findings.step)
    asked = (n >= 2 * ENOUGH) & (statistics.degrees_of_freedom >= ENOUGH)
    if not findings.problem.formula.inputs or not np.any(asked):
        return findings.nowhere()
    ratio = _ratio(findings)
    rounding = _is_rounding(findings) | (statistics.r_squared > 1 - 1e-12)
    wavy = ratio < 2 - WAVY * 2 / np.sqrt(n)
    return findings.where(WARNING, asked & wavy & no(rounding) & (findings.statistics.total > 0))


def _tell_autocorrelation(finding: Finding) -> Said:
    guessed = finding.problem.is_linear or finding.guessed
    ratio, along = _ratio(finding.all), finding.problem.formula.inputs[0]
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
    if problem.is_linear or not problem.loss.is_least_squares or not problem.formula.inputs:
        return findings.nowhere()
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
    adrift = "" if finding.all.ended("converged") else " and the fit has not converged"
    return Said(
        f"the curve explains almost none of the variation (R² = {explained:.2g}){adrift}. A start "
        "nearer the answer may end elsewhere; without initial values one is searched for.",
        suggestion=None if finding.guessed else {"params": None},
    )


def _vanished(findings: Findings) -> Each:
    return (findings.best_loss == 0.0) & (findings.target > 0.0) & (findings.target < TINY)


def _grade_rounding(findings: Findings) -> Grades:
    """Squares of the residuals that vanish or overflow."""
    overflowed = (findings.best_loss == math.inf) & findings.statistics.finite
    return findings.where(ERROR, _vanished(findings) | overflowed)


def _tell_rounding(finding: Finding) -> Said:
    vanished, size = _vanished(finding.all), finding.all.target
    return Said(
        f"the target is so {'small' if vanished else 'large'} (up to {size:.2g}) that the squares "
        f"of its residuals {'vanish' if vanished else 'overflow'}; give it in another unit.",
    )


OUTLIERS = Check("outliers", _grade_outliers, _tell_outliers)
AUTOCORRELATED_RESIDUALS = Check(
    "autocorrelated_residuals", _grade_autocorrelation, _tell_autocorrelation
)
UNEXPLAINED = Check("unexplained", _grade_explained, _tell_explained)
LOST_IN_ROUNDING = Check("poor_scale", _grade_rounding, _tell_rounding)
