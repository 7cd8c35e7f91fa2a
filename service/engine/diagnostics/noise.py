"""Checks of fits with a model of the noise, and of fits with a test for outliers."""

from __future__ import annotations

import numpy as np

from service.engine.diagnostics.finished import (
    ERROR,
    WARNING,
    About,
    Check,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
)
from service.engine.kernel.types import Bools
from service.engine.noise import NoiseExpression


def _severity(finished: FinishedFits) -> Severities:
    """The rounds of a fit with a model of the noise have not settled."""
    if finished.problem.noise is None:
        return finished.nowhere()
    return finished.where(ERROR, finished.ended("stalled"))


def _describe(fit: FinishedFit) -> Message:
    return Message(
        "the fit and the noise that follows from it have not settled: each round moves the params. "
        "Use a simpler model of the noise, or give `sigma` or `delta` as a number."
    )


NOISE_UNSETTLED = Check(
    "noise_unsettled",
    _severity,
    _describe,
    About(
        seen="the rounds of a fit whose noise follows from the fit have not settled",
        severity="error",
        matters="the params depend on the number of rounds, and their standard errors too",
        cure="a simpler model of the noise, or a `sigma` or `delta` that is given",
    ),
)


def _undetermined_severity(finished: FinishedFits) -> Severities:
    """The residuals do not determine some params of the noise."""
    found = finished.noise
    if found is None or not isinstance(finished.problem.noise, NoiseExpression):
        return finished.nowhere()
    lost: Bools = np.any(np.isfinite(found.values) & np.isnan(found.stderr), axis=1)
    return finished.where(WARNING, lost if finished.one is None else bool(lost[0]))


def _describe_undetermined(fit: FinishedFit) -> Message:
    model = fit.problem.noise
    assert isinstance(model, NoiseExpression)
    names = ", ".join(model.formula.params)
    return Message(
        f"the residuals do not determine the params of the noise, {names}: other values give the "
        "same sigma, or the residuals have vanished. The sigma of each row and the params of the "
        "curve may still be right. Estimate fewer params of the noise."
    )


NOISE_UNDETERMINED = Check(
    "noise_undetermined",
    _undetermined_severity,
    _describe_undetermined,
    About(
        seen="the residuals do not determine the params of the noise that are estimated",
        severity="warning",
        matters="their values are arbitrary, and have no standard errors",
        cure="an expression of sigma with fewer params",
    ),
)


def _flagged_severity(finished: FinishedFits) -> Severities:
    """Rows that a test has found to be outliers are part of the fit."""
    return finished.where(WARNING, finished.outliers > 0)


def _describe_flagged(fit: FinishedFit) -> Message:
    many = fit.outliers
    what = "1 row is an outlier" if many == 1 else f"{many} rows are outliers"
    return Message(
        f"{what} by the test, and part of this fit (`outliers.rows` has their numbers, "
        "`outliers.other` the fit without them). Check them; where there is a reason to leave them "
        "out, drop them.",
        suggestion={"outliers": {"method": "rout", "action": "drop"}},
    )


FLAGGED_OUTLIERS = Check(
    "flagged_outliers",
    _flagged_severity,
    _describe_flagged,
    About(
        seen="the test that `outliers` asks for has found outliers, and they are not dropped",
        severity="warning",
        matters="a few rows distort the whole curve",
        cure='a check of those rows, or `"outliers": {"action": "drop"}`',
    ),
)
