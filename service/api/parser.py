"""Parses large JSON bodies: columns of numbers in a thread, in slices (`reading.json_numbers`);
anything else in a helper process (`parser_process`)."""

from __future__ import annotations

import asyncio
import pickle
from typing import TypeVar

from starlette.exceptions import HTTPException

from service.api.concurrency import FairLimiter
from service.api.helper_process import HelperProcess
from service.api.parser_process import Invalid, Malformed, ParseRequest, TooManyColumns
from service.api.reading.json_numbers import parse_numbers
from service.api.reading.table import Bounds
from service.errors import InvalidRequest, WorkerLost
from service.schemas.base import Request as Body

ENTRY = "service.api.parser_process:main"
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
        """The body as `schema`. Raises what `parsing.parse` does, and InvalidData for too many
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
            raise HTTPException(400, answer.detail)
        if isinstance(answer, Invalid):
            raise InvalidRequest.of(answer.complaints)
        assert isinstance(answer, schema)
        return answer

    async def close(self) -> None:
        """Ends the helper process."""
        await self._helper.close()
