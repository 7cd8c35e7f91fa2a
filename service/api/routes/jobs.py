"""/jobs: list, read, cancel and delete jobs."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from fastapi import APIRouter
from starlette.responses import Response

from service.api import answer_size, negotiation, openapi, queries, views
from service.api.answers import JSON, json_answer, made_meanwhile, stored
from service.api.concurrency import unless_disconnected
from service.api.direct_route import DirectRoute
from service.api.head import client, owner
from service.api.queries import HistoryQuery, JobQuery, JobsQuery, NoQuery
from service.api.state import Request
from service.jobs.job import Job as Record
from service.schemas.answers import History
from service.schemas.jobs import Job, JobList
from service.schemas.names import AnswerFormat

_FEW_JOBS = 50
_FEW_NUMBERS = 1_000

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
    form, asked = negotiation.form(request), queries.read(request, JobsQuery)
    service = request.state["jobs"]
    found, has_more = await service.list(owner(request), asked.status, asked.limit, asked.after)
    page = JobList(
        jobs=[await _brief(job, request) for job in found],
        has_more=has_more,
        next_after=found[-1].id if has_more else None,
    )
    if form != "json":
        return await negotiation.answer(request, form, page, size=10 * len(found))
    if len(found) <= _FEW_JOBS:
        return json_answer(page, headers=negotiation.VARY)
    return json_answer(await asyncio.to_thread(page.document), headers=negotiation.VARY)


async def _brief(job: Record, request: Request) -> Job:
    await asyncio.sleep(0)  # a page may have a thousand of them
    return views.brief(job, request.state["jobs"])


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
    form = negotiation.form(request)
    wait_s = min(queries.read(request, JobQuery).wait, request.state["settings"].max_wait_s)
    service = request.state["jobs"]
    job = await service.get(job_id, owner(request))
    if wait_s > 0 and not job.finished:
        job = await unless_disconnected(request, service.wait(job_id, wait_s))
    if form != "json":
        return await _in_format(request, form, job)
    return stored((*views.full(job, service), b"\n"), 200, negotiation.VARY, JSON)


async def _in_format(request: Request, form: AnswerFormat, job: Record) -> Response:
    """A job in a format other than JSON; one that has a fit is shown as that fit."""
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
    """Also while the job runs: pass the last epoch seen as `after_epoch` for the rows after it."""
    form, asked = negotiation.form(request), queries.read(request, HistoryQuery)
    service = request.state["jobs"]
    job = await service.get(job_id, owner(request))
    rows = await service.history(
        job_id, job.owner, asked.after_epoch, asked.limit, asked.max_points
    )
    numbers = len(rows) * (2 + 2 * len(job.params))
    if form != "json":
        with ExitStack() as room:
            answer_size.hold(request, room, form, {}, 0, numbers)
            return await negotiation.history_answer(request, form, job, rows, room.pop_all())
    pieces = views.pieces(job, rows)
    if numbers <= _FEW_NUMBERS:
        return json_answer(b"".join(pieces), headers=negotiation.VARY)
    turns = request.state["makers"]
    return made_meanwhile(pieces, turns, client(request), negotiation.VARY)


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
    job = await service.cancel(job_id, owner(request))
    return stored((*views.full(job, service), b"\n"), 200, None, JSON)


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
    await request.state["jobs"].delete(job_id, owner(request))
    return Response(status_code=204)
