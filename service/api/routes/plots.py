"""Pictures of a job, and of posted data; all are drawn in the render process."""

from __future__ import annotations

from contextlib import ExitStack
from pickle import PickleBuffer
from time import perf_counter
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from service.api import examples, openapi, queries, writing
from service.api import head as heads
from service.api.bodies import reading
from service.api.direct_route import DirectRoute
from service.api.head import Head
from service.api.http_errors import UnknownPicture
from service.api.queries import NoQuery, PictureQuery
from service.api.state import Request
from service.catalogue.pictures import FORMATS, VIEWS
from service.errors import BudgetExceeded, InvalidRequest, JobStillRunning
from service.jobs.job import Job
from service.schemas.plot import PlotRequest

router = APIRouter(tags=["pictures"], default_response_class=Response, route_class=DirectRoute)

MEDIA = {each.name: each.media_type for each in FORMATS.values()}
OF_A_JOB = {name: view for name, view in VIEWS.items() if view.of_job}
_WHILE_RUNNING = " and ".join(f"`{name}`" for name, view in VIEWS.items() if view.while_running)
_MOST_ROWS = 4_000
"""Rows of a history that are drawn."""
_HARMLESS = {
    # An SVG must run no script, whatever a name in it contains.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


@router.post(
    "/plot",
    operation_id="plot",
    summary="Draw a picture of posted data",
    responses={
        200: openapi.picture(MEDIA, "The picture"),
        **openapi.refusals(400, 406, 408, 413, 415, 422, 429, 500, 503),
    },
    openapi_extra=openapi.body(PlotRequest, examples.PLOT),
)
async def plot(request: Request) -> Response:
    """`view` selects the picture, and determines which other fields are required. A fit's `predict`
    with its `data` and `history` has all of them."""
    queries.read(request, NoQuery)
    head = heads.read(request, forms={}, body=True)
    asked = await reading.read(request, head, PlotRequest)
    if asked.format is None:
        # `curl --json` always sends this header; it is no choice of picture format.
        accept = "" if head.accept == "application/json" else head.accept
        chosen = heads.choose(accept, MEDIA)
        asked = asked.model_copy(update={"format": chosen})
    with ExitStack() as room:
        writing.hold_columns(request, head, room, asked.data or {})
        return await _drawn(request, head, asked, "picture")


@router.get(
    "/jobs/{job_id}/plot/{view}.{format}",
    operation_id="get_job_picture",
    summary="A picture of a job",
    responses={
        200: openapi.picture(MEDIA, "The picture"),
        **openapi.refusals(404, 409, 422, 429, 500, 503),
    },
    openapi_extra=openapi.query(PictureQuery),
)
async def get_job_picture(request: Request, job_id: str, view: str, format: str) -> Response:
    """A view of POST /plot that shows a job. Some are available while the job runs."""
    query = queries.read(request, PictureQuery)
    asked = _asked(query, view, format)
    head, service = heads.read(request, forms={}), request.state["jobs"]
    job = await service.get(job_id, head.owner)
    while_running = OF_A_JOB[view].while_running
    _check_available(job, view, query.group)
    if job.kind == "comparison":
        answer = await service.answer(job)
        assert answer is not None
        own = (await service.request(job), PickleBuffer(answer.result), query.group)
        return await _drawn(request, head, asked, "picture_of_comparison", *own)
    rows = await service.history(job_id, job.owner, None, None, _MOST_ROWS)
    if while_running and not len(rows) and not job.answered:
        raise _too_early(job, view)
    answer = await service.answer(job)
    fit = None if answer is None else PickleBuffer(answer.result)
    known = (await service.request(job), fit, rows, job.params, job.model, query.group)
    return await _drawn(request, head, asked, "picture_of_job", *known)


def _asked(query: PictureQuery, view: str, format: str) -> PlotRequest:
    if view not in OF_A_JOB:
        raise UnknownPicture("picture", view, OF_A_JOB)
    if format not in MEDIA:
        raise UnknownPicture("format of a picture", format, MEDIA)
    style: dict[str, Any] = query.model_dump(exclude={"along", "group"})
    along = query.along.split(",") if query.along else None
    if along is not None and len(along) > 2:
        raise InvalidRequest("query parameter 'along' takes one or two params, such as w,b")
    return PlotRequest.model_validate({**style, "view": view, "format": format, "along": along})


def _check_available(job: Job, view: str, group: str | None) -> None:
    if (job.kind == "comparison") != OF_A_JOB[view].of_comparison:
        is_one = job.kind == "comparison"
        known = ", ".join(n for n, v in OF_A_JOB.items() if v.of_comparison == is_one)
        raise InvalidRequest(
            f"job {job.id} {'compares models' if is_one else 'is a fit'}: it has no view "
            f"'{view}', but {known}"
        )
    if job.kind == "comparison":
        if not job.finished:
            raise _too_early(job, view)
        if not job.answered:
            raise InvalidRequest(f"job {job.id} {job.status} without models to draw")
        return
    by_groups = job.kind != "fit"
    if group is not None and not by_groups:
        raise InvalidRequest("query parameter 'group' is of a job by groups, which this is not")
    if job.answered or (OF_A_JOB[view].while_running and not by_groups):
        return
    if not job.finished:
        raise _too_early(job, view)
    if by_groups:
        raise InvalidRequest(f"job {job.id} {job.status} without fits to draw")
    raise InvalidRequest(
        f"job {job.id} {job.status} without a fit to draw; it has {_WHILE_RUNNING}"
    )


def _too_early(job: Job, view: str) -> JobStillRunning:
    none = OF_A_JOB[view].while_running or job.kind != "fit"
    meanwhile = "" if none else f"; {_WHILE_RUNNING} are"
    return JobStillRunning(
        f"job {job.id} is {job.status}: '{view}' is not available yet{meanwhile}"
    )


async def _drawn(
    request: Request, head: Head, asked: PlotRequest, call: str, *known: object
) -> Response:
    """The picture made by this function of the render process."""
    settings = request.state["settings"]
    if asked.width * asked.height > settings.max_picture_pixels:
        raise BudgetExceeded(
            f"{asked.width} × {asked.height} pixels are more than the "
            f"{settings.max_picture_pixels:,} allowed",
            pointer="/width",
        )
    began = perf_counter()
    made = await writing.in_render_process(request, head, call, asked, *known, settings.max_rows)
    assert asked.format is not None
    request.state["metrics"].drawn(asked.view, asked.format, perf_counter() - began)
    return Response(made, 200, {**writing.VARY, **_HARMLESS}, MEDIA[asked.format])
