"""The process that parses large bodies: bytes in, the request with its columns out.

Pydantic holds the interpreter's lock while it parses, so that a thread would hold up everyone.
"""

from __future__ import annotations

import os
import pickle
import socket
from typing import NamedTuple

from starlette.exceptions import HTTPException

from service.api.parsing import parse
from service.api.reading.column_count import surely_columns
from service.errors import Complaint, InvalidRequest
from service.jobs import frames
from service.jobs.messages import Ready
from service.jobs.worker_loop import settle_in
from service.schemas.base import Request as Body


class Ask(NamedTuple):
    """Parse this."""

    body: pickle.PickleBuffer
    """Its bytes; a memoryview where it arrives."""
    schema: type[Body]
    max_columns: int


class Malformed(NamedTuple):
    """The body is no JSON."""

    detail: str


class Slips(NamedTuple):
    """The body is JSON, but not of that schema."""

    complaints: tuple[Complaint, ...]


class TooManyColumns(NamedTuple):
    """The body's data have more columns than they may: they are not carried over."""

    found: int


Answer = Body | Malformed | Slips | TooManyColumns


def main(sock: socket.socket, threads: int) -> None:
    """Parses for the parent at the other end of `sock`, until that is gone."""
    settle_in()
    try:
        frames.send(sock, Ready())
        while True:
            asked = frames.receive(sock)
            assert isinstance(asked, Ask)
            frames.send(sock, _answer(bytes(asked.body), asked.schema, asked.max_columns))
            del asked
    except (EOFError, OSError):
        os._exit(0)


def _answer(body: bytes, schema: type[Body], max_columns: int) -> Answer:
    if count := surely_columns(body, max_columns):
        return TooManyColumns(count)
    try:
        asked = parse(body, schema)
    except HTTPException as error:
        return Malformed(error.detail)
    except InvalidRequest as error:
        return Slips(error.complaints)
    count = len(getattr(asked, "data", None) or ())
    return TooManyColumns(count) if count > max_columns else asked
