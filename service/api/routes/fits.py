"""POST /fit: every fit is a job; the answer is the fit if it ends within the wait, else the job."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from types import UnionType
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from service.api import examples, openapi, views, writing
from service.api import head as heads
from service.api.answers import ProblemAnswer
from service.api.bodies import reading
from service.api.bodies.table import Keys
from service.api.concurrency import unless_disconnected
from service.api.direct_route import DirectRoute
from service.api.error_handlers import problem
from service.api.forms import JSON
from service.api.head import Head
from service.api.http_errors import JobCancelled
from service.api.queries import FormQuery
from service.api.state import Request
from service.errors import UnknownJob
from service.jobs.job import Job, request_nbytes
from service.schemas.answers import Fit
from service.schemas.base import Answer
from service.schemas.columns import Labels, Numbers
from service.schemas.compare import CompareRequest
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedFit
from service.schemas.jobs import Job as JobAnswer
from service.schemas.options import Param
from service.schemas.requests import JobRequest

router = APIRouter(tags=["fits"], default_response_class=Response, route_class=DirectRoute)

_QUICK_BYTES, _FEW_PARAMS = 2**19, 256
"""Bytes of columns, and params, up to which the fingerprint is computed on the event loop."""
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


def responses(schema: type[Answer] | UnionType, meaning: str) -> dict[int | str, openapi.Part]:
    """Those of a route that answers with the result of a job, or with the job."""
    return {
        200: openapi.forms(
            schema, meaning, "Preference-Applied", "Idempotent-Replayed", "Server-Timing"
        ),
        202: openapi.forms(
            JobAnswer,
            "The job, in the background or once the wait has run out",
            "Location",
            "Preference-Applied",
            "Idempotent-Replayed",
        ),
        **openapi.refusals(400, 406, 408, 409, 413, 415, 422, 429, 500, 503),
    }


@router.post(
    "/fit",
    operation_id="fit",
    summary="Fit a model to data",
    responses=responses(Fit | GroupedFit, "The fit; with `group_by` the fits of the groups"),
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
    head = heads.read(request, body=True, keyed=True)
    asked: JobRequest = await reading.read(request, head, schema, _keys)
    job, replayed = await _submit(request, head, asked)
    wait_s = 0.0 if asked.background else head.prefer.wait(request.state["settings"].max_wait_s)
    if wait_s > 0:
        job = await _wait(request, job, wait_s, abandon=head.idempotency_key is None)
    return await _answer(request, head, job, asked, replayed=replayed)


async def _submit(request: Request, head: Head, asked: JobRequest) -> tuple[Job, bool]:
    """The job, and whether it is that of an earlier request with the same key."""
    key = head.idempotency_key
    digest = None if key is None else await _fingerprint(asked)
    with ExitStack() as room:  # until the store counts its columns
        writing.hold_columns(request, head, room, asked.data)
        return await request.state["jobs"].submit(
            asked,
            owner=head.owner,
            client=head.client,
            idempotency_key=key,
            fingerprint=digest,
        )


async def _answer(
    request: Request, head: Head, job: Job, asked: JobRequest, *, replayed: bool
) -> Response:
    """The fit if the job has finished, else the job."""
    finished = job.finished and not asked.background
    headers = head.prefer.applied(finished=finished)
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    jobs = request.state["jobs"]
    if not finished:
        shown = views.brief(job, await jobs.place(job))
        headers = {"Location": views.url(job), **headers}
        return await writing.answer(request, head, shown, status=202, headers=headers)
    answer = await jobs.answer(job)
    if answer is None:
        return _without_fit(job, headers, head)
    if head.form is JSON:
        headers |= views.server_timing(answer.result)
    return await writing.fit_answer(request, head, answer.result, asked, headers)


async def _fingerprint(asked: JobRequest) -> bytes:
    few = isinstance(asked, FitRequest) and len(asked.params) <= _FEW_PARAMS
    if request_nbytes(asked) <= _QUICK_BYTES and few:
        return fingerprint(asked)
    return await asyncio.to_thread(fingerprint, asked)


async def _keys(asked: JobRequest) -> tuple[Keys, ...]:
    return () if asked.group_by is None else tuple(map(Keys, asked.group_by.columns))


async def _wait(request: Request, job: Job, wait_s: float, *, abandon: bool) -> Job:
    """The job once it has finished, or after `wait_s` seconds. With `abandon`, the job is cancelled
    if the caller disconnects; a job with an idempotency key is not, since a retry may follow.
    """
    if job.finished:
        return job
    jobs = request.state["jobs"]
    try:
        return await unless_disconnected(request, jobs.wait(job.id, wait_s))
    except ClientDisconnect:
        if abandon:
            with suppress(UnknownJob):
                await jobs.cancel(job.id)
        raise


def _without_fit(job: Job, headers: dict[str, str], head: Head) -> Response:
    """The answer for a job that failed, or was cancelled before it had a result."""
    made = views.failure(job, head.request_id) or problem(
        JobCancelled,
        f"job {job.id} was cancelled before it had a result",
        request_id=head.request_id,
        job_id=job.id,
    )
    return ProblemAnswer(made, headers)


_UNHASHED: Any = {"data": True, "background": True, "rows": {"mask": True}}
"""What of a request its fingerprint does without; the data are hashed apart."""


def fingerprint(asked: JobRequest) -> bytes:
    """The SHA-256 of the request. The order of columns counts: a model that names none uses it."""
    whole = asked
    if isinstance(asked, FitRequest):
        whole = asked.model_copy(update={"params": _as_objects(asked.params)})
    elif isinstance(asked.models, list):
        each = [m.model_copy(update={"params": _as_objects(m.params)}) for m in asked.models]
        whole = asked.model_copy(update={"models": each})
    options = json.loads(whole.model_dump_json(exclude=_UNHASHED))
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
