"""The helper process that parses large bodies: bytes in, the request with its columns out.


Pydantic holds the GIL while it parses, so a thread would block the event loop.
"""

from __future__ import annotations

import os
import pickle
import socket
from typing import NamedTuple

from starlette.exceptions import HTTPException

from service.api.parsing import parse
from service.api.reading.column_count import excess_columns
from service.errors import Complaint, InvalidRequest
from service.jobs import frames
from service.jobs.messages import Ready
from service.jobs.worker_loop import set_up_process
from service.schemas.base import Request as Body


class ParseRequest(NamedTuple):
    """A body to parse."""

    body: pickle.PickleBuffer
    """Its bytes; a memoryview at the receiver."""
    schema: type[Body]
    max_columns: int


class Malformed(NamedTuple):
    """The body is not JSON."""

    detail: str


class Invalid(NamedTuple):
    """The body is JSON, but does not validate."""

    complaints: tuple[Complaint, ...]


class TooManyColumns(NamedTuple):
    """The data have more columns than allowed; they are not sent back."""

    found: int


Answer = Body | Malformed | Invalid | TooManyColumns


def main(sock: socket.socket, threads: int) -> None:
    """Serves the parent at the other end of `sock` until it closes."""
    set_up_process()
    try:
        frames.send(sock, Ready())
        while True:
            request = frames.receive(sock)
            assert isinstance(request, ParseRequest)
            frames.send(sock, _answer(bytes(request.body), request.schema, request.max_columns))
            del request
    except (EOFError, OSError):
        os._exit(0)


def _answer(body: bytes, schema: type[Body], max_columns: int) -> Answer:
    if count := excess_columns(body, max_columns):
        return TooManyColumns(count)
    try:
        request = parse(body, schema)
    except HTTPException as error:
        return Malformed(error.detail)
    except InvalidRequest as error:
        return Invalid(error.complaints)
    count = len(getattr(request, "data", None) or ())
    return TooManyColumns(count) if count > max_columns else request
