"""The exchanges with the service, one per operation: see `calls`.


Each function is a generator that yields calls, is sent their replies, and returns the result.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from service.client import answers, errors
from service.client.bodies import ArrowSupport, Payload
from service.client.calls import Call, Exchange, Reply
from service.client.deadline import Deadline
from service.schemas.answers import History
from service.schemas.catalogue import (
    LossEntry,
    LossList,
    ModelEntry,
    ModelList,
    OptimizerEntry,
    OptimizerList,
)
from service.schemas.jobs import Job
from service.schemas.problems import Problem

if TYPE_CHECKING:  # these import NumPy, which is not needed at start
    from service.client.predictions import Predictions
    from service.schemas.compute import GradientAnswer, LossAnswer

WAIT_S = 20
"""Seconds for which one call waits for a fit: below the usual timeouts of proxies."""
_RESUBMITS = 2
"""How often a fit is sent again whose job the service has lost, as at a restart."""
Document = dict[str, Any]


def fit(
    ask: Payload, wire: ArrowSupport, deadline: Deadline, key: str | None = None
) -> Exchange[Document]:
    """The document of a fit, waiting for its job.


    Retries create one job only: all calls have the same Idempotency-Key. Interrupting the wait (^C,
    a cancelled task) cancels the job.
    """
    key, sent = key or new_key(), 0
    try:
        while True:
            reply = yield from _submit(ask, wire, key, _share(deadline))
            sent += 1
            if reply.status != 202:
                return answers.document(reply)
            try:
                return (yield from wait(_job_id(reply), deadline))
            except errors.NotFoundError:
                if sent > _RESUBMITS:
                    raise
    except BaseException as error:
        if not isinstance(error, Exception | GeneratorExit):
            with suppress(errors.ClientError):
                yield from _cancel_by_key(ask, wire, key)
        raise


def submit(ask: Payload, wire: ArrowSupport, key: str | None = None) -> Exchange[str]:
    """The id of a fit's job."""
    reply = yield from _submit(ask, wire, key or new_key(), 0)
    return _job_id(reply)


def wait(job_id: str, deadline: Deadline) -> Exchange[Document]:
    """Waits for a job; the document of its fit. Raises WaitTimeout at the deadline."""
    while True:
        share = _share(deadline)
        query = {"wait": f"{share:g}"} if share > 0 else {}
        reply = yield Call("GET", job_path(job_id), query, held_s=share)
        found = answers.document(reply)
        result = _ended(found)
        if result is not None:
            return result
        if deadline.left() <= 0:
            raise errors.WaitTimeout(job_id, str(found.get("status")))


def cancel(job_id: str) -> Exchange[Document | None]:
    """Cancels a job; the document of its fit so far, or None."""
    reply = yield Call("POST", f"{job_path(job_id)}/cancel", held_s=WAIT_S)
    found = answers.document(reply).get("result")
    return found if isinstance(found, dict) else None


def delete(job_id: str) -> Exchange[None]:
    """Deletes a finished job."""
    reply = yield Call("DELETE", job_path(job_id))
    # An earlier try succeeded, but its answer was lost.
    if not (reply.status == 404 and reply.attempts > 1):
        answers.check(reply)


def record(job_id: str) -> Exchange[Job]:
    """A job's record without its fit."""
    return _record((yield from get_document(job_path(job_id))))


def history(job_id: str, **query: int | None) -> Exchange[History]:
    """A job's recorded epochs."""
    asked = {name: str(value) for name, value in query.items() if value is not None}
    reply = yield Call("GET", f"{job_path(job_id)}/history", asked)
    return answers.read(reply, History)


def page(query: Mapping[str, str]) -> Exchange[tuple[list[Job], str | None]]:
    """A page of jobs, newest first, and the id after which the next begins."""
    found = yield from get_document("/jobs", query)
    return [_record(one) for one in found["jobs"]], found["next_after"]


def predictions(ask: Payload, wire: ArrowSupport) -> Exchange[Predictions]:
    """The answer of /predict."""
    from service.client.predictions import Predictions

    return answers.read((yield from _post(ask, wire, {})), Predictions)


def loss(ask: Payload, wire: ArrowSupport) -> Exchange[LossAnswer]:
    """The answer of /loss."""
    from service.schemas.compute import LossAnswer

    return answers.read((yield from _post(ask, wire, {})), LossAnswer)


def gradient(ask: Payload, wire: ArrowSupport) -> Exchange[GradientAnswer]:
    """The answer of /gradient."""
    from service.schemas.compute import GradientAnswer

    return answers.read((yield from _post(ask, wire, {})), GradientAnswer)


def get(path: str, accept: str = "*/*") -> Exchange[bytes]:
    """The bytes of a page."""
    reply = yield Call("GET", path, headers={"Accept": accept})
    answers.check(reply)
    return reply.body


def get_document(path: str, query: Mapping[str, str] | None = None) -> Exchange[Document]:
    """The JSON object of a page."""
    return answers.document((yield Call("GET", path, query or {})))


def models() -> Exchange[list[ModelEntry]]:
    """The model families."""
    return answers.parse((yield from get_document("/models")), ModelList).models


def losses() -> Exchange[list[LossEntry]]:
    """The losses."""
    return answers.parse((yield from get_document("/losses")), LossList).losses


def optimizers() -> Exchange[list[OptimizerEntry]]:
    """The optimizers."""
    return answers.parse((yield from get_document("/optimizers")), OptimizerList).optimizers


def job_path(job_id: str) -> str:
    """A job's path."""
    return f"/jobs/{quote(job_id, safe='')}"


def new_key() -> str:
    """A unique Idempotency-Key."""
    return uuid.uuid4().hex


def _submit(ask: Payload, wire: ArrowSupport, key: str, wait_s: int) -> Exchange[Reply]:
    """The reply with the fit, or with the job if it takes longer (or is not waited for)."""
    prefer = f"wait={wait_s}" if wait_s else "respond-async"
    reply = yield from _post(ask, wire, {"Prefer": prefer, "Idempotency-Key": key}, wait_s)
    answers.check(reply)
    return reply


def _post(
    ask: Payload, wire: ArrowSupport, headers: Mapping[str, str], held_s: int = 0
) -> Exchange[Reply]:
    """Sends large data as Arrow; as JSON to a service that does not support it."""
    if wire.takes_arrow and ask.large():
        body, kind = ask.as_arrow()
        reply = yield _posted(ask.path, body, {"Content-Type": kind, **headers}, held_s)
        if reply.status != 415:
            return reply
        wire.takes_arrow = False
    body, kind = ask.as_json()
    return (yield _posted(ask.path, body, {"Content-Type": kind, **headers}, held_s))


def _posted(path: str, body: bytes, headers: Mapping[str, str], held_s: int) -> Call:
    return Call("POST", path, headers=headers, body=body, held_s=held_s)


def _cancel_by_key(ask: Payload, wire: ArrowSupport, key: str) -> Exchange[None]:
    """Cancels the job of an interrupted fit, found by its Idempotency-Key."""
    reply = yield from _submit(ask, wire, key, 0)
    yield from cancel(_job_id(reply))


def _share(deadline: Deadline) -> int:
    """The seconds for one call to wait, an integer."""
    left = deadline.left()
    return WAIT_S if left == math.inf else min(WAIT_S, math.ceil(left))


def _job_id(reply: Reply) -> str:
    """The job id in the answer with a job or a fit."""
    job_id = answers.document(reply).get("job_id")
    if not isinstance(job_id, str):
        raise errors.UnreadableAnswer("the answer has no job id")
    return job_id


def _ended(found: Document) -> Document | None:
    """The fit of a finished job, or raises its problem; None while it runs."""
    result = found.get("result")
    if isinstance(result, dict):
        return result
    if found.get("finished_at") is None:
        return None
    job = _record(found)
    if job.error is not None:
        raise errors.of_problem(job.error)
    raise errors.of_problem(_cancelled(job))


def _cancelled(job: Job) -> Problem:
    """The problem of a job that was cancelled before it had a fit."""
    return Problem(
        type="job-cancelled",
        title="The job was cancelled",
        status=409,
        detail=f"job {job.job_id} was {job.status} before it had a result",
        job_id=job.job_id,
    )


def _record(found: Document) -> Job:
    """A job's record; its fit, of either type, is dropped."""
    return answers.parse({**found, "result": None}, Job)
