"""Converts replies to documents of the schemas, or raises their problems."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from service.client import errors
from service.client.calls import Reply
from service.client.retrying import retry_after
from service.schemas.problems import Problem

AnswerT = TypeVar("AnswerT", bound=BaseModel)

_QUOTED = 200
"""Characters of an unexpected answer that a message quotes."""


def read(reply: Reply, schema: type[AnswerT]) -> AnswerT:
    """The answer as `schema`, or its problem raised."""
    return parse(document(reply), schema)


def document(reply: Reply) -> dict[str, Any]:
    """The answer's JSON object, or its problem raised."""
    check(reply)
    found = _json(reply)
    if found is None:
        raise errors.UnreadableAnswer(f"not an answer of Descent: {_beginning(reply)}")
    return found


def parse(found: dict[str, Any], schema: type[AnswerT]) -> AnswerT:
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


def _problem(reply: Reply) -> Problem:
    """The reply's problem; if it is none of Descent's, one made from its status and text."""
    try:
        return Problem.model_validate(_json(reply))
    except ValidationError:
        phrase = HTTPStatus(reply.status).phrase if reply.status in _STATUSES else "Not understood"
        return Problem(
            type="about:blank", title=phrase, status=reply.status, detail=_beginning(reply)
        )


def _json(reply: Reply) -> dict[str, Any] | None:
    try:
        found = from_json(reply.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _beginning(reply: Reply) -> str:
    text = reply.body[:_QUOTED].decode(errors="replace").strip()
    return text or f"status {reply.status}, without further information"


_STATUSES = {int(status) for status in HTTPStatus}
