"""A request's whole way through translate and the engine, without HTTP."""

from __future__ import annotations

from typing import Any

from service.engine import begin, outcome
from service.engine.result import joined
from service.fitting import Plan, check, to_fit, to_history
from service.schemas.answers import Fit, Timings
from service.schemas.fit import FitRequest
from service.settings import Settings
from tests.devices import put

SETTINGS = Settings()
Request = dict[str, Any]


def plan(request: Request) -> Plan:
    """As the service checks it: the schema first, then the plan."""
    return put(check(FitRequest.model_validate(request), SETTINGS))


def fit(**request: Any) -> Fit:
    """The fit of a request."""
    made = plan(request)
    run, parts = begin(made.with_guesses().task), []
    while not run.done:
        parts.append(run.step(made.task.options.epochs))
    rows = joined(parts, len(made.task.problem.params))
    history = to_history(
        made.task.problem.params,
        rows.epoch.tolist(),
        rows.loss.tolist(),
        rows.params.tolist(),
        rows.gradient.tolist(),
        total=run.epoch,
        thinned=False,
    )
    timings = Timings(queued_s=0.0, fit_s=0.0)
    return to_fit(made, outcome(run), job_id="job_1", history=history, timings=timings)


def codes(answer: Fit) -> dict[str, str]:
    """The diagnostics' codes with their severities."""
    return {diagnostic.code: diagnostic.severity for diagnostic in answer.diagnostics}


def merge(target: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def cured(request: Request, code: str) -> tuple[Fit, Fit]:
    """The fit of a request, which must say `code`, and that of the request it suggests."""
    before = fit(**request)
    (found,) = [d for d in before.diagnostics if d.code == code]
    assert found.suggestion is not None
    return before, fit(**merge(request, found.suggestion))
