"""POST /fit: every fit is a job; the answer is the fit if it ends within the wait, else the job."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import ExitStack, suppress

import numpy as np
from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from service.api import answer_size, examples, negotiation, openapi, views
from service.api.answers import ProblemAnswer, json_answer
from service.api.bodies import reading
from service.api.bodies.table import Keys
from service.api.concurrency import unless_disconnected
from service.api.direct_route import DirectRoute
from service.api.head import client, owner, preference
from service.api.middleware.request_ids import request_id
from service.api.queries import FormQuery
from service.api.state import Request
from service.errors import InvalidRequest, UnknownJob
from service.jobs.job import Job, request_nbytes
from service.schemas.answers import Fit
from service.schemas.columns import Labels, Numbers
from service.schemas.compare import CompareRequest
from service.schemas.fit import FitRequest
from service.schemas.jobs import Job as JobAnswer
from service.schemas.jobs import JobRequest
from service.schemas.options import Param
from service.schemas.problems import Problem

router = APIRouter(tags=["fits"], default_response_class=Response, route_class=DirectRoute)

_QUICK_BYTES, _FEW_PARAMS = 2**19, 256
"""Bytes of columns, and params, up to which the fingerprint is computed on the event loop."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
HEADERS = [
    openapi.header(
        "Prefer",
        "`respond-async`: answer at once with the job. `wait=N`: wait at most N seconds for the "
        "fit, then answer with the job (RFC 7240).",
        "wait=10",
    ),
    openapi.header(
        "Idempotency-Key",
        "A key of your own for this request: the same key with an equivalent request, in "
        "any body format, is answered by the same job, so that a retry is safe. Such as "
        "`5f2b0c1e-calibration-17`.",
        pattern="^[!-~]{1,255}$",
    ),
]


@router.post(
    "/fit",
    operation_id="fit",
    summary="Fit a model to data",
    responses={
        200: openapi.forms(
            Fit, "The fit", "Preference-Applied", "Idempotent-Replayed", "Server-Timing"
        ),
        202: openapi.forms(
            JobAnswer,
            "The job, in the background or once the wait has run out",
            "Location",
            "Preference-Applied",
            "Idempotent-Replayed",
        ),
        **openapi.refusals(400, 406, 408, 409, 413, 415, 422, 429, 500, 503),
    },
    openapi_extra=openapi.body(
        FitRequest, examples.FIT, [*HEADERS, *openapi.query(FormQuery)["parameters"]]
    ),
)
async def fit(request: Request) -> Response:
    """Only `data` is required; the default model is a line. Answers with the fit or, where
    `background` is true, `Prefer: respond-async` is sent or the wait runs out, with 202 and the
    job."""
    return await submitted(request, FitRequest)


async def submitted(request: Request, schema: type[FitRequest] | type[CompareRequest]) -> Response:
    """Submits the job that the body describes; answers with its result if it ends within the
    wait."""
    form = negotiation.form(request)
    prefer = preference(request.headers)
    key = _idempotency_key(request.headers)
    asked: JobRequest = await reading.read(request, schema, _keys)
    digest = None if key is None else await _fingerprint(asked)
    jobs = request.state["jobs"]
    with ExitStack() as room:  # until the store counts its columns
        answer_size.hold(request, room, "text", asked.data, 0)
        job, replayed = await jobs.submit(
            asked,
            owner=owner(request),
            client=client(request),
            idempotency_key=key,
            fingerprint=digest,
        )
    wait_s = 0.0 if asked.background else prefer.wait(request.state["settings"].max_wait_s)
    if wait_s > 0:
        job = await _wait(request, job, wait_s, abandon=key is None)
    finished = job.finished and not asked.background
    headers = prefer.applied(finished=finished)
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if finished:
        if form != "json" and job.result is not None:
            return await negotiation.fit_answer(request, form, job.result, job.request, headers)
        return _final_answer(job, headers, request)
    headers = {"Location": views.url(job), **headers}
    shown = views.brief(job, jobs)
    if form != "json":
        return await negotiation.answer(request, form, shown, status=202, headers=headers)
    return json_answer(shown, 202, headers)


async def _fingerprint(asked: JobRequest) -> bytes:
    few = isinstance(asked, FitRequest) and len(asked.params) <= _FEW_PARAMS
    if request_nbytes(asked) <= _QUICK_BYTES and few:
        return fingerprint(asked)
    return await asyncio.to_thread(fingerprint, asked)


async def _keys(asked: JobRequest) -> Keys | None:
    return None if asked.group_by is None else Keys(asked.group_by.column)


async def _wait(request: Request, job: Job, wait_s: float, *, abandon: bool) -> Job:
    """The job once it has finished, or after `wait_s` seconds. With `abandon`, the job is cancelled
    if the caller disconnects; a job with an idempotency key is not, since a retry may follow.
    """
    jobs = request.state["jobs"]
    job = await jobs.get(job.id, job.owner)
    if job.finished:
        return job
    try:
        return await unless_disconnected(request, jobs.wait(job.id, wait_s))
    except ClientDisconnect:
        if abandon:
            with suppress(UnknownJob):
                await jobs.cancel(job.id)
        raise


def _final_answer(job: Job, headers: dict[str, str], request: Request) -> Response:
    if job.result is not None:
        return json_answer(job.result, 200, {**headers, **views.server_timing(job.result)})
    problem = views.failure(job, request_id(request.scope)) or Problem(
        type="job-cancelled",
        title="The job was cancelled",
        status=409,
        detail=f"job {job.id} was cancelled before it had a result",
        request_id=request_id(request.scope),
        job_id=job.id,
    )
    return ProblemAnswer(problem, headers)


def _idempotency_key(headers: Headers) -> str | None:
    keys = headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidRequest(
            "header 'Idempotency-Key' must be sent once, with 1 to 255 visible ASCII characters"
        )
    return keys[0]


def fingerprint(asked: JobRequest) -> bytes:
    """The SHA-256 of the request. The order of columns counts: a model that names none uses it."""
    whole = asked
    if isinstance(asked, FitRequest):
        whole = asked.model_copy(update={"params": _as_objects(asked.params)})
    elif isinstance(asked.models, list):
        each = [m.model_copy(update={"params": _as_objects(m.params)}) for m in asked.models]
        whole = asked.model_copy(update={"models": each})
    options = json.loads(whole.model_dump_json(exclude={"data", "background"}))
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for name, column in asked.data.items():
        digest.update(f"\n{len(name)} {name} {len(column)} ".encode())
        for part in _parts(column):
            digest.update(part)
    return digest.digest()


def _as_objects(params: Mapping[str, float | Param]) -> dict[str, Param]:
    return {
        name: given if isinstance(given, Param) else Param(value=given)
        for name, given in params.items()
    }


def _parts(column: Numbers | Labels) -> tuple[bytes, ...]:
    if isinstance(column, Labels):
        return b"text", column.codes.tobytes(), json.dumps(column.names).encode()
    # NaN has many bit patterns.
    return b"numbers", np.where(np.isnan(column), np.nan, column).tobytes()
