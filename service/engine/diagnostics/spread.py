"""The check for noise that grows with the prediction.

Two tests in turn, of the errors e = z/√(1 − h), h the leverage. Koenker's form of the score test of
Breusch and Pagan, of z² on ln(1 + |f|/mean|f|), which needs no order of the rows and no leverages
(`GROWTH` in `kernel.residuals`), leaves few fits. Of these the rank correlation of |e| with |f| is
tested, which one row does not decide, and which is that of any σ that rises with |f|.

Sources: Koenker, Journal of Econometrics 17 (1981) 107; Cook and Weisberg, Biometrika 70 (1983) 1;
Spearman's ρ with Student's t: Kendall and Gibbons, Rank Correlation Methods, 5th ed. (1990), 4.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from service.engine.diagnostics.finished import (
    WARNING,
    About,
    Check,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
)
from service.engine.diagnostics.residuals import WAVY
from service.engine.formula import Formula
from service.engine.inference.covariance import (
    LEVERAGE,
    are_whole,
    as_many,
    inverses,
    linearised,
)
from service.engine.inference.distributions import t_tail
from service.engine.kernel.residuals import GROWTH, RATIO
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.problem import Groups

FEWEST = 12
"""Rows, and degrees of freedom above 8, that the test needs."""
FIRST = 2.0
"""Normal deviate of the score test from which on the ranks are tested,"""
CHANCE = 0.001
"""and the chance at which they are no chance."""
MUCH = 0.3
"""Rank correlation below which standard errors are about right, however certain it is."""


def _severity(finished: FinishedFits) -> Severities:
    """The residuals grow with the prediction."""
    problem, z = finished.problem, finished.statistics.z
    is_plain = problem.noise is None and problem.prior is None and problem.order is None
    if z is None or not is_plain or problem.sigma is not None or problem.sigma_x:
        return finished.nowhere()
    if not problem.loss.is_least_squares or not isinstance(problem.formula, Formula):
        return finished.nowhere()
    statistics = finished.statistics
    enough = (statistics.n >= FEWEST) & (statistics.degrees_of_freedom >= FEWEST - 4)
    fine = enough & (finished.seen(GROWTH) >= FIRST) & ~np.asarray(statistics.is_rounding)
    first = np.flatnonzero(fine & ~_is_wavy(finished))
    if not len(first):
        return finished.nowhere()
    found = np.zeros(len(finished.fits), dtype=np.bool_)
    found[first] = _grows(finished, first, np.abs(problem.target.double().cpu().numpy() + z))
    return finished.where(WARNING, found if finished.one is None else bool(found[0]))


def _is_wavy(finished: FinishedFits) -> Any:
    """Whether the model misses a pattern, of whose size the residuals are."""
    return finished.seen(RATIO) < 2 - 2 * WAVY / np.sqrt(finished.statistics.n)


def _rows(fits: Groups, chosen: Ints) -> tuple[Ints, Ints]:
    """The place among the chosen fits, and the row, of each of their rows."""
    spans = fits.spans.numpy()[:, chosen]
    sizes = spans[1] - spans[0]
    of = np.repeat(np.arange(len(chosen)), sizes)
    return of, spans[0][of] + np.arange(len(of)) - (np.cumsum(sizes) - sizes)[of]


@np.errstate(all="ignore")
def _grows(finished: FinishedFits, chosen: Ints, size: Floats) -> Bools:
    """Which of the chosen fits have errors whose ranks follow those of the prediction."""
    problem, many = finished.problem.double().to("cpu"), finished.statistics
    if finished.one is not None:
        many = as_many(many)
    of_all, row = _rows(finished.fits, chosen)
    figures = replace(
        many, noise=many.noise[chosen], factor=many.factor[chosen], lost=many.lost[chosen],
        covariance=many.covariance[chosen],
    )  # fmt: skip
    whole = are_whole(figures)
    theta = torch.from_numpy(np.atleast_2d(finished.theta)[chosen])
    fits = finished.fits.at(torch.from_numpy(chosen))
    parts = linearised(problem, fits, theta, inverses(figures, whole))
    error = np.concatenate(
        [np.where(part.left > LEVERAGE, part.z.abs() / part.left.sqrt(), 0.0) for part in parts]
    )
    n = np.bincount(of_all, minlength=len(chosen))
    rho = _correlation(of_all, _ranks(of_all, error, n), _ranks(of_all, size[row], n), n)
    free = len(problem.free_params)
    t = rho * np.sqrt((n - 2) / np.maximum(1 - rho**2, np.finfo(float).tiny))
    chance = [t_tail(each, int(rows) - free) for each, rows in zip(t.tolist(), n, strict=True)]
    found: Bools = whole & (rho >= MUCH) & (np.array(chance) <= CHANCE)
    return found


def _ranks(of: Ints, values: Floats, sizes: Ints) -> Floats:
    """The rank of each row in its fit, less their mean; equal values have the mean of theirs."""
    order = np.lexsort((values, of))
    place = np.arange(len(of)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    ordered = values[order]
    starts = (np.diff(of[order], prepend=-1) != 0) | (np.diff(ordered, prepend=np.nan) != 0)
    run = np.cumsum(starts) - 1
    mean = np.bincount(run, place) / np.bincount(run)
    found = np.empty(len(of))
    found[order] = mean[run]
    return found - ((sizes - 1) / 2)[of]


def _correlation(of: Ints, a: Floats, b: Floats, sizes: Ints) -> Floats:
    def summed(values: Floats) -> Floats:
        return np.bincount(of, values, len(sizes))

    found: Floats = summed(a * b) / np.sqrt(summed(a * a) * summed(b * b))
    return np.nan_to_num(found)


def _describe(fit: FinishedFit) -> Message:
    size = fit.problem.target.double().cpu().numpy() + fit.statistics.z
    cure: dict[str, Any] = {"covariance": "sandwich"}
    text = "use the covariance 'sandwich', whose standard errors hold for any noise"
    is_repeated = fit.options.method.solver in ("exact", "levenberg_marquardt")
    if is_repeated and fit.task.outliers is None and math.isfinite(np.abs(size).max()):
        if (size > 0).all():
            cure = {"sigma": {"expr": "s*pred**k", "estimate": ["s", "k"]}}
        elif (size < 0).all():
            cure = {"sigma": {"expr": "s*(-pred)**k", "estimate": ["s", "k"]}}
        if "sigma" in cure:
            text = "estimate how it grows: a power of the prediction"
    return Message(
        "the residuals grow with the prediction, and the fit takes them for equally uncertain: "
        "large readings outweigh small ones, and the standard errors are wrong, mostly too large "
        f"where the prediction is small. If the model is right, {text}.",
        suggestion=cure,
    )


NON_CONSTANT_SPREAD = Check(
    "non_constant_spread",
    _severity,
    _describe,
    About(
        seen=(
            f"of {FEWEST} rows or more without `sigma`, |residual| follows the prediction: two "
            f"tests, the second at a chance of {CHANCE:g}"
        ),
        severity="warning",
        matters=(
            "large readings outweigh small ones, and standard errors and bands are too small where "
            "the noise is large, and too large where it is small"
        ),
        cure=(
            "`sigma` as an expression of the prediction; or the covariance `sandwich`, which "
            "mends the standard errors alone"
        ),
    ),
)
