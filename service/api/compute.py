"""POST /predict, /loss and /gradient: reckoned at once, without a job.

What takes microseconds runs where it stands; what takes longer, in a thread, so that the others
need not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from anyio import to_thread
from fastapi import APIRouter
from starlette.responses import Response

from service import translate
from service.api import examples, openapi
from service.api.answers import json_answer
from service.api.clients import owner
from service.api.direct_route import DirectRoute
from service.api.reading import bodies
from service.api.state import Request
from service.errors import InvalidRequest, JobStillRunning
from service.schemas.answers import Fit
from service.schemas.columns import Data
from service.schemas.compute import (
    GradientAnswer,
    GradientRequest,
    LossAnswer,
    LossRequest,
    Predictions,
    PredictRequest,
)

router = APIRouter(tags=["compute"], default_response_class=Response, route_class=DirectRoute)

_FEW_ROWS = 20_000
_REFUSALS = (400, 408, 413, 415, 422, 429, 500, 503)

AnswerT = TypeVar("AnswerT")


@router.post(
    "/predict",
    operation_id="predict",
    summary="Predict with a model or a finished job",
    responses={
        200: openapi.answer(Predictions, "One prediction a row"),
        **openapi.refusals(404, 409, *_REFUSALS),
    },
    openapi_extra=openapi.body(PredictRequest, examples.PREDICT),
)
async def predict(request: Request) -> Response:
    """With `model` and `params`, or with the `job_id` of a fit. Predictions are on the scale of the
    formula's left side, which `target` names."""
    asked = await bodies.read(request, PredictRequest)
    most = request.state["settings"].max_rows
    work = partial(translate.predict, asked, most)
    if asked.job_id is not None:
        fit = await _finished_fit(request, asked.job_id)
        work = partial(translate.predict_from_fit, asked, fit, most)
    return json_answer(await _reckon(work, few=_is_short(asked.data)))


@router.post(
    "/loss",
    operation_id="loss",
    summary="The loss of a model at given params",
    responses={
        200: openapi.answer(LossAnswer, "The loss"),
        **openapi.refusals(*_REFUSALS),
    },
    openapi_extra=openapi.body(LossRequest, examples.LOSS),
)
async def loss(request: Request) -> Response:
    """With `residuals` for those too, and with `surface` over a grid of one or two params."""
    asked = await bodies.read(request, LossRequest)
    work = partial(translate.loss, asked, request.state["settings"])
    few = asked.surface is None and _is_short(asked.data)
    return json_answer(await _reckon(work, few=few))


@router.post(
    "/gradient",
    operation_id="gradient",
    summary="The gradient of the loss at given params",
    responses={
        200: openapi.answer(GradientAnswer, "The gradient by param"),
        **openapi.refusals(*_REFUSALS),
    },
    openapi_extra=openapi.body(GradientRequest, examples.GRADIENT),
)
async def gradient(request: Request) -> Response:
    """With `check` by all three methods side by side, and with `explain` as the chain rule."""
    asked = await bodies.read(request, GradientRequest)
    work = partial(translate.gradient, asked, request.state["settings"].max_rows)
    return json_answer(await _reckon(work, few=_is_short(asked.data)))


async def _reckon(work: Callable[[], AnswerT], *, few: bool) -> AnswerT:
    return work() if few else await to_thread.run_sync(work)


def _is_short(data: Data) -> bool:
    return sum(map(len, data.values())) <= _FEW_ROWS


async def _finished_fit(request: Request, job_id: str) -> Fit:
    job = await request.state["jobs"].get(job_id, owner(request))
    if not job.finished:
        raise JobStillRunning(f"job {job.id} is {job.status}: predict once it has finished")
    if job.result is None:
        raise InvalidRequest(
            f"job {job.id} {job.status} without a fit to predict from", pointer="/job_id"
        )
    return Fit.model_validate_json(job.result)
