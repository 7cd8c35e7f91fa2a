"""The FitBackend of the service: `service.engine` and `service.fitting`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from service import engine, fitting
from service.engine.inference.intervals import TakesLong
from service.fitting.packing import OtherVersion, pack, unpack
from service.jobs import scheduling
from service.jobs.history import Rows
from service.jobs.job import Stored
from service.jobs.run_job import FitBackend, Run
from service.schemas.answers import Timings
from service.schemas.compare import CompareRequest
from service.schemas.jobs import JobResult
from service.schemas.requests import JobRequest

Plan = fitting.Plan | fitting.ComparisonPlan


def _plan(request: JobRequest) -> Plan:
    if isinstance(request, CompareRequest):
        return fitting.to_comparison(request)
    return fitting.to_plan(request)


def _params(plan: Plan) -> tuple[str, ...]:
    return () if isinstance(plan, fitting.ComparisonPlan) else tuple(plan.task.problem.params)


def with_threads(most: int) -> FitBackend:
    """The same in a worker, with as many threads as are worth it for each job."""

    def start(plan: Plan, checkpoint: Any) -> Run:
        many = isinstance(plan, fitting.ComparisonPlan) or scheduling.worth_threads(plan)
        fitting.use_threads(most if many else 1)
        return _start(plan, checkpoint)

    return replace(FIT_BACKEND, start=start)


def _start(plan: Plan, checkpoint: Any) -> Run:
    if isinstance(plan, fitting.ComparisonPlan):
        return fitting.ComparisonRun(plan, checkpoint or ())
    if plan.resampling is not None:
        return engine.ResampledRun(plan.with_guesses().task, plan.resampling, checkpoint)
    return engine.run_of(plan.with_guesses().task, checkpoint)


def _explain(
    plan: Plan,
    result: Any,
    rows: Rows,
    /,
    *,
    job_id: str,
    timings: Timings,
    patient: bool = True,
) -> JobResult:
    if isinstance(plan, fitting.ComparisonPlan):
        return fitting.to_compared(plan, result, job_id=job_id, timings=timings)
    resampled = None
    if isinstance(result, engine.Resampled):
        resampled, result = result, result.result
    if isinstance(result, engine.GroupedResult):
        return fitting.to_grouped_fit(
            plan, result, job_id=job_id, timings=timings, resampled=resampled
        )
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
        plan, result, job_id=job_id, history=history, timings=timings, patient=patient,
        resampled=resampled,
    )  # fmt: skip


def _unpack(checkpoint: Stored) -> Any:
    try:
        return unpack(checkpoint)
    except OtherVersion:
        return None


def _to_device(plan: Plan, asked: str) -> Plan:
    if isinstance(plan, fitting.ComparisonPlan):
        return plan.to(lambda each: each.to(scheduling.device(each, asked)))
    return plan.to(scheduling.device(plan, asked))


FIT_BACKEND = FitBackend(
    plan=_plan,
    params=_params,
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
