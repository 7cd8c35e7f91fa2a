"""Parses large JSON bodies: columns of numbers in a thread, in slices (`json_numbers`); anything
else in a helper process, since pydantic holds the GIL while it parses.

`main` is the entry of that process: bytes in, the request with its columns out.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
from typing import NamedTuple, TypeVar

from service.api.bodies.json import excess_columns, parse
from service.api.bodies.json_numbers import parse_numbers
from service.api.bodies.table import Bounds
from service.api.concurrency import FairLimiter
from service.api.helper_process import HelperProcess
from service.api.http_errors import MalformedJson
from service.errors import FieldError, InvalidRequest, WorkerLost
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

    errors: tuple[FieldError, ...]


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
    except MalformedJson as error:
        return Malformed(str(error))
    except InvalidRequest as error:
        return Invalid(error.errors)
    count = len(getattr(request, "data", None) or ())
    return TooManyColumns(count) if count > max_columns else request


ENTRY = "service.api.bodies.parser:main"
LONGEST_S = 60.0
"""The most seconds for one body."""
_HEAVY_BYTES = 8 * 2**20
"""Bytes of a body after which the process is ended: it would not return all its memory."""

BodyT = TypeVar("BodyT", bound=Body)


class Parser:
    """Parses one body at a time, by turns of the callers."""

    def __init__(self, bounds: Bounds, entry: str = ENTRY, longest_s: float = LONGEST_S) -> None:
        self._bounds = bounds
        self._helper = HelperProcess(
            entry, longest_s, f"parsing the body took longer than {longest_s:g} s"
        )
        self._turns = FairLimiter()

    @property
    def pid(self) -> int:
        """The helper process's id; 0 while there is none."""
        return self._helper.pid

    async def parse(self, body: bytes | bytearray, schema: type[BodyT], caller: str = "") -> BodyT:
        """The body as `schema`. Raises what `json.parse` does, and InvalidData for too many
        columns."""
        async with self._turns.turn(caller):
            parsed = await asyncio.to_thread(parse_numbers, body, schema)
        return parsed or await self.parse_in_process(body, schema, caller)

    async def parse_in_process(
        self, body: bytes | bytearray, schema: type[BodyT], caller: str = ""
    ) -> BodyT:
        """The same, always in the helper process. Raises WorkerLost where it dies twice."""
        request = ParseRequest(pickle.PickleBuffer(body), schema, self._bounds.columns)
        async with self._turns.turn(caller):
            answer = await self._helper.call(request)
            if len(body) > _HEAVY_BYTES:
                self._helper.drop()
        if answer is None:
            raise WorkerLost("The process that parsed the body died, and so did the next.")
        if isinstance(answer, TooManyColumns):
            self._bounds.check_columns(answer.found)
        if isinstance(answer, Malformed):
            raise MalformedJson(answer.detail)
        if isinstance(answer, Invalid):
            raise InvalidRequest.of(answer.errors)
        assert isinstance(answer, schema)
        return answer

    async def close(self) -> None:
        """Ends the helper process."""
        await self._helper.close()
