"""A place where jobs are done: a worker process, the job at work in it, and what befalls them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Protocol

from service.jobs.clock import Clock
from service.jobs.errand import Errand
from service.jobs.job import Failure
from service.jobs.messages import Cancel, Closing, Ended, Failed, Ready, Slice, Task
from service.jobs.observing import NOBODY, Observer
from service.jobs.store import JobStore
from service.jobs.worker_process import WorkerProcess
from service.schemas.names import Status
from service.settings import Settings

ATTEMPTS = 2
"""A job that has lost its worker is tried once more."""

_BACKOFF_S = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Pauses before a worker is started in place of one that died before it was ready."""

log = logging.getLogger("descent.executor")


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
    observer: Observer = NOBODY


class WorkPlace:
    """Keeps one worker at work, and replaces it when it dies."""

    def __init__(self, desk: Desk, entry: str, threads: int) -> None:
        self._desk, self._entry, self._threads = desk, entry, threads
        self._worker: WorkerProcess | None = None
        self._errand: Errand | None = None
        self._tending: asyncio.Task[None] | None = None
        self._giving: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()

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
        assert self._worker is not None, "only a place with a worker is free"
        self._giving = asyncio.create_task(self._give(errand, self._worker))

    async def cancel(self, errand: Errand) -> None:
        """Asks the worker to end it; kills the worker where it does not hear."""
        if errand.stop is None and self._errand is errand:
            errand.stop = "cancelled"
            if not errand.closing:
                self._kill_in(self._desk.settings.cancel_grace_s)
            if self._worker is not None:
                await self._worker.send(Cancel(errand.job.id))

    async def close(self) -> None:
        """Lets the worker go; a job that is still in it ends as cancelled, without an answer."""
        self._closing.set()
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
            self._welcome()
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
        for pause in chain(_BACKOFF_S, repeat(_BACKOFF_S[-1])):
            if await self._closes_within(pause):
                return None
            try:
                worker = await self._hire()
            except OSError:
                log.exception("no worker could be started")
                continue
            if worker is not None and self._closing.is_set():
                worker.dismiss()
                await worker.reap()
            elif worker is not None:
                self._desk.observer.worker_replaced()
                return worker
        return None

    async def _closes_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        return self._closing.is_set()

    def _welcome(self) -> None:
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
                log.exception(
                    "%s: what its worker said could not be kept",
                    errand.job.id,
                    extra={"job_id": errand.job.id},
                )
                worker.kill()
                return

    # --- the job's life ---------------------------------------------------------------------------

    async def _give(self, errand: Errand, worker: WorkerProcess) -> None:
        """Starts the job in the store and hands it to the worker."""
        try:
            task = await self._start(errand)
        except Exception:
            log.exception("%s could not be started", errand.job.id, extra={"job_id": errand.job.id})
            worker.kill()
        else:
            await worker.send(task)

    async def _start(self, errand: Errand) -> Task:
        desk, job = self._desk, errand.job
        now = desk.clock.monotonic()
        if errand.began is None:
            errand.began = now
        spent = now - errand.began
        errand.attempts += 1
        errand.closing = False
        begun = errand.attempts > 1 or errand.checkpoint is not None
        history = await desk.store.history(job.id) if begun else None
        await desk.store.start(job.id, desk.clock.now())
        longest = desk.settings.max_time_limit_s
        limit = min(job.request.time_limit_s or longest, longest)
        grace = desk.settings.cancel_grace_s
        self._kill_in(grace if errand.stop else max(limit - spent, 0.0) + grace)
        return Task(
            job_id=job.id,
            request=job.request,
            limit_s=limit,
            max_history_rows=desk.settings.rows_of_history(len(job.params)),
            device=desk.settings.device,
            queued_s=errand.began - errand.accepted,
            spent_s=spent,
            history=history,
            checkpoint=errand.checkpoint,
            stop_reason=errand.stop,
        )

    async def _hear(self, errand: Errand, message: object) -> None:
        store, job_id, now = self._desk.store, errand.job.id, self._desk.clock.now()
        if isinstance(message, Slice):
            await self._keep(errand, message)
        elif isinstance(message, Closing):
            errand.closing = True
            self._kill_in(self._desk.settings.result_grace_s)
        elif isinstance(message, Ended):
            await self._keep(errand, message.last)
            status: Status = "cancelled" if message.stop_reason == "cancelled" else "succeeded"
            await store.finish(
                job_id,
                status,
                now,
                stop_reason=message.stop_reason,
                result=message.fit,
                curve=message.curve,
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
            if not self._closing.is_set():
                log.warning("an idle worker died (exit code %s)", code)
            return
        log.warning(
            "%s lost its worker (exit code %s)",
            errand.job.id,
            code,
            extra={"job_id": errand.job.id},
        )
        if self._giving is not None:
            await self._giving
        again = errand.attempts < ATTEMPTS
        if errand.stop is not None:
            again, errand.salvaged = not errand.salvaged, True
        if again and not self._closing.is_set():
            await self._requeue(errand)
        else:
            await self._give_up(errand)

    async def _requeue(self, errand: Errand) -> None:
        """Back to the queue, at its head: this place's next worker takes it."""
        job = await self._desk.store.get(errand.job.id)
        if job.status == "running":
            await self._desk.store.requeue(job.id)

    async def _give_up(self, errand: Errand) -> None:
        """Ends a job that no worker will answer."""
        store, job_id, now = self._desk.store, errand.job.id, self._desk.clock.now()
        if errand.stop == "cancelled" or self._closing.is_set():
            await store.finish(job_id, "cancelled", now, stop_reason="cancelled")
        elif errand.stop == "time_limit":
            sentence = "The fit reached its time limit, and no answer could be had from it."
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
