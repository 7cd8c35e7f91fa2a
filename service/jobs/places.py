"""A place where jobs are done: a worker process, the job at work in it, and what befalls them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.jobs.clock import Clock
from service.jobs.job import Failure, Job
from service.jobs.messages import Cancel, Closing, Ended, Failed, Ready, Slice, Task
from service.jobs.store import JobStore
from service.jobs.worker_process import WorkerProcess
from service.schemas.names import Status, StopReason
from service.settings import Settings

ATTEMPTS = 2
"""A job that has lost its worker is tried once more."""

_BACKOFF_S = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Pauses before a worker is started in place of one that died before it was ready."""

log = logging.getLogger("descent.executor")


@dataclass(slots=True, eq=False)
class Errand:
    """An accepted job on its way to its end."""

    job: Job
    place: WorkPlace | None = None
    """Where it is at work; None while it is queued."""
    began: float | None = None
    """When its first attempt began, by the clock that never jumps."""
    attempts: int = 0
    checkpoint: bytes | None = None
    stop: StopReason | None = None
    """Why it was told to end, if it was."""
    salvaged: bool = False
    """Whether an answer from the checkpoint alone has been tried."""


class Freed(Protocol):
    """Hears that a place has a worker that waits for a job (`free`), or has it no more."""

    def __call__(self, place: WorkPlace, /, *, free: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What all places share."""

    settings: Settings
    store: JobStore
    clock: Clock
    ended: Callable[[Errand], None]
    freed: Freed


class WorkPlace:
    """Keeps one worker at work, and replaces it when it dies."""

    def __init__(self, desk: Desk, entry: str, threads: int) -> None:
        self._desk, self._entry, self._threads = desk, entry, threads
        self._worker: WorkerProcess | None = None
        self._errand: Errand | None = None
        self._tending: asyncio.Task[None] | None = None
        self._giving: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def pid(self) -> int:
        """Of the worker; 0 while there is none."""
        return self._worker.pid if self._worker else 0

    async def open(self) -> None:
        """Has its first worker ready; RuntimeError where it dies before."""
        worker = await self._hire()
        if worker is None:
            raise RuntimeError("a worker process died as it started; its log says why")
        self._tending = asyncio.create_task(self._tend(worker))

    def take(self, errand: Errand) -> None:
        """Gives the waiting worker this job."""
        errand.place, self._errand = self, errand
        self._giving = asyncio.create_task(self._give(errand))

    async def cancel(self, errand: Errand) -> None:
        """Asks the worker to end it; kills the worker where it does not hear."""
        if errand.stop is None and self._errand is errand:
            errand.stop = "cancelled"
            self._kill_in(self._desk.settings.cancel_grace_s)
            if self._worker is not None:
                await self._worker.send(Cancel(errand.job.id))

    async def close(self) -> None:
        """Lets the worker go; a job that is still in it ends as cancelled, without an answer."""
        self._closed = True
        if self._errand is not None and self._worker is not None:
            self._worker.kill()
        elif self._worker is not None:
            self._worker.dismiss()
        if self._tending is not None:
            await self._tending

    # --- the worker's life ------------------------------------------------------------------------

    async def _hire(self) -> WorkerProcess | None:
        worker = await WorkerProcess.spawn(self._entry, self._threads)
        try:
            if isinstance(await worker.receive(), Ready):
                return worker
        except EOFError:
            pass
        log.error("worker %d died as it started (exit code %s)", worker.pid, await worker.reap())
        return None

    async def _tend(self, worker: WorkerProcess | None) -> None:
        """From one worker to the next, until the place closes."""
        while worker is not None:
            self._worker = worker
            await self._welcome()
            await self._listen(worker)
            self._worker = None
            self._desk.freed(self, free=False)
            code = await worker.reap()
            await self._bereaved(code)
            worker = await self._replace()
        if self._errand is not None:
            await self._give_up(self._errand)

    async def _replace(self) -> WorkerProcess | None:
        """The next worker; None once the place has closed."""
        failures = 0
        while not self._closed:
            await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            try:
                worker = await self._hire()
            except OSError:
                log.exception("no worker could be started")
                worker = None
            if worker is not None:
                return worker
            failures += 1
        return None

    async def _welcome(self) -> None:
        """A new worker goes on with the job that its predecessor left, or waits for one."""
        if self._errand is None:
            self._desk.freed(self, free=True)
        else:
            self.take(self._errand)

    async def _listen(self, worker: WorkerProcess) -> None:
        """Hears the worker until it is gone."""
        while True:
            try:
                message = await worker.receive()
            except EOFError:
                return
            errand = self._errand
            if errand is None:
                continue
            try:
                await self._hear(errand, message)
            except Exception:
                log.exception("%s: what its worker said could not be kept", errand.job.id)
                worker.kill()
                return

    # --- the job's life ---------------------------------------------------------------------------

    async def _give(self, errand: Errand) -> None:
        """Starts the job in the store and hands it to the worker."""
        desk, job = self._desk, errand.job
        now = desk.clock.monotonic()
        if errand.began is None:
            errand.began = now
        spent = now - errand.began
        errand.attempts += 1
        again = errand.attempts > 1
        history = await desk.store.history(job.id) if again else None
        started = await desk.store.start(job.id, desk.clock.now())
        queued = (started.started_at or started.created_at) - started.created_at
        limit = min(job.request.time_limit_s or desk.settings.max_time_limit_s,
                    desk.settings.max_time_limit_s)  # fmt: skip
        grace = desk.settings.cancel_grace_s
        self._kill_in(grace if errand.stop else max(limit - spent, 0.0) + grace)
        if self._worker is not None:
            await self._worker.send(
                Task(
                    job_id=job.id,
                    request=job.request,
                    limit_s=limit,
                    max_history_rows=desk.settings.max_history_rows,
                    queued_s=max(queued.total_seconds(), 0.0),
                    spent_s=spent,
                    history=history,
                    checkpoint=errand.checkpoint,
                    stop_reason=errand.stop,
                )
            )

    async def _hear(self, errand: Errand, message: object) -> None:
        store, job_id, now = self._desk.store, errand.job.id, self._desk.clock.now()
        if isinstance(message, Slice):
            await self._keep(errand, message)
        elif isinstance(message, Closing):
            self._kill_in(self._desk.settings.result_grace_s)
        elif isinstance(message, Ended):
            await self._keep(errand, message.last)
            status: Status = "cancelled" if message.stop_reason == "cancelled" else "succeeded"
            await store.finish(
                job_id, status, now, stop_reason=message.stop_reason, result=message.fit
            )
            self._done(errand)
        elif isinstance(message, Failed):
            await store.finish(job_id, "failed", now, failure=message.failure)
            self._done(errand)

    async def _keep(self, errand: Errand, part: Slice) -> None:
        errand.checkpoint = part.checkpoint or errand.checkpoint
        await self._desk.store.append(errand.job.id, part.rows, part.progress, whole=part.whole)

    def _done(self, errand: Errand) -> None:
        """The job ended, and its worker waits for another."""
        self._forget(errand)
        self._desk.freed(self, free=True)

    def _forget(self, errand: Errand) -> None:
        self._kill_in(None)
        self._errand = None
        self._desk.ended(errand)

    async def _bereaved(self, code: int | None) -> None:
        """The worker died; its job is tried again, salvaged from its checkpoint, or given up."""
        self._kill_in(None)
        errand = self._errand
        if errand is None:
            if not self._closed:
                log.warning("an idle worker died (exit code %s)", code)
            return
        log.warning("%s lost its worker (exit code %s)", errand.job.id, code)
        if self._giving is not None:
            await self._giving
        if errand.stop is not None:
            again = errand.checkpoint is not None and not errand.salvaged
            errand.salvaged = True
        else:
            again = errand.attempts < ATTEMPTS
        if again and not self._closed:
            await self._desk.store.requeue(errand.job.id)
        else:
            await self._give_up(errand)

    async def _give_up(self, errand: Errand) -> None:
        """Ends a job that no worker will answer."""
        store, job_id, now = self._desk.store, errand.job.id, self._desk.clock.now()
        if errand.stop == "cancelled" or self._closed:
            await store.finish(job_id, "cancelled", now, stop_reason="cancelled")
        elif errand.stop == "time_limit":
            sentence = "The fit reached its time limit before there was anything to answer."
            failure = Failure("job-failed", sentence)
            await store.finish(job_id, "failed", now, failure=failure)
        else:
            sentence = "The process that ran the fit died, and so did the one that tried it again."
            await store.finish(job_id, "failed", now, failure=Failure("worker-lost", sentence))
        self._forget(errand)

    def _kill_in(self, seconds: float | None) -> None:
        """Sets the one alarm, in place of any other; None takes it away."""
        if self._alarm is not None:
            self._alarm.cancel()
        loop = asyncio.get_running_loop()
        self._alarm = None if seconds is None else loop.call_later(seconds, self._overdue)

    def _overdue(self) -> None:
        if self._errand is not None and self._worker is not None:
            self._errand.stop = self._errand.stop or "time_limit"
            self._worker.kill()
