"""From where the fit set out, and where other starts lead."""

from __future__ import annotations

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
)


def _grade_start(findings: Findings) -> Grades:
    """Some initial values were not given."""
    if not findings.guessed or findings.options.optimizer == "exact":
        return findings.nowhere()
    return findings.everywhere(INFO)


def _tell_start(finding: Finding) -> Said:
    initial = finding.result.initial
    raw = finding.in_request(initial)
    said = raw or dict(zip(finding.problem.params, initial.tolist(), strict=True))
    listed = ", ".join(f"{name}={said[name]:.6g}" for name in finding.guessed)
    of = "" if raw else " (of the scaled inputs)"
    return Said(f"initial values were not given and are guessed: {listed}{of}.", finding.guessed)


def _grade_lower(findings: Findings) -> Grades:
    """From another start the same model comes to a lower loss."""
    return findings.where(ERROR, findings.lower)


def _tell_lower(finding: Finding) -> Said:
    assert finding.lower is not None
    theta, loss = finding.lower
    raw = finding.in_request(theta)
    said = raw or dict(zip(finding.problem.params, theta.tolist(), strict=True))
    names = finding.problem.free_params
    listed = ", ".join(f"{name}={said[name]:.6g}" for name in names)
    of = "" if raw else " (of the scaled inputs)"
    # The values on scaled inputs may be differences of larger ones.
    digits = 15 if finding.is_scaled else 6
    start = {name: {"value": float(f"{said[name]:.{digits}g}")} for name in names}
    return Said(
        f"this is a local minimum of loss {finding.result.best.loss:.4g}; from another start the "
        f"fit comes to {loss:.4g}, at {listed}{of}. Start there, or keep this one if it is the one "
        "you mean.",
        suggestion={"params": start} if raw else None,
    )


def _grade_agreement(findings: Findings) -> Grades:
    """The start was searched for, and few of the ways came to the loss of the best."""
    agreed = findings.agreed
    if agreed is None or agreed[0] >= min(2, agreed[1]):
        return findings.nowhere()
    return findings.everywhere(WARNING)


def _tell_agreement(finding: Finding) -> Said:
    assert finding.result.searched is not None
    agreeing, tried = finding.result.searched
    return Said(
        f"of {tried} searched starts only {agreeing} came to this loss, so there may be a lower "
        "one elsewhere. Give initial values near what you expect.",
    )


def _grade_unchallenged(findings: Findings) -> Grades:
    """The request asked that the end not be compared with those of other starts."""
    if findings.options.challenge is not False:
        return findings.nowhere()
    return findings.everywhere(INFO)


def _tell_unchallenged(finding: Finding) -> Said:
    return Said("no other start was tried, as asked for: there may be a better minimum.")


BETTER_MINIMUM = Check(
    "better_minimum",
    _grade_lower,
    _tell_lower,
    About(
        seen=(
            "from another start, or on the way along a profile, the same model comes to a "
            "loss that is at least 0.5 % lower"
        ),
        severity="error",
        matters=(
            "the params are those of a local minimum, not of the best curve of this model; "
            "their standard errors know nothing of the better one"
        ),
        cure=(
            "the start that leads to the lower loss; or keep this minimum, if it is the one "
            "you mean"
        ),
    ),
)
GUESSED_START = Check(
    "guessed_start",
    _grade_start,
    _tell_start,
    About(
        seen="initial values were not given",
        severity="info",
        matters="it says from which values the fit set out",
        cure="none is needed",
    ),
)
MULTI_START_DISAGREES = Check(
    "multi_start_disagrees",
    _grade_agreement,
    _tell_agreement,
    About(
        seen="of the starts that were searched, up to 36, only one came to this loss",
        severity="warning",
        matters="there may be a lower loss where none of them came to",
        cure="initial values near what you expect",
    ),
)
NOT_CHALLENGED = Check(
    "not_challenged",
    _grade_unchallenged,
    _tell_unchallenged,
    About(
        seen='`"challenge": false`: no other start was tried',
        severity="info",
        matters="there may be a better minimum, and nobody has looked for one",
        cure='the fit without `"challenge": false`',
    ),
)
