"""Checks of fits with a model of the noise."""

from __future__ import annotations

from service.engine.diagnostics.finished import (
    ERROR,
    About,
    Check,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
)


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
