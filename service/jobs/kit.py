"""What the service does its jobs with: the engine and the translation."""

from __future__ import annotations

from service import engine, translate
from service.jobs.history import Rows
from service.jobs.run_job import Kit
from service.schemas.answers import Fit, Timings


def _explain(
    plan: translate.Plan, result: engine.Result, rows: Rows, /, *, job_id: str, timings: Timings
) -> Fit:
    history = translate.to_history(
        plan.task.problem.params,
        rows.epoch.tolist(),
        rows.loss.tolist(),
        rows.params.tolist(),
        rows.gradient.tolist(),
        total=result.epochs,
        thinned=rows.thinned,
    )
    return translate.to_fit(plan, result, job_id=job_id, history=history, timings=timings)


KIT = Kit(
    plan=translate.to_plan,
    params=lambda plan: tuple(plan.task.problem.params),
    start=lambda plan, checkpoint: engine.start(plan.task, checkpoint),
    explain=_explain,
)
