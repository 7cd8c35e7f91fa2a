"""Converts replies to documents of the schemas, or raises their problems."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from service.client import errors
from service.client.retrying import retry_after
from service.client.transport import Reply
from service.schemas.jobs import DoneEvent, Job, ProgressEvent
from service.schemas.problems import Problem

Document = dict[str, Any]
Event = ProgressEvent | DoneEvent
AnswerT = TypeVar("AnswerT", bound=BaseModel)

_QUOTED = 200
"""Characters of an unexpected answer that a message quotes."""


def read(reply: Reply, schema: type[AnswerT]) -> AnswerT:
    """The answer as `schema`, or its problem raised."""
    return parse(document(reply), schema)


def document(reply: Reply) -> Document:
    """The answer's JSON object, or its problem raised."""
    check(reply)
    found = _json(reply)
    if found is None:
        raise errors.UnreadableAnswer(f"not an answer of Descent: {_beginning(reply)}")
    return found


def parse(found: Document, schema: type[AnswerT]) -> AnswerT:
    """A document as `schema`."""
    try:
        return schema.model_validate(found)
    except ValidationError as error:
        raise errors.UnreadableAnswer(
            f"the answer is not a valid {schema.__name__} for this client: {error}"
        ) from error


def check(reply: Reply) -> None:
    """Raises the problem of an answer that is one."""
    if not reply.ok:
        raise errors.of_problem(_problem(reply), retry_after(reply) or None)


def event(line: str) -> Event | None:
    """The event of a line of a job's event stream; None for an empty line."""
    if not line.strip():
        return None
    try:
        return _EVENT.validate_json(line)
    except ValidationError as error:
        raise errors.UnreadableAnswer(f"not an event: {line[:_QUOTED]}") from error


def job_id(reply: Reply) -> str:
    """The job id in the answer with a job or a fit."""
    found = document(reply).get("job_id")
    if not isinstance(found, str):
        raise errors.UnreadableAnswer("the answer has no job id")
    return found


def record(found: Document) -> Job:
    """A job's record; its fit, of either type, is dropped."""
    return parse({**found, "result": None}, Job)


def result(found: Document) -> Document | None:
    """The fit of a finished job, or raises its problem; None while it runs."""
    fit = found.get("result")
    if isinstance(fit, dict):
        return fit
    if found.get("finished_at") is None:
        return None
    job = record(found)
    raise errors.of_problem(_cancelled(job) if job.error is None else job.error)


def _cancelled(job: Job) -> Problem:
    """The problem of a job that was cancelled before it had a fit."""
    return Problem(
        type="job-cancelled",
        title="The job was cancelled",
        status=409,
        detail=f"job {job.job_id} was {job.status} before it had a result",
        job_id=job.job_id,
    )


def _problem(reply: Reply) -> Problem:
    """The reply's problem; if it is none of Descent's, one made from its status and text."""
    try:
        return Problem.model_validate(_json(reply))
    except ValidationError:
        phrase = HTTPStatus(reply.status).phrase if reply.status in _STATUSES else "Not understood"
        return Problem(
            type="about:blank", title=phrase, status=reply.status, detail=_beginning(reply)
        )


def _json(reply: Reply) -> Document | None:
    try:
        found = from_json(reply.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _beginning(reply: Reply) -> str:
    text = reply.body[:_QUOTED].decode(errors="replace").strip()
    return text or f"status {reply.status}, without further information"


_STATUSES = {int(status) for status in HTTPStatus}
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
