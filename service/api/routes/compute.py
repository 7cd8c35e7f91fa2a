"""POST /read, /predict, /loss and /gradient: computed at once, without a job.


Small computations run on the event loop, larger ones in a thread, and those above the budget are
refused before they start.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from math import prod
from typing import TypeVar

from anyio import to_thread
from fastapi import APIRouter
from starlette.responses import Response

from service import fitting
from service.api import examples, openapi, writing
from service.api import head as heads
from service.api.bodies import reading
from service.api.bodies.table import Keys
from service.api.direct_route import DirectRoute
from service.api.forms import JSON
from service.api.head import Head
from service.api.queries import FormQuery
from service.api.state import Request
from service.errors import InvalidRequest, JobStillRunning
from service.jobs.job import Job
from service.schemas.columns import Data, Labels
from service.schemas.compute import (
    GradientAnswer,
    GradientRequest,
    LossAnswer,
    LossRequest,
    Predictions,
    PredictRequest,
)
from service.schemas.readable import Columns, ReadRequest
from service.schemas.unknowns import InvertRequest

router = APIRouter(tags=["compute"], default_response_class=Response, route_class=DirectRoute)

_FORM = openapi.query(FormQuery)["parameters"]
_FEW_NUMBERS = 1000
"""Numbers of data up to which any single evaluation is fast."""
_MANY_NUMBERS = 20_000
"""Numbers of data above which nothing runs on the event loop."""
_SMALL_CURVE = 2**16
"""Bytes of a finished fit up to which it is used on the event loop."""
_OF_A_BAND = 4
"""Columns of a prediction with an interval."""
_REFUSALS = (400, 406, 408, 413, 415, 422, 429, 500, 503)

AnswerT = TypeVar("AnswerT")


@router.post(
    "/read",
    operation_id="read",
    summary="Read data as every other route would",
    responses={
        200: openapi.answer(Columns, "The columns, and what was understood of the body"),
        **openapi.refusals(*_REFUSALS),
    },
    openapi_extra=openapi.body(ReadRequest, examples.READ),
)
async def read(request: Request) -> Response:
    """Nothing is computed and nothing is kept: for a program that shows data before it fits
    them."""
    head = heads.read(request, forms={JSON.name: JSON}, body=True)
    asked = await reading.read(request, head, ReadRequest)
    with ExitStack() as room:
        length = writing.hold(request, head, room, asked.data, len(asked.data))
        rows = len(next(iter(asked.data.values()), ()))
        found = Columns(data=asked.data, units=asked.units, n=rows, reading=asked.reading)
        return await writing.answer(request, head, found, length=length, room=room)


@router.post(
    "/predict",
    operation_id="predict",
    summary="Predict with a model or a finished job",
    responses={
        200: openapi.forms(Predictions, "One prediction a row"),
        **openapi.refusals(404, 409, *_REFUSALS),
    },
    openapi_extra=openapi.body(PredictRequest, examples.PREDICT, _FORM),
)
async def predict(request: Request) -> Response:
    """With `model` and `params`, or with the `job_id` of a fit; for a fit by groups, `data` needs
    the `group_by` column. Predictions are on the scale of the formula's left side, which `target`
    names."""
    head = heads.read(request, body=True)
    asked = await reading.read(request, head, PredictRequest, partial(group_keys, request, head))
    settings = request.state["settings"]
    most = (settings.max_rows, settings.max_answer_operations)
    work = partial(fitting.predict, asked, *most)
    if asked.job_id is not None:
        _, curve = await fitted_job(request, head, asked.job_id)
        work = partial(fitting.predict_from, asked, curve, *most)
        small = _size(asked.data) <= _FEW_NUMBERS and fitting.curve_nbytes(curve) <= _SMALL_CURVE
    else:
        small = _is_little(asked, plain=asked.interval is None)
    with ExitStack() as room:
        columns = 1 if asked.interval is None else _OF_A_BAND
        length = writing.hold(request, head, room, asked.data, columns)
        found = await computed(request, head, work, small=small)
        size = _size(asked.data) + columns * len(found.predictions)
        return await writing.answer(
            request, head, found, length=length, size=size, data=asked.data, room=room
        )


@router.post(
    "/loss",
    operation_id="loss",
    summary="The loss of a model at given params",
    responses={
        200: openapi.forms(LossAnswer, "The loss"),
        **openapi.refusals(*_REFUSALS),
    },
    openapi_extra=openapi.body(LossRequest, examples.LOSS, _FORM),
)
async def loss(request: Request) -> Response:
    """With `residuals`, also the residuals; with `surface`, over a grid of one or two params."""
    head = heads.read(request, body=True)
    asked = await reading.read(request, head, LossRequest)
    work = partial(fitting.loss, asked, request.state["settings"])
    small = asked.surface is None and _is_little(asked)
    with ExitStack() as room:
        points = prod(axis.steps for axis in (asked.surface or {}).values())
        length = writing.hold(request, head, room, asked.data, int(asked.residuals), 3 * points)
        found = await computed(request, head, work, small=small)
        size = length // head.form.number_bytes
        return await writing.answer(request, head, found, length=length, size=size, room=room)


@router.post(
    "/gradient",
    operation_id="gradient",
    summary="The gradient of the loss at given params",
    responses={
        200: openapi.forms(GradientAnswer, "The gradient by param"),
        **openapi.refusals(*_REFUSALS),
    },
    openapi_extra=openapi.body(GradientRequest, examples.GRADIENT, _FORM),
)
async def gradient(request: Request) -> Response:
    """With `check` by all three methods side by side, and with `explain` as the chain rule."""
    head = heads.read(request, body=True)
    asked = await reading.read(request, head, GradientRequest)
    settings = request.state["settings"]
    most = (settings.max_rows, settings.max_answer_operations)
    plain = asked.gradient.method != "numeric" and not asked.check
    # The cost of an explanation grows with the formula, not with the data.
    small = not asked.explain and _is_little(asked, plain=plain)
    with ExitStack() as room:
        writing.hold(request, head, room, asked.data)
        found = await computed(request, head, partial(fitting.gradient, asked, *most), small=small)
    return await writing.answer(request, head, found)


async def computed(
    request: Request, head: Head, work: Callable[[], AnswerT], *, small: bool
) -> AnswerT:
    """The result of some work, which is done in a thread unless it is small."""
    if small:
        return work()
    async with request.state["makers"].turn(head.client):
        return await to_thread.run_sync(work)


def _is_little(
    asked: PredictRequest | LossRequest | GradientRequest, *, plain: bool = True
) -> bool:
    """Whether the computation is short; `plain`: the model is evaluated once or twice."""
    size = _size(asked.data)
    if plain and size <= _FEW_NUMBERS:
        return True
    return size <= _MANY_NUMBERS and fitting.is_little(asked)


def _size(data: Data) -> int:
    """The count of numbers in the data."""
    return sum(map(len, data.values()))


async def group_keys(
    request: Request, head: Head, asked: PredictRequest | InvertRequest
) -> tuple[Keys, ...]:
    """The `group_by` columns of the job's fit, and the type of its keys; none without groups."""
    if asked.job_id is None:
        return ()
    jobs = request.state["jobs"]
    job = await jobs.get(asked.job_id, head.owner)
    if job.kind == "fit":
        return ()
    fitted = await jobs.request(job)
    columns = () if fitted.group_by is None else fitted.group_by.columns
    return tuple(
        Keys(by, "text" if isinstance(fitted.data.get(by), Labels) else "numbers") for by in columns
    )


async def fitted_job(request: Request, head: Head, job_id: str) -> tuple[Job, fitting.Curve]:
    """A finished fit, and what predictions need of it. Raises JobStillRunning, or InvalidRequest
    for a job without a fit."""
    jobs = request.state["jobs"]
    job = await jobs.get(job_id, head.owner)
    if not job.finished:
        raise JobStillRunning(f"job {job.id} is {job.status}: predict once it has finished")
    answer = await jobs.answer(job)
    if answer is None or answer.curve is None:
        raise InvalidRequest(
            f"job {job.id} {job.status} without a fit to predict from", pointer="/job_id"
        )
    return job, answer.curve
