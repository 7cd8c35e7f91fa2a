"""Checks of the start of a fit, and of the minima found from other starts."""

from __future__ import annotations

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
)


def _start_severity(finished: FinishedFits) -> Severities:
    """Some initial values were not given."""
    if not finished.guessed or finished.options.method.is_direct:
        return finished.nowhere()
    return finished.everywhere(INFO)


def _describe_start(fit: FinishedFit) -> Message:
    initial = fit.result.initial
    raw = fit.in_request(initial)
    values = raw or dict(zip(fit.problem.params, initial.tolist(), strict=True))
    listed = ", ".join(f"{name}={values[name]:.6g}" for name in fit.guessed)
    of = "" if raw else " (of the scaled inputs)"
    return Message(f"initial values were not given and were guessed: {listed}{of}.", fit.guessed)


def _better_severity(finished: FinishedFits) -> Severities:
    """From another start the same model reaches a lower loss."""
    return finished.where(ERROR, finished.lower)


def _describe_better(fit: FinishedFit) -> Message:
    assert fit.lower is not None
    theta, loss = fit.lower
    raw = fit.in_request(theta)
    values = raw or dict(zip(fit.problem.params, theta.tolist(), strict=True))
    names = fit.problem.free_params
    listed = ", ".join(f"{name}={values[name]:.6g}" for name in names)
    of = "" if raw else " (of the scaled inputs)"
    # The values on scaled inputs may be differences of larger ones.
    digits = 15 if fit.is_scaled else 6
    start = {name: {"value": float(f"{values[name]:.{digits}g}")} for name in names}
    return Message(
        f"this is a local minimum with loss {fit.result.best.loss:.4g}; from another start the "
        f"fit reaches {loss:.4g}, at {listed}{of}. Start there, unless you want this minimum.",
        suggestion={"params": start} if raw else None,
    )


def _agreement_severity(finished: FinishedFits) -> Severities:
    """The start was searched for, and only one start reached the lowest loss."""
    agreed = finished.agreed
    if agreed is None or agreed[0] >= min(2, agreed[1]):
        return finished.nowhere()
    return finished.everywhere(WARNING)


def _describe_agreement(fit: FinishedFit) -> Message:
    assert fit.result.searched is not None
    agreeing, tried = fit.result.searched
    return Message(
        f"only {agreeing} of {tried} starts reached this loss, so there may be a lower one. Give "
        "initial values near those that you expect.",
    )


def _unchallenged_severity(finished: FinishedFits) -> Severities:
    """The request disabled the comparison with other starts."""
    if finished.options.challenge is not False:
        return finished.nowhere()
    return finished.everywhere(INFO)


def _describe_unchallenged(fit: FinishedFit) -> Message:
    return Message("no other start was tried (challenge: false): there may be a better minimum.")


BETTER_MINIMUM = Check(
    "better_minimum",
    _better_severity,
    _describe_better,
    About(
        seen=(
            "from another start, or during profiling, the same model reaches a loss that is at "
            "least 0.5 % lower"
        ),
        severity="error",
        matters=(
            "the params are those of a local minimum, not of the best curve of this model; "
            "their standard errors do not take the better one into account"
        ),
        cure="the start that leads to the lower loss; none needed if you want this minimum",
    ),
)
GUESSED_START = Check(
    "guessed_start",
    _start_severity,
    _describe_start,
    About(
        seen="initial values were not given",
        severity="info",
        matters="the message has the values that the fit started from",
        cure="none needed",
    ),
)
MULTI_START_DISAGREES = Check(
    "multi_start_disagrees",
    _agreement_severity,
    _describe_agreement,
    About(
        seen="only one of the starts that were tried, up to 36, reached this loss",
        severity="warning",
        matters="there may be a lower minimum that none of them reached",
        cure="initial values near those that you expect",
    ),
)
NOT_CHALLENGED = Check(
    "not_challenged",
    _unchallenged_severity,
    _describe_unchallenged,
    About(
        seen='`"challenge": false`: no other start was tried',
        severity="info",
        matters="there may be a better minimum that was not searched for",
        cure='the fit without `"challenge": false`',
    ),
)
