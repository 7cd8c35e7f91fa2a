"""What the service does its jobs with: the engine and the translation."""

from __future__ import annotations

from functools import partial
from typing import Any

from service import engine, translate
from service.engine.inference.intervals import TakesLong
from service.jobs import lanes
from service.jobs.history import Rows
from service.jobs.run_job import Kit, Run
from service.schemas.answers import Fit, GroupedFit, Timings


def _start(plan: translate.Plan, checkpoint: Any) -> Run:
    return engine.begin(plan.with_guesses().task, checkpoint)


def _explain(
    plan: translate.Plan,
    result: engine.Result | engine.GroupedResult,
    rows: Rows,
    /,
    *,
    job_id: str,
    timings: Timings,
    patient: bool = True,
) -> Fit | GroupedFit:
    if isinstance(result, engine.GroupedResult):
        return translate.to_grouped_fit(plan, result, job_id=job_id, timings=timings)
    history = translate.to_history(
        plan.task.problem.params,
        rows.epoch.tolist(),
        rows.loss.tolist(),
        rows.params.tolist(),
        rows.gradient.tolist(),
        total=result.epochs,
        thinned=rows.thinned,
    )
    return translate.to_fit(
        plan, result, job_id=job_id, history=history, timings=timings, patient=patient
    )


def _placed(plan: translate.Plan, asked: str) -> translate.Plan:
    return plan.to(lanes.device(plan, asked))


KIT = Kit(
    plan=translate.to_plan,
    params=lambda plan: tuple(plan.task.problem.params),
    start=_start,
    explain=_explain,
    curve=translate.curve,
    explain_here=partial(_explain, patient=False),
    takes_long=(TakesLong,),
    placed=_placed,
    out_of_memory=translate.OUT_OF_MEMORY,
)
