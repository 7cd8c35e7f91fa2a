"""What would hold up everyone is done in a process apart: one function of it at a time.

Such a process is started when it is first needed, and goes once nobody has needed it for a while:
what it imports costs the service nothing until then.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from service.errors import BudgetExceeded, Complaint, InvalidRequest, WorkerLost
from service.jobs.worker_process import WorkerProcess

IDLE_S = 300.0
"""Seconds after which a process that nobody needs goes."""


class Ask(NamedTuple):
    """Call this function of the process's table, with these arguments."""

    name: str
    arguments: tuple[object, ...]


class Done(NamedTuple):
    """What came of it."""

    made: bytes


class Refused(NamedTuple):
    """It cannot be done as asked: a type of `service.errors`, and what is wrong."""

    kind: str
    complaints: tuple[Complaint, ...]


class Broke(NamedTuple):
    """It should have been done, and was not; the process's log says why."""


class Aside:
    """One process, and one call at a time. A call that is cancelled, that takes too long or that
    kills its process costs the next one the start of another."""

    def __init__(self, entry: str, longest_s: float) -> None:
        self._entry, self._longest_s = entry, longest_s
        self._turn = asyncio.Lock()
        self._process: WorkerProcess | None = None
        self._leaving: set[asyncio.Task[int | None]] = set()
        self._bedtime: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._process.pid if self._process else 0

    async def call(self, name: str, *arguments: object) -> bytes:
        """What that function makes of the arguments; raises what it refuses them with."""
        asked = Ask(name, arguments)
        async with self._turn:
            self._stay_up()
            answer = await self._ask(asked) or await self._ask(asked)
            self._bedtime = asyncio.get_running_loop().call_later(IDLE_S, self._drop)
        if isinstance(answer, Done):
            return answer.made
        if isinstance(answer, Refused):
            raise refusal(answer)
        if isinstance(answer, Broke):
            raise RuntimeError(f"the process apart could not do '{name}'; its log says why")
        raise WorkerLost("The process that worked on the request died, and so did the next.")

    async def close(self) -> None:
        """Leaves no process."""
        self._stay_up()
        self._drop()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _stay_up(self) -> None:
        if self._bedtime is not None:
            self._bedtime.cancel()

    async def _ask(self, asked: Ask) -> object | None:
        """The process's answer; None where it died."""
        try:
            async with asyncio.timeout(self._longest_s):
                process = await self._ready()
                await process.send(asked)
                return await process.receive()
        except EOFError:
            self._drop()
            return None
        except TimeoutError:
            self._drop()
            raise BudgetExceeded(
                f"it would have taken longer than {self._longest_s:g} s; ask for less"
            ) from None
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


def refusal(refused: Refused) -> InvalidRequest:
    """The error that the process raised, as its type tells it."""
    error = InvalidRequest.of(refused.complaints)
    error.type = refused.kind
    return error
