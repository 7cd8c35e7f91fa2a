"""Answers a request as its route does, here and now and without a job in the store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from service import fitting
from service.certification.case import Body, Case, Route, with_data
from service.errors import DescentError
from service.jobs.fit_backend import FIT_BACKEND
from service.jobs.job import Failure
from service.jobs.messages import Ended, Failed, FromWorker, Task
from service.jobs.run_job import run_job
from service.jobs.service import outline
from service.schemas.base import Answer
from service.schemas.compare import CompareRequest
from service.schemas.compute import GradientRequest, LossRequest, PredictRequest
from service.schemas.fit import FitRequest
from service.schemas.requests import JobRequest
from service.schemas.unknowns import InvertRequest
from service.settings import Settings

Respond = Callable[[Body], bytes]

LIMITS = Settings.model_construct()
"""The defaults, whatever limits this service has: they are no part of what is certified."""


class NoAnswer(Exception):
    """The request has no answer; the message says why."""


def answered(case: Case) -> Any:
    """The answer of a case's request, as a client reads it. Raises NoAnswer."""
    body = with_data(case.body)
    try:
        if case.curve is not None:
            fit = json.loads(_ROUTES["/fit"](with_data(case.curve)))
            body = {**fit["predict"], **body}
        return json.loads(_ROUTES[case.route](body))
    except (DescentError, ValueError) as error:  # a schema's is a ValueError
        raise NoAnswer(str(error)) from error


def _job(schema: type[FitRequest] | type[CompareRequest], body: Body) -> bytes:
    request: JobRequest = schema.model_validate(body)
    checked = outline(request, LIMITS, None)
    task = Task(
        job_id="job_certification",
        request=request,
        limit_s=LIMITS.max_time_limit_s,
        max_history_rows=LIMITS.rows_of_history(len(checked.params)),
    )
    sent: list[FromWorker] = []
    run_job(task, sent.append, lambda: False, time.monotonic, FIT_BACKEND)
    last = sent[-1]
    if isinstance(last, Failed):
        raise NoAnswer(_told(last.failure))
    assert isinstance(last, Ended)
    return bytes(last.fit)


def _told(failure: Failure) -> str:
    return f"{failure.type}: {failure.detail}"


def _at_once(schema: type[Any], compute: Callable[[Any], Answer], body: Body) -> bytes:
    return compute(schema.model_validate(body)).document()


_ROUTES: Mapping[Route, Respond] = {
    "/fit": partial(_job, FitRequest),
    "/compare": partial(_job, CompareRequest),
    "/invert": partial(_at_once, InvertRequest, fitting.unknowns),
    "/predict": partial(_at_once, PredictRequest, fitting.predict),
    "/loss": partial(_at_once, LossRequest, partial(fitting.loss, settings=LIMITS)),
    "/gradient": partial(_at_once, GradientRequest, fitting.gradient),
}
