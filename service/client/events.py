"""A job's events from JSON lines, resumed after an interruption."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from service.client import errors
from service.client.calls import Call
from service.client.exchanges import job_path
from service.client.retrying import pause
from service.schemas.jobs import DoneEvent, ProgressEvent

Event = ProgressEvent | DoneEvent

SILENCE_S = 60.0
"""Seconds without a line after which the stream counts as broken; keep-alives are sent every 15
s."""


class Watch:
    """One job's stream of events, over as many connections as it takes. It does no I/O."""

    def __init__(self, job_id: str, after_epoch: int | None, retries: int) -> None:
        self.done = False
        self._path = f"{job_path(job_id)}/events"
        self._after, self._retries, self._failures = after_epoch, retries, 0

    def call(self) -> Call:
        """The call for the events after the last one."""
        query = {} if self._after is None else {"after_epoch": str(self._after)}
        return Call("GET", self._path, query, {"Accept": "application/jsonl"})

    def feed(self, line: str) -> Event | None:
        """The event of a line; None for an empty line."""
        if not line.strip():
            return None
        try:
            event = _EVENT.validate_json(line)
        except ValidationError as error:
            raise errors.UnreadableAnswer(f"not an event: {line[:200]}") from error
        self._failures = 0
        self._after = self._after if event.last_epoch is None else event.last_epoch
        self.done = isinstance(event, DoneEvent)
        return event

    def cut(self, error: Exception | None, url: str) -> float:
        """Handles a broken stream: returns the seconds before the next try, or raises after too
        many tries."""
        self._failures += 1
        if self._failures > self._retries:
            if isinstance(error, errors.ClientError):
                raise error
            why = "the stream was interrupted" if error is None else str(error) or repr(error)
            raise errors.ConnectionFailed(url, why, self._failures) from error
        asked_s = error.retry_after_s if isinstance(error, errors.ProblemError) else None
        return (asked_s or 0.0) + pause(self._failures)


_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
