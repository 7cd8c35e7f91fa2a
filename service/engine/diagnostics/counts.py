"""The check of counts: whether their noise is larger than the likelihood says."""

from __future__ import annotations

import numpy as np

from service.engine.diagnostics.finished import (
    WARNING,
    About,
    Check,
    Each,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
)
from service.engine.problem import Problem

APART = 3.1
"""Standard normal deviate of χ² from which on it is no chance: one in a thousand."""
MUCH = 1.2
"""Dispersion below which standard errors are right to a tenth, however certain it is."""


def is_overdispersed(problem: Problem, deviance: Each, pearson: Each, degrees: Each) -> Each:
    """Whether both the deviance and Pearson's χ² are far above their degrees of freedom, for one
    fit or for each. Where means are small, Pearson's varies more than χ² and the deviance is
    smaller, so that neither alone would do. Never of single trials: their deviance depends on the
    params alone (McCullagh and Nelder 1989, 4.4.5). By Wilson and Hilferty, PNAS 17 (1931) 684."""
    if problem.loss.likelihood is None or not problem.sigma_absolute or is_of_trials(problem):
        return np.zeros(np.shape(deviance), dtype=np.bool_) if np.ndim(deviance) else False
    ratio = np.minimum(deviance, pearson) / degrees
    spread = 2 / (9 * np.asarray(degrees, dtype=np.float64))
    apart = (np.cbrt(ratio) - (1 - spread)) / np.sqrt(spread)
    found = (degrees > 0) & (ratio >= MUCH) & (apart >= APART)
    return found if np.ndim(deviance) else bool(found)


def is_of_trials(problem: Problem) -> bool:
    """Whether each row is one trial, 0 or 1."""
    likelihood = problem.loss.likelihood
    if likelihood is None or likelihood.upper is None:
        return False
    return problem.sigma is None or bool((problem.sigma == 1).all())


def patch(problem: Problem) -> dict[str, object]:
    """The patch that estimates the dispersion."""
    return {"likelihood": {"name": problem.loss.name, "overdispersion": "pearson"}}


def text(deviance: float, pearson: float, degrees: int) -> str:
    """The message for one fit."""
    dispersion = pearson / degrees
    return (
        f"the counts scatter more than their likelihood allows (deviance {deviance:.4g} and "
        f"Pearson's χ² {pearson:.4g} on {degrees:,} degrees of freedom), so the standard errors "
        f"are too small, by a factor of {dispersion**0.5:.2g} if the model is right. Estimate the "
        "dispersion; but first see whether the model misses something."
    )


def _severity(finished: FinishedFits) -> Severities:
    """The counts scatter more than their likelihood allows."""
    figures = finished.statistics
    degrees = figures.degrees_of_freedom
    found = is_overdispersed(finished.problem, figures.deviance, figures.total, degrees)
    return finished.where(WARNING, found)


def _describe(fit: FinishedFit) -> Message:
    figures = fit.statistics.figures
    return Message(
        text(figures.deviance, figures.total, int(figures.degrees_of_freedom)),
        suggestion=patch(fit.problem),
    )


OVERDISPERSED = Check(
    "overdispersed",
    _severity,
    _describe,
    About(
        seen=(
            "with a likelihood, deviance and Pearson's χ² are both above their degrees of freedom "
            "by a fifth, and by more than chance would in one of a thousand fits; not for single "
            "trials, 0 or 1"
        ),
        severity="warning",
        matters=(
            "the counts have more noise than their likelihood, and the standard errors are too "
            "small; or the model misses something"
        ),
        cure="the dispersion estimated by Pearson's χ², which scales the standard errors",
    ),
)
