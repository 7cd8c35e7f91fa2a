"""Grouped fits without HTTP, and the same groups fitted one by one, to compare them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from service.engine import GroupedResult, Rows, Task, begin, outcome, run_of
from service.engine.diagnostics import FinishedFit, Verdict, examine, verdict
from service.engine.inference.intervals import intervals
from service.engine.inference.statistics import summarise
from service.engine.result import StopReason
from service.fitting import Plan, check, to_grouped_fit
from service.fitting.answer import is_cut_short
from service.schemas.answers import Timings
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedFit
from tests.devices import put
from tests.fitting.fits import SETTINGS

TIMINGS = Timings(queued_s=0.0, fit_s=0.0)


def plan(**request: Any) -> Plan:
    """As the service checks it, and as it then begins it."""
    return put(check(FitRequest.model_validate(request), SETTINGS)).with_guesses()


def finish(made: Plan, slices: int = 1000) -> GroupedResult:
    """The result of all groups, stepped so many epochs at a time."""
    run = run_of(made.task)
    while not run.done:
        run.step(slices)
    found = run.result()
    assert isinstance(found, GroupedResult)
    return found


def answer(made: Plan, result: GroupedResult) -> GroupedFit:
    return to_grouped_fit(made, result, job_id="job_1", timings=TIMINGS)


def fit(**request: Any) -> GroupedFit:
    made = plan(**request)
    return answer(made, finish(made))


@dataclass(frozen=True)
class Alone:
    """What the plain way says of one group."""

    params: list[float]
    stderr: list[float]
    loss: float
    r_squared: float | None
    residual_std: float | None
    codes: list[str]
    verdict: Verdict
    stop_reason: StopReason
    epochs: int
    rows: Rows = field(repr=False)


def alone(made: Plan, group: int, initial: Tensor) -> Alone:
    """One group of a plan fitted by itself, from that start."""
    task = made.task.one(group)
    problem = replace(task.problem, initial=initial.to(task.problem.initial))
    task = Task(problem, replace(task.options, search=()))
    run = begin(task)
    rows = run.step(task.options.epochs)
    result = outcome(run)
    theta = result.best.params if is_cut_short(result) else result.params
    statistics = summarise(task.problem, theta)
    asked = made.request.confidence_interval
    assert asked.method != "bootstrap"
    found = intervals(task.problem, theta, statistics, asked.level, asked.method)
    said = examine(FinishedFit(task, result, theta, statistics, made.guessed, found))
    stderr = statistics.stderr
    free = len(task.problem.free_params)
    return Alone(
        params=result.params.tolist(),
        stderr=[math.nan] * free if stderr is None else stderr.tolist(),
        loss=result.loss,
        r_squared=statistics.r_squared,
        residual_std=statistics.residual_std,
        codes=[each.code for each in said],
        verdict=verdict(said),
        stop_reason=result.stop_reason,
        epochs=result.epochs,
        rows=rows,
    )
