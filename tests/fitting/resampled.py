"""Fits with what follows them, without HTTP."""

from __future__ import annotations

import csv
import math
from typing import Any

from service.certification.case import LABORATORY
from service.fitting import check
from service.jobs.fit_backend import FIT_BACKEND
from service.jobs.history import Rows
from service.schemas.answers import Fit, Timings
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedFit
from service.schemas.names import StopReason
from service.settings import Settings

STEP = 10_000


def columns(name: str) -> dict[str, list[float]]:
    with (LABORATORY / name).open() as file:
        rows = list(csv.DictReader(file))
    return {n: [float(r[n]) for r in rows] for n in rows[0]}


NASTURTIUM: dict[str, Any] = {
    "model": "weight = t1/(1 + exp(t2 + t3*log(conc)))",
    "data": columns("nasturtium.csv"),
    "params": {"t1": 900, "t2": 0, "t3": 1},
}


def run(
    request: dict[str, Any], step: int = STEP, *, after: int | None = None,
    stop: StopReason | None = None, resume: bool = False,
) -> Any:  # fmt: skip
    """The answer of a request, in steps of that size; stopped once `after` epochs are done, or
    continued from a packed checkpoint at each step."""
    asked = FitRequest.model_validate(request)
    check(asked, Settings())
    backend = FIT_BACKEND
    plan = backend.plan(asked)
    running = backend.start(plan, None)
    while not running.done and (after is None or running.epoch < after):
        running.step(min(step, running.left))
        if resume:
            packed = backend.pack(running.checkpoint())
            running = backend.start(plan, backend.unpack(packed))
    rows, timings = Rows.empty(0, 0), Timings(queued_s=0.0, fit_s=0.0)
    return backend.explain(plan, running.result(stop), rows, job_id="job_1", timings=timings)


def bootstrap(request: dict[str, Any], step: int = STEP, **options: Any) -> Fit:
    """A fit with a bootstrap."""
    interval = {"method": "bootstrap", **options}
    found = run({**request, "confidence_interval": interval}, step)
    assert isinstance(found, Fit)
    return found


def groups(request: dict[str, Any], **options: Any) -> GroupedFit:
    """Fits of groups with a bootstrap."""
    found = run({**request, "confidence_interval": {"method": "bootstrap", **options}})
    assert isinstance(found, GroupedFit)
    return found


def error(value: float, count: int) -> float:
    """The Monte-Carlo error of a standard deviation of normal draws."""
    return value / math.sqrt(2 * count)
