"""The process that draws pictures and writes long tables: one function call at a time.


It is started on first use and ended after IDLE_S without calls, so that its imports cost nothing
until they are needed.
"""

from __future__ import annotations

import asyncio
from pickle import PickleBuffer
from typing import NamedTuple

from service.api.concurrency import FairLimiter
from service.api.helper_process import HelperProcess
from service.errors import Complaint, InvalidRequest, WorkerLost
from service.jobs.job import Stored

IDLE_S = 300.0
"""Seconds without calls after which the process is ended."""


class Call(NamedTuple):
    """A call: the name of a function in `render_worker.CALLS`, and its arguments."""

    name: str
    arguments: tuple[object, ...]


class Done(NamedTuple):
    """The call's result."""

    made: Stored

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled out of band, without a copy."""
        return Done, (PickleBuffer(self.made),)


class Refused(NamedTuple):
    """The request is invalid: an error's `type`, and what is wrong."""

    kind: str
    complaints: tuple[Complaint, ...]


class RenderFault(NamedTuple):
    """The function raised an unexpected exception, which the process has logged."""


class RenderProcess:
    """The render process, one call at a time, by turns of the callers."""

    def __init__(self, entry: str, longest_s: float) -> None:
        too_long = f"it would have taken longer than {longest_s:g} s; ask for less"
        self._helper = HelperProcess(entry, longest_s, too_long)
        self._turns = FairLimiter()
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """The process's id; 0 while there is none."""
        return self._helper.pid

    async def call(self, name: str, *arguments: object, caller: str = "") -> Stored:
        """The result of that function of `render_worker.CALLS`. Raises InvalidRequest as it does,
        and WorkerLost where the process died twice."""
        async with self._turns.turn(caller):
            self._cancel_idle_timer()
            answer = await self._helper.call(Call(name, arguments))
            self._idle_timer = asyncio.get_running_loop().call_later(IDLE_S, self._helper.drop)
        if isinstance(answer, Done):
            return answer.made
        if isinstance(answer, Refused):
            raise refusal(answer)
        if isinstance(answer, RenderFault):
            raise RuntimeError(f"the render process failed at '{name}'; its log has the exception")
        raise WorkerLost("The process that worked on the request died, and so did the next.")

    async def close(self) -> None:
        """Ends the process."""
        self._cancel_idle_timer()
        await self._helper.close()

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()


def refusal(refused: Refused) -> InvalidRequest:
    """The InvalidRequest that the process raised, with its `type`."""
    error = InvalidRequest.of(refused.complaints)
    error.type = refused.kind
    return error
