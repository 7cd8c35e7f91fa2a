"""What is said to the service, and how its answers are understood: see `calls`.

Each function is a generator to be driven: it yields calls and is sent their replies.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from service.client import answers, errors
from service.client.bodies import Ask, Wire
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

if TYPE_CHECKING:  # these bring NumPy, which a client that starts does without
    from service.client.predictions import Predictions
    from service.schemas.compute import GradientAnswer, LossAnswer

WAIT_S = 20
"""Seconds for which one call waits for a fit: short enough for the proxies on the way."""
_RESUBMITS = 2
"""How often a fit is sent anew that the service took and then forgot, as it does at a restart."""
Document = dict[str, Any]


def fit(ask: Ask, wire: Wire, deadline: Deadline, key: str | None = None) -> Exchange[Document]:
    """The document of a fit that is waited for.

    Its job is made once, however often it is asked for: all calls carry one Idempotency-Key. Who
    interrupts the wait (^C, a cancelled task) ends the job.
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
                yield from _withdraw(ask, wire, key)
        raise


def submit(ask: Ask, wire: Wire, key: str | None = None) -> Exchange[str]:
    """The id of a fit's job."""
    reply = yield from _submit(ask, wire, key or new_key(), 0)
    return _job_id(reply)


def wait(job_id: str, deadline: Deadline) -> Exchange[Document]:
    """The document of a job's fit, when there is one. WaitTimeout where the deadline is first."""
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
    """Ends a job; the document of its fit, as far as it came."""
    reply = yield Call("POST", f"{job_path(job_id)}/cancel", held_s=WAIT_S)
    found = answers.document(reply).get("result")
    return found if isinstance(found, dict) else None


def delete(job_id: str) -> Exchange[None]:
    """Forgets a finished job."""
    reply = yield Call("DELETE", job_path(job_id))
    # The answer of the first try was lost; this is the second's.
    if not (reply.status == 404 and reply.attempts > 1):
        answers.check(reply)


def record(job_id: str) -> Exchange[Job]:
    """A job's record as it is, its fit apart."""
    return _record((yield from get_document(job_path(job_id))))


def history(job_id: str, **query: int | None) -> Exchange[History]:
    """A job's recorded epochs."""
    asked = {name: str(value) for name, value in query.items() if value is not None}
    reply = yield Call("GET", f"{job_path(job_id)}/history", asked)
    return answers.read(reply, History)


def page(query: Mapping[str, str]) -> Exchange[tuple[list[Job], str | None]]:
    """Jobs, newest first, and where the next page begins."""
    found = yield from get_document("/jobs", query)
    return [_record(one) for one in found["jobs"]], found["next_after"]


def predictions(ask: Ask, wire: Wire) -> Exchange[Predictions]:
    """The answer of /predict."""
    from service.client.predictions import Predictions

    return answers.read((yield from _post(ask, wire, {})), Predictions)


def loss(ask: Ask, wire: Wire) -> Exchange[LossAnswer]:
    """The answer of /loss."""
    from service.schemas.compute import LossAnswer

    return answers.read((yield from _post(ask, wire, {})), LossAnswer)


def gradient(ask: Ask, wire: Wire) -> Exchange[GradientAnswer]:
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
    """The families of models."""
    return answers.parse((yield from get_document("/models")), ModelList).models


def losses() -> Exchange[list[LossEntry]]:
    """The losses."""
    return answers.parse((yield from get_document("/losses")), LossList).losses


def optimizers() -> Exchange[list[OptimizerEntry]]:
    """The optimizers."""
    return answers.parse((yield from get_document("/optimizers")), OptimizerList).optimizers


def job_path(job_id: str) -> str:
    """Where a job is."""
    return f"/jobs/{quote(job_id, safe='')}"


def new_key() -> str:
    """An Idempotency-Key that nobody else has."""
    return uuid.uuid4().hex


def _submit(ask: Ask, wire: Wire, key: str, wait_s: int) -> Exchange[Reply]:
    """The fit, or the job where it takes longer than that (or is not waited for)."""
    prefer = f"wait={wait_s}" if wait_s else "respond-async"
    reply = yield from _post(ask, wire, {"Prefer": prefer, "Idempotency-Key": key}, wait_s)
    answers.check(reply)
    return reply


def _post(ask: Ask, wire: Wire, headers: Mapping[str, str], held_s: int = 0) -> Exchange[Reply]:
    """Sends large data as Arrow; as JSON to a service that does not know it."""
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


def _withdraw(ask: Ask, wire: Wire, key: str) -> Exchange[None]:
    """Ends the job of a fit that nobody waits for any more. Its key tells which it is."""
    reply = yield from _submit(ask, wire, key, 0)
    yield from cancel(_job_id(reply))


def _share(deadline: Deadline) -> int:
    """Whole seconds for one call to wait."""
    left = deadline.left()
    return WAIT_S if left == math.inf else min(WAIT_S, math.ceil(left))


def _job_id(reply: Reply) -> str:
    """Of a job's answer, or of a fit's."""
    job_id = answers.document(reply).get("job_id")
    if not isinstance(job_id, str):
        raise errors.UnreadableAnswer("the answer names no job")
    return job_id


def _ended(found: Document) -> Document | None:
    """The fit of a job that has one, or its problem raised; None while it goes on."""
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
    """Of a job that ended before it had a fit."""
    return Problem(
        type="job-cancelled",
        title="The job was cancelled",
        status=409,
        detail=f"job {job.job_id} was {job.status} before it had a result",
        job_id=job.job_id,
    )


def _record(found: Document) -> Job:
    """A job without its fit, which may be of more kinds than one."""
    return answers.parse({**found, "result": None}, Job)
