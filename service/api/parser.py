"""Large bodies of JSON: columns of numbers are parsed here, in slices (`reading.json_numbers`), and
what is not that in a process apart (`parser_process`)."""

from __future__ import annotations

import asyncio
import pickle
from typing import TypeVar

from starlette.exceptions import HTTPException

from service.api.fair_limiter import FairLimiter
from service.api.helper_process import HelperProcess
from service.api.parser_process import Ask, Malformed, Slips, TooManyColumns
from service.api.reading.json_numbers import parse_numbers
from service.api.reading.table import Bounds
from service.errors import InvalidRequest, WorkerLost
from service.schemas.base import Request as Body

ENTRY = "service.api.parser_process:main"
LONGEST_S = 60.0
"""Seconds that one body may take."""
_HEAVY_BYTES = 8 * 2**20
"""A process that has parsed more than this is not kept: it does not give all memory back."""

BodyT = TypeVar("BodyT", bound=Body)


class Parser:
    """One body at a time: two would only wait for each other."""

    def __init__(self, bounds: Bounds, entry: str = ENTRY, longest_s: float = LONGEST_S) -> None:
        self._bounds = bounds
        self._apart = HelperProcess(
            entry, longest_s, f"parsing the body took longer than {longest_s:g} s"
        )
        self._turns = FairLimiter()

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._apart.pid

    async def parse(self, body: bytes | bytearray, schema: type[BodyT], caller: str = "") -> BodyT:
        """The body as `schema`; raises what `parsing.parse` does, and InvalidData for too many
        columns."""
        async with self._turns.turn(caller):
            parsed = await asyncio.to_thread(parse_numbers, body, schema)
        return parsed or await self.parse_apart(body, schema, caller)

    async def parse_apart(
        self, body: bytes | bytearray, schema: type[BodyT], caller: str = ""
    ) -> BodyT:
        """The same, by the process."""
        asked = Ask(pickle.PickleBuffer(body), schema, self._bounds.columns)
        async with self._turns.turn(caller):
            answer = await self._apart.ask(asked)
            if len(body) > _HEAVY_BYTES:
                self._apart.drop()
        if answer is None:
            raise WorkerLost("The process that parsed the body died, and so did the next.")
        if isinstance(answer, TooManyColumns):
            self._bounds.check_columns(answer.found)
        if isinstance(answer, Malformed):
            raise HTTPException(400, answer.detail)
        if isinstance(answer, Slips):
            raise InvalidRequest.of(answer.complaints)
        assert isinstance(answer, schema)
        return answer

    async def close(self) -> None:
        """Leaves no process."""
        await self._apart.close()
