"""What the residuals tell: rows that do not belong, and a shape that the model misses."""

from __future__ import annotations

import math

import torch

from service.engine.diagnostics.finding import Diagnostic, Finding

OUTLYING = 5.0
"""Robust standard deviations beyond which a row is an outlier."""
ENOUGH = 10
SHOWN = 5
FOLLOWS = 0.05
DWARFED = 1e4
TINY = 1e-150
WAVY = 4.0
"""Standard errors below which the lag-one sum of squares shows a pattern."""


def outliers(finding: Finding) -> Diagnostic | None:
    """Rows whose residual is far beyond the others'."""
    if not finding.problem.loss.is_least_squares or finding.statistics.n < ENOUGH:
        return None
    z = finding.standardized
    centre = z.median()
    spread = 1.4826 * float((z - centre).abs().median())
    if not math.isfinite(spread) or spread < 1e-9:
        return None
    far = ((z - centre).abs() > OUTLYING * spread).nonzero().flatten().tolist()
    if not far or len(far) > 0.2 * finding.statistics.n:
        return None
    listed = ", ".join(str(row + 1) for row in far[:SHOWN]) + (", …" if len(far) > SHOWN else "")
    delta = float(f"{2 * spread * (finding.statistics.residual_std or 1.0):.2g}")
    return Diagnostic(
        "outliers",
        "warning",
        f"more than {OUTLYING:g} robust standard deviations off the curve: {len(far)} "
        f"row{'s' * (len(far) > 1)} ({listed}), which pull it their way. Check them, or use a "
        "robust loss.",
        suggestion={"loss": {"name": "soft_l1", "delta": delta}} if delta > 0 else None,
    )


def autocorrelated_residuals(finding: Finding) -> Diagnostic | None:
    """Neighbours along the first input err alike: the model misses a shape in the data.

    Von Neumann's ratio of the mean square of successive differences to the variance (Annals of
    Mathematical Statistics 12 (1941) 367): about 2, with standard error 2/√n, for independent rows.
    """
    n, inputs = finding.statistics.n, finding.problem.formula.inputs
    if n < 2 * ENOUGH or not inputs or finding.statistics.degrees_of_freedom < ENOUGH:
        return None
    order = torch.argsort(finding.problem.columns[inputs[0]], stable=True)
    z = finding.standardized[order]
    total = float((z * z).sum())
    if (
        not math.isfinite(total)
        or total <= 0.0
        or (finding.statistics.r_squared or 0.0) > 1 - 1e-12
    ):
        return None
    ratio = float((z.diff() ** 2).sum()) / total
    if ratio >= 2 - WAVY * 2 / math.sqrt(n):
        return None
    return Diagnostic(
        "autocorrelated_residuals",
        "warning",
        f"neighbouring residuals along {inputs[0]} err alike (von Neumann's ratio {ratio:.2g}; "
        "about 2 is due): the model misses a shape in the data, and the standard "
        "errors are too small.",
        suggestion=None if finding.problem.is_linear or finding.guessed else {"params": None},
    )


def unexplained(finding: Finding) -> Diagnostic | None:
    """A curve that follows nothing in the data: mostly the end of a start far from the answer."""
    problem, statistics = finding.problem, finding.statistics
    if problem.is_linear or not problem.loss.is_least_squares or not problem.formula.inputs:
        return None
    explained, stderr = statistics.r_squared, statistics.stderr
    if explained is None or explained > FOLLOWS or statistics.degrees_of_freedom < 3:
        return None
    values = finding.theta[problem.free_index].double().abs()
    lost = stderr is None or bool((stderr > DWARFED * values).any())
    return Diagnostic(
        "unexplained",
        "error" if lost else "warning",
        f"the curve explains almost none of the variation (R² = {explained:.2g}). A start nearer "
        "the answer may end elsewhere; without initial values one is searched for.",
        suggestion=None if finding.guessed else {"params": None},
    )


def lost_in_rounding(finding: Finding) -> Diagnostic | None:
    """Squares of the residuals that vanish or overflow."""
    loss = finding.result.best.loss
    size = float(finding.problem.target.double().abs().max())
    vanished = loss == 0.0 and 0.0 < size < TINY
    if not vanished and not (loss == math.inf and math.isfinite(size)):
        return None
    return Diagnostic(
        "poor_scale",
        "error",
        f"the target is so {'small' if vanished else 'large'} (up to {size:.2g}) that the squares "
        f"of its residuals {'vanish' if vanished else 'overflow'}; give it in another unit.",
    )
