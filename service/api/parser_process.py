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


class Malformed(NamedTuple):
    """The body is no JSON."""

    detail: str


class Slips(NamedTuple):
    """The body is JSON, but not of that schema."""

    complaints: tuple[Complaint, ...]


Answer = Body | Malformed | Slips


def main(sock: socket.socket, threads: int) -> None:
    """Parses for the parent at the other end of `sock`, until that is gone."""
    settle_in()
    try:
        frames.send(sock, Ready())
        while True:
            asked = frames.receive(sock)
            assert isinstance(asked, Ask)
            frames.send(sock, _answer(bytes(asked.body), asked.schema))
            del asked
    except (EOFError, OSError):
        os._exit(0)


def _answer(body: bytes, schema: type[Body]) -> Answer:
    try:
        return parse(body, schema)
    except HTTPException as error:
        return Malformed(error.detail)
    except InvalidRequest as error:
        return Slips(error.complaints)
