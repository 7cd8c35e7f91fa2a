"""The FitBackend of the service: `service.engine` and `service.fitting`."""

from __future__ import annotations

from functools import partial
from typing import Any

from service import engine, fitting
from service.engine.inference.intervals import TakesLong
from service.fitting.packing import OtherVersion, pack, unpack
from service.jobs import scheduling
from service.jobs.history import Rows
from service.jobs.job import Stored
from service.jobs.run_job import FitBackend, Run
from service.schemas.answers import Fit, GroupedFit, Timings


def _start(plan: fitting.Plan, checkpoint: Any) -> Run:
    return engine.begin(plan.with_guesses().task, checkpoint)


def _explain(
    plan: fitting.Plan,
    result: engine.Result | engine.GroupedResult,
    rows: Rows,
    /,
    *,
    job_id: str,
    timings: Timings,
    patient: bool = True,
) -> Fit | GroupedFit:
    if isinstance(result, engine.GroupedResult):
        return fitting.to_grouped_fit(plan, result, job_id=job_id, timings=timings)
    history = fitting.to_history(
        plan.task.problem.params,
        rows.epoch.tolist(),
        rows.loss.tolist(),
        rows.params.tolist(),
        rows.gradient.tolist(),
        total=result.epochs,
        thinned=rows.thinned,
    )
    return fitting.to_fit(
        plan, result, job_id=job_id, history=history, timings=timings, patient=patient
    )


def _unpack(checkpoint: Stored) -> Any:
    try:
        return unpack(checkpoint)
    except OtherVersion:
        return None


def _to_device(plan: fitting.Plan, asked: str) -> fitting.Plan:
    return plan.to(scheduling.device(plan, asked))


FIT_BACKEND = FitBackend(
    plan=fitting.to_plan,
    params=lambda plan: tuple(plan.task.problem.params),
    start=_start,
    explain=_explain,
    curve=fitting.curve,
    pack=pack,
    unpack=_unpack,
    explain_within_limit=partial(_explain, patient=False),
    takes_long=(TakesLong,),
    to_device=_to_device,
    out_of_memory=fitting.OUT_OF_MEMORY,
)
