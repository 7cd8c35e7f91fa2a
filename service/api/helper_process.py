"""A helper process that serves one request at a time, and is restarted when it has ended."""

from __future__ import annotations

import asyncio

from service.errors import BudgetExceeded, WorkerLost
from service.jobs.worker_process import WorkerProcess, processor_s

_NO_PROCESSOR = "The process that worked on the request was stopped, or had no processor to do it."


class HelperProcess:
    """Started on first use. A call that is cancelled, times out or kills the process ends it, and
    the next call starts another, in a fraction of a second. Callers must not call concurrently."""

    def __init__(self, entry: str, longest_s: float, too_long: str) -> None:
        self._entry, self._longest_s, self._too_long = entry, longest_s, too_long
        self._process: WorkerProcess | None = None
        self._reaping: set[asyncio.Task[int | None]] = set()

    @property
    def pid(self) -> int:
        """The process's id; 0 while there is none."""
        return self._process.pid if self._process else 0

    async def call(self, request: object) -> object | None:
        """The process's answer, with one retry where it died; None where it died twice. Raises
        BudgetExceeded where it takes too long, WorkerLost where it got no processor time."""
        return await self._call(request) or await self._call(request)

    async def close(self) -> None:
        """Ends the process and waits for it."""
        self.drop()
        await asyncio.gather(*self._reaping, return_exceptions=True)

    def drop(self) -> None:
        """Kills the process, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            reaping = asyncio.create_task(process.reap())
            self._reaping.add(reaping)
            reaping.add_done_callback(self._reaping.discard)

    async def _call(self, request: object) -> object | None:
        used_s = 0.0
        try:
            async with asyncio.timeout(self._longest_s):
                process = await self._running()
                used_s = processor_s(process.pid)
                await process.send(request)
                return await process.receive()
        except TimeoutError:
            used_s = processor_s(self.pid) - used_s
            self.drop()
            if used_s < self._longest_s / 2:
                raise WorkerLost(_NO_PROCESSOR) from None
            raise BudgetExceeded(self._too_long) from None
        except (EOFError, OSError):
            self.drop()
            return None
        except BaseException:
            self.drop()
            raise

    async def _running(self) -> WorkerProcess:
        if self._process is None:
            self._process = await WorkerProcess.spawn(self._entry, 1)
            await self._process.receive()
        return self._process
