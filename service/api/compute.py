"""POST /predict, /loss and /gradient: reckoned at once, without a job.

What takes microseconds runs where it stands; what takes longer, in a thread, so that the others
need not wait for it; what takes too long is refused before it is begun.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from anyio import to_thread
from fastapi import APIRouter
from starlette.responses import Response

from service import translate
from service.api import examples, negotiation, openapi
from service.api.answers import json_answer
from service.api.clients import owner
from service.api.direct_route import DirectRoute
from service.api.queries import FormQuery
from service.api.reading import bodies
from service.api.reading.keys import Keys
from service.api.state import Request
from service.errors import InvalidRequest, JobStillRunning
from service.schemas.answers import Fit, GroupedFit
from service.schemas.columns import Data, Labels
from service.schemas.compute import (
    GradientAnswer,
    GradientRequest,
    LossAnswer,
    LossRequest,
    Predictions,
    PredictRequest,
)

router = APIRouter(tags=["compute"], default_response_class=Response, route_class=DirectRoute)

_FORM = openapi.query(FormQuery)["parameters"]
_FEW_NUMBERS = 1000
"""Of data that no model takes long to be read on."""
_MANY_NUMBERS = 20_000
"""Of data that are not looked at where others wait."""
_SHORT_DOCUMENT = 2**16
_REFUSALS = (400, 406, 408, 413, 415, 422, 429, 500, 503)

AnswerT = TypeVar("AnswerT")


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
    """With `model` and `params`, or with the `job_id` of a fit; if it was one of groups, `data`
    needs the column that tells them apart. Predictions are on the scale of the
    formula's left side, which `target` names."""
    form = negotiation.form(request)
    asked = await bodies.read(request, PredictRequest, partial(_keys, request))
    settings = request.state["settings"]
    most = (settings.max_rows, settings.max_answer_operations)
    work = partial(translate.predict, asked, *most)
    if asked.job_id is not None:
        document, is_grouped = await _finished_fit(request, asked.job_id)
        work = partial(_predict_from, document, asked, *most, is_grouped=is_grouped)
        few = _size(asked.data) <= _FEW_NUMBERS and len(document) <= _SHORT_DOCUMENT
    else:
        few = _is_little(asked, plain=asked.interval is None)
    found = await _reckon(work, few=few)
    if form == "json":
        return json_answer(found)
    size = _size(asked.data) + len(found.predictions)
    return await negotiation.answer(request, form, found, size=size, data=asked.data)


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
    """With `residuals` for those too, and with `surface` over a grid of one or two params."""
    form = negotiation.form(request)
    asked = await bodies.read(request, LossRequest)
    work = partial(translate.loss, asked, request.state["settings"])
    few = asked.surface is None and _is_little(asked)
    found = await _reckon(work, few=few)
    if form == "json":
        return json_answer(found)
    size = 0 if few else _size(asked.data) + negotiation.LONG
    return await negotiation.answer(request, form, found, size=size)


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
    form = negotiation.form(request)
    asked = await bodies.read(request, GradientRequest)
    settings = request.state["settings"]
    most = (settings.max_rows, settings.max_answer_operations)
    plain = asked.gradient.method != "numeric" and not asked.check
    # What there is to explain grows with the formula, not with the data.
    few = not asked.explain and _is_little(asked, plain=plain)
    found = await _reckon(partial(translate.gradient, asked, *most), few=few)
    return json_answer(found) if form == "json" else await negotiation.answer(request, form, found)


async def _reckon(work: Callable[[], AnswerT], *, few: bool) -> AnswerT:
    return work() if few else await to_thread.run_sync(work)


def _is_little(
    asked: PredictRequest | LossRequest | GradientRequest, *, plain: bool = True
) -> bool:
    """Whether there is little to reckon; `plain` where the model is read once or twice."""
    size = _size(asked.data)
    if plain and size <= _FEW_NUMBERS:
        return True
    return size <= _MANY_NUMBERS and translate.is_little(asked)


def _size(data: Data) -> int:
    """Numbers in it."""
    return sum(map(len, data.values()))


def _predict_from(
    document: bytes, asked: PredictRequest, rows: int, operations: float, *, is_grouped: bool
) -> Predictions:
    if is_grouped:
        fits = GroupedFit.model_validate_json(document)
        return translate.predict_from_groups(asked, fits, rows, operations)
    fit = Fit.model_validate_json(document)
    return translate.predict_from_fit(asked, fit, rows, operations)


async def _keys(request: Request, asked: PredictRequest) -> Keys | None:
    """The column by which the job was fitted, and what its groups are told apart by."""
    if asked.job_id is None:
        return None
    fitted = (await request.state["jobs"].get(asked.job_id, owner(request))).request
    if fitted.group_by is None:
        return None
    by = fitted.group_by.column
    return Keys(by, "text" if isinstance(fitted.data.get(by), Labels) else "numbers")


async def _finished_fit(request: Request, job_id: str) -> tuple[bytes, bool]:
    """A finished fit's document, and whether it is one of groups."""
    job = await request.state["jobs"].get(job_id, owner(request))
    if not job.finished:
        raise JobStillRunning(f"job {job.id} is {job.status}: predict once it has finished")
    if job.result is None:
        raise InvalidRequest(
            f"job {job.id} {job.status} without a fit to predict from", pointer="/job_id"
        )
    return job.result, job.request.group_by is not None
