"""How the fit ended: not at a number, not at the minimum, on a limit, or where it began."""

from __future__ import annotations

import math
from typing import Any

import torch

from service.engine.diagnostics.finding import Diagnostic, Finding

FAR = 0.1
NEAR = 0.01
"""In units of the params' own uncertainty: Bates and Watts's relative offset."""


def non_finite(finding: Finding) -> Diagnostic | None:
    """The params or the loss are no longer numbers."""
    result = finding.result
    if math.isfinite(result.loss) and bool(torch.isfinite(result.params).all()):
        return None
    started = math.isfinite(result.first_loss)
    message = (
        "the params or the loss are no longer finite; predictions and statistics use `best`"
        if started
        else "the loss is not finite at the initial params; start elsewhere"
    )
    return Diagnostic("non_finite", "error", message)


def not_converged(finding: Finding) -> Diagnostic | None:
    """The fit stopped short of the minimum: far, if its distance rivals the uncertainty itself."""
    result, offset = finding.result, finding.statistics.offset
    if result.diverged:
        if finding.limit is not None:
            return None
        return Diagnostic(
            "not_converged",
            "error",
            "the fit diverged; predictions and statistics use `best`",
            suggestion=_another_way(finding),
        )
    if offset <= NEAR:
        return None
    distance = f"{offset:.2g}" if math.isfinite(offset) else "many"
    if not finding.problem.loss.is_least_squares and result.converged:
        return None
    ran = f"{result.epochs:,} epoch" + "s" * (result.epochs != 1)
    return Diagnostic(
        "not_converged",
        "error" if offset > FAR else "warning",
        f"after {ran} ({result.stop_reason}) the params are about {distance} times their own "
        "uncertainty away from the minimum. More epochs, scaled inputs or another optimizer get "
        "there.",
        suggestion=_another_way(finding),
    )


def _another_way(finding: Finding) -> dict[str, Any] | None:
    """The optimizer that suits the problem; where it is that one already, more epochs."""
    if finding.options.optimizer not in ("levenberg_marquardt", "exact"):
        return {"optimizer": "auto"}
    if finding.result.stop_reason == "max_epochs":
        return {"epochs": 10 * finding.options.epochs}
    return {"params": None} if finding.options.optimizer != "exact" else None


def at_bound(finding: Finding) -> Diagnostic | None:
    """A param ended on its limit."""
    problem, params = finding.problem, finding.result.params
    touching = (
        torch.isfinite(params) & ((params == problem.lower) | (params == problem.upper))
    ).tolist()
    names = tuple(
        name
        for name, free, on in zip(problem.params, problem.free, touching, strict=True)
        if free and on
    )
    if not names:
        return None
    return Diagnostic(
        "at_bound",
        "warning",
        f"{', '.join(names)} ended on a limit: the data pull beyond it. Its standard error does "
        "not know of the limit.",
        params=names,
        suggestion={"params": {name: {"min": None, "max": None} for name in names}},
    )


def unmoved(finding: Finding) -> Diagnostic | None:
    """A free param is where it began, though the fit is not at the minimum."""
    problem, result = finding.problem, finding.result
    if finding.options.optimizer == "exact" or result.diverged or result.epochs == 0:
        return None
    still = (result.params == result.initial).tolist()
    names = tuple(
        n
        for n, free, same in zip(problem.params, problem.free, still, strict=True)
        if free and same
    )
    useless = {
        name
        for name, flat in zip(problem.free_params, finding.statistics.flat, strict=True)
        if flat
    }
    held = finding.statistics.held
    kept = {name for name, on in zip(problem.free_params, held, strict=True) if on}
    names = tuple(name for name in names if name not in kept)
    names = tuple(name for name in names if finding.statistics.offset > NEAR or name in useless)
    if not names:
        return None
    return Diagnostic(
        "unmoved",
        "error",
        f"{', '.join(names)} did not move from the start: there the loss does not depend on it, or "
        "no step lowers the loss. Start elsewhere.",
        params=names,
        suggestion={"params": dict.fromkeys(names)},
    )
