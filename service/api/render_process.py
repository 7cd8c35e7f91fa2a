"""What would hold up everyone is done in a process apart: one function of it at a time.

Such a process is started when it is first needed, and goes once nobody has needed it for a while:
what it imports costs the service nothing until then.
"""

from __future__ import annotations

import asyncio
from pickle import PickleBuffer
from typing import NamedTuple

from service.api.fair_limiter import FairLimiter
from service.api.helper_process import HelperProcess
from service.errors import Complaint, InvalidRequest, WorkerLost
from service.jobs.job import Stored

IDLE_S = 300.0
"""Seconds after which a process that nobody needs goes."""


class Ask(NamedTuple):
    """Call this function of the process's table, with these arguments."""

    name: str
    arguments: tuple[object, ...]


class Done(NamedTuple):
    """What came of it."""

    made: Stored

    def __reduce__(self) -> tuple[object, ...]:
        """What is long travels as a buffer."""
        return Done, (PickleBuffer(self.made),)


class Refused(NamedTuple):
    """It cannot be done as asked: a type of `service.errors`, and what is wrong."""

    kind: str
    complaints: tuple[Complaint, ...]


class RenderFault(NamedTuple):
    """It should have been done, and was not; the process's log says why."""


class RenderProcess:
    """One such process, and one call at a time."""

    def __init__(self, entry: str, longest_s: float) -> None:
        too_long = f"it would have taken longer than {longest_s:g} s; ask for less"
        self._apart = HelperProcess(entry, longest_s, too_long)
        self._turns = FairLimiter()
        self._bedtime: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._apart.pid

    async def call(self, name: str, *arguments: object, caller: str = "") -> Stored:
        """What that function makes of the arguments; raises what it refuses them with."""
        async with self._turns.turn(caller):
            self._stay_up()
            answer = await self._apart.ask(Ask(name, arguments))
            self._bedtime = asyncio.get_running_loop().call_later(IDLE_S, self._apart.drop)
        if isinstance(answer, Done):
            return answer.made
        if isinstance(answer, Refused):
            raise refusal(answer)
        if isinstance(answer, RenderFault):
            raise RuntimeError(f"the process apart could not do '{name}'; its log says why")
        raise WorkerLost("The process that worked on the request died, and so did the next.")

    async def close(self) -> None:
        """Leaves no process."""
        self._stay_up()
        await self._apart.close()

    def _stay_up(self) -> None:
        if self._bedtime is not None:
            self._bedtime.cancel()


def refusal(refused: Refused) -> InvalidRequest:
    """The error that the process raised, as its type tells it."""
    error = InvalidRequest.of(refused.complaints)
    error.type = refused.kind
    return error
