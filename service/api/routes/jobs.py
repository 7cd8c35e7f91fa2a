"""/jobs: list, read, cancel and delete jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from fastapi import APIRouter
from starlette.responses import Response

from service.api import head as heads
from service.api import openapi, queries, views, writing
from service.api.answers import json_answer, stored
from service.api.concurrency import unless_disconnected
from service.api.direct_route import DirectRoute
from service.api.forms import JSON
from service.api.queries import HistoryQuery, JobQuery, JobsQuery, NoQuery
from service.api.state import Request
from service.jobs.job import Job as Record
from service.jobs.service import JobService
from service.schemas.answers import History
from service.schemas.jobs import Job, JobList

_FEW_JOBS = 50

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
    """`result` is null here; `GET /jobs/{job_id}` has it. For the next page pass
    `after=next_after`."""
    head, asked = heads.read(request), queries.read(request, JobsQuery)
    service = request.state["jobs"]
    found, has_more = await service.list(head.owner, asked.status, asked.limit, asked.after)
    page = JobList(
        jobs=await _briefs(found, service),
        has_more=has_more,
        next_after=found[-1].id if has_more else None,
    )
    if head.form is JSON and len(found) > _FEW_JOBS:
        return json_answer(await asyncio.to_thread(page.document), headers=writing.VARY)
    return await writing.answer(request, head, page, size=10 * len(found))


async def _briefs(found: Sequence[Record], service: JobService) -> list[Job]:
    shown = []
    for job, place in zip(found, await service.places(found), strict=True):
        await asyncio.sleep(0)  # a page may have a thousand of them
        shown.append(views.brief(job, place))
    return shown


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
    """With `wait`, answers when the job finishes, or after that many seconds."""
    head = heads.read(request)
    wait_s = min(queries.read(request, JobQuery).wait, request.state["settings"].max_wait_s)
    service = request.state["jobs"]
    job = await service.get(job_id, head.owner)
    if wait_s > 0 and not job.finished:
        job = await unless_disconnected(request, service.wait(job_id, wait_s))
    if head.form is JSON:
        return await _whole(job, service, writing.VARY)
    answer = await service.answer(job)
    if answer is not None:  # in other forms a job is shown as its fit
        return await writing.fit_answer(request, head, answer.result, await service.request(job))
    return await writing.answer(request, head, views.brief(job, await service.place(job)))


async def _whole(
    job: Record, service: JobService, headers: Mapping[str, str] | None = None
) -> Response:
    """The JSON of a job with its fit."""
    answer = await service.answer(job)
    shown = views.brief(job, await service.place(job))
    document = views.full(shown, None if answer is None else answer.result)
    return stored((*document, b"\n"), 200, headers, JSON.media_type)


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
    """Also while the job runs: pass the last epoch seen as `after_epoch` for the rows after it."""
    head, asked = heads.read(request), queries.read(request, HistoryQuery)
    service = request.state["jobs"]
    job = await service.get(job_id, head.owner)
    rows = await service.history(
        job_id, job.owner, asked.after_epoch, asked.limit, asked.max_points
    )
    return await writing.history_answer(request, head, job, rows)


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
    head, service = heads.read(request, forms={}), request.state["jobs"]
    return await _whole(await service.cancel(job_id, head.owner), service)


@router.delete(
    "/jobs/{job_id}",
    operation_id="delete_job",
    summary="Delete a finished job",
    status_code=204,
    response_description="The job is deleted",
    responses=openapi.refusals(404, 409, 422, 500),
)
async def delete_job(request: Request, job_id: str) -> Response:
    """A queued or running job must be cancelled first."""
    queries.read(request, NoQuery)
    head = heads.read(request, forms={})
    await request.state["jobs"].delete(job_id, head.owner)
    return Response(status_code=204)
