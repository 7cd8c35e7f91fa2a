"""Large bodies of JSON: columns of numbers are parsed here, in slices (`reading.json_numbers`), and
what is not that in a process apart (`parser_process`)."""

from __future__ import annotations

import asyncio
import pickle
from typing import TypeVar

from starlette.exceptions import HTTPException

from service.api.parser_process import Ask, Malformed, Slips, TooManyColumns
from service.api.reading.json_numbers import parse_numbers
from service.api.reading.table import Bounds
from service.errors import BudgetExceeded, InvalidRequest, WorkerLost
from service.jobs.worker_process import WorkerProcess
from service.schemas.base import Request as Body

ENTRY = "service.api.parser_process:main"
LONGEST_S = 60.0
"""Seconds that one body may take."""
_HEAVY_BYTES = 8 * 2**20
"""A process that has parsed more than this is not kept: it does not give all memory back."""

BodyT = TypeVar("BodyT", bound=Body)


class Parser:
    """One body at a time: two would only wait for each other. The process starts when it is first
    needed.

    A parse that is cancelled, that takes too long or that kills its process costs the next one
    the start of another process, a fraction of a second.
    """

    def __init__(self, bounds: Bounds, entry: str = ENTRY) -> None:
        self._bounds = bounds
        self._entry = entry
        self._turn = asyncio.Lock()
        self._process: WorkerProcess | None = None
        self._leaving: set[asyncio.Task[int | None]] = set()

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._process.pid if self._process else 0

    async def parse(self, body: bytes | bytearray, schema: type[BodyT]) -> BodyT:
        """The body as `schema`; raises what `parsing.parse` does, and InvalidData for too many
        columns."""
        async with self._turn:
            parsed = await asyncio.to_thread(parse_numbers, body, schema)
        return parsed or await self.parse_apart(body, schema)

    async def parse_apart(self, body: bytes | bytearray, schema: type[BodyT]) -> BodyT:
        """The same, by the process."""
        asked = Ask(pickle.PickleBuffer(body), schema, self._bounds.columns)
        async with self._turn:
            answer = await self._ask(asked) or await self._ask(asked)
            if len(body) > _HEAVY_BYTES:
                self._drop()
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
        self._drop()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _ask(self, asked: Ask) -> object | None:
        """The process's answer; None where it died."""
        try:
            async with asyncio.timeout(LONGEST_S):
                process = await self._ready()
                await process.send(asked)
                return await process.receive()
        except TimeoutError:
            self._drop()
            raise BudgetExceeded(f"parsing the body took longer than {LONGEST_S:g} s") from None
        except (EOFError, OSError):
            self._drop()
            return None
        except BaseException:
            self._drop()
            raise

    async def _ready(self) -> WorkerProcess:
        if self._process is None:
            self._process = await WorkerProcess.spawn(self._entry, 1)
            await self._process.receive()
        return self._process

    def _drop(self) -> None:
        """Lets the process go, whatever it is at."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            leaving = asyncio.create_task(process.reap())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
