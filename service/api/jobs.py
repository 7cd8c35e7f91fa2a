"""/jobs: every fit, watched from outside."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service.api import negotiation, openapi, queries, views
from service.api.answers import json_answer
from service.api.clients import owner
from service.api.direct_route import DirectRoute
from service.api.hanging_up import unless_gone
from service.api.queries import HistoryQuery, JobQuery, JobsQuery, NoQuery
from service.api.state import Request
from service.jobs.job import Job as Record
from service.schemas.answers import History
from service.schemas.jobs import Job, JobList
from service.schemas.names import AnswerFormat

router = APIRouter(tags=["jobs"], default_response_class=Response, route_class=DirectRoute)


@router.get(
    "/jobs",
    operation_id="list_jobs",
    summary="List jobs, newest first",
    responses={
        200: openapi.forms(JobList, "A page of jobs"),
        **openapi.refusals(404, 406, 422, 500),
    },
    openapi_extra=openapi.query(JobsQuery),
)
async def list_jobs(request: Request) -> Response:
    """`result` is null here: the job's own page has it. For the next page pass `next_after`."""
    form, asked = negotiation.form(request), queries.read(request, JobsQuery)
    service = request.state["jobs"]
    found, has_more = await service.list(owner(request), asked.status, asked.limit, asked.after)
    page = JobList(
        jobs=[views.brief(job, service) for job in found],
        has_more=has_more,
        next_after=found[-1].id if has_more else None,
    )
    if form != "json":
        return await negotiation.answer(request, form, page)
    return json_answer(page, headers=negotiation.VARY)


@router.get(
    "/jobs/{job_id}",
    operation_id="get_job",
    summary="A job, with its fit once it has finished",
    responses={
        200: openapi.forms(Job, "The job"),
        **openapi.refusals(404, 406, 422, 500),
    },
    openapi_extra=openapi.query(JobQuery),
)
async def get_job(request: Request, job_id: str) -> Response:
    """With `wait` the answer comes when the job finishes, or after so many seconds."""
    form = negotiation.form(request)
    wait_s = min(queries.read(request, JobQuery).wait, request.state["settings"].max_wait_s)
    service = request.state["jobs"]
    job = await service.get(job_id, owner(request))
    if wait_s > 0 and not job.finished:
        job = await unless_gone(request, service.wait(job_id, wait_s))
    if form != "json":
        return await _in_form(request, form, job)
    return json_answer(views.full(job, service), headers=negotiation.VARY)


async def _in_form(request: Request, form: AnswerFormat, job: Record) -> Response:
    """A job that has a fit is shown as that fit."""
    if job.result is not None:
        return await negotiation.fit_answer(request, form, job.result, job.request)
    return await negotiation.answer(request, form, views.brief(job, request.state["jobs"]))


@router.get(
    "/jobs/{job_id}/history",
    operation_id="get_job_history",
    summary="The recorded epochs of a job",
    responses={
        200: openapi.forms(History, "Columns of equal length"),
        **openapi.refusals(404, 406, 422, 500),
    },
    openapi_extra=openapi.query(HistoryQuery),
)
async def get_job_history(request: Request, job_id: str) -> Response:
    """Also while it runs: ask for what came `after_epoch`, the last one seen."""
    form, asked = negotiation.form(request), queries.read(request, HistoryQuery)
    service = request.state["jobs"]
    job = await service.get(job_id, owner(request))
    rows = await service.history(
        job_id, job.owner, asked.after_epoch, asked.limit, asked.max_points
    )
    if form != "json":
        size = len(rows) * (2 + 2 * len(job.params))
        return await negotiation.answer(request, form, views.history(job, rows), size=size)
    return json_answer(await views.history_document(job, rows), headers=negotiation.VARY)


@router.post(
    "/jobs/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Stop a job, keeping the best so far",
    responses={
        200: openapi.answer(Job, "The job; one that had finished is unchanged"),
        **openapi.refusals(404, 422, 500),
    },
)
async def cancel_job(request: Request, job_id: str) -> Response:
    """A running job answers with its best params so far, as a fit whose stop_reason is
    `cancelled`."""
    queries.read(request, NoQuery)
    service = request.state["jobs"]
    return json_answer(views.full(await service.cancel(job_id, owner(request)), service))


@router.delete(
    "/jobs/{job_id}",
    operation_id="delete_job",
    summary="Forget a finished job",
    status_code=204,
    response_description="It is forgotten",
    responses=openapi.refusals(404, 409, 422, 500),
)
async def delete_job(request: Request, job_id: str) -> Response:
    """A job that runs must be cancelled first."""
    queries.read(request, NoQuery)
    await request.state["jobs"].delete(job_id, owner(request))
    return Response(status_code=204)
