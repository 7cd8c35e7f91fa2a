"""A process apart that is asked one thing at a time; another takes its place when it is gone."""

from __future__ import annotations

import asyncio

from service.errors import BudgetExceeded, WorkerLost
from service.jobs.worker_process import WorkerProcess, processor_s

_NO_PROCESSOR = "The process that worked on the request was stopped, or had no processor to do it."


class HelperProcess:
    """Started when it is first needed. What is cancelled, takes too long or kills the process costs
    the next one the start of another, a fraction of a second. Whoever asks takes turns."""

    def __init__(self, entry: str, longest_s: float, too_long: str) -> None:
        self._entry, self._longest_s, self._too_long = entry, longest_s, too_long
        self._process: WorkerProcess | None = None
        self._leaving: set[asyncio.Task[int | None]] = set()

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._process.pid if self._process else 0

    async def ask(self, asked: object) -> object | None:
        """Its answer, at the second try where it died at the first; None where it did both times.
        Raises BudgetExceeded where it takes too long."""
        return await self._ask(asked) or await self._ask(asked)

    async def close(self) -> None:
        """Leaves no process."""
        self.drop()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def drop(self) -> None:
        """Lets the process go, whatever it is at."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            leaving = asyncio.create_task(process.reap())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def _ask(self, asked: object) -> object | None:
        worked_s = 0.0
        try:
            async with asyncio.timeout(self._longest_s):
                process = await self._ready()
                worked_s = processor_s(process.pid)
                await process.send(asked)
                return await process.receive()
        except TimeoutError:
            worked_s = processor_s(self.pid) - worked_s
            self.drop()
            if worked_s < self._longest_s / 2:
                raise WorkerLost(_NO_PROCESSOR) from None
            raise BudgetExceeded(self._too_long) from None
        except (EOFError, OSError):
            self.drop()
            return None
        except BaseException:
            self.drop()
            raise

    async def _ready(self) -> WorkerProcess:
        if self._process is None:
            self._process = await WorkerProcess.spawn(self._entry, 1)
            await self._process.receive()
        return self._process
