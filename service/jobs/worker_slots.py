"""Worker slots: a worker process, the job it runs, and recovery when the process dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import chain, repeat

from service.errors import UnknownJob
from service.jobs.job import Failure, IllegalTransition, StaleAttempt, UnreadableRequest
from service.jobs.messages import Cancel, Closing, Ended, Failed, Ready, Slice, Task
from service.jobs.worker_pool import ActiveJob, WorkerPool
from service.jobs.worker_process import WorkerProcess
from service.schemas.names import Status

ATTEMPTS = 2
"""Attempts of a job: one retry after its worker died."""

_BACKOFF_S = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Pauses before a worker is started in place of one that died before it was ready."""

LOST = Failure(
    "worker-lost", "The process that ran the fit died, and so did the one that retried it."
)
_TIMED_OUT = Failure(
    "job-failed", "The fit reached its time limit, and no answer could be computed from it."
)

_NOT_OURS = (UnknownJob, IllegalTransition, StaleAttempt)
"""Raised by the store where another process has taken the job over, ended or deleted it."""

log = logging.getLogger("descent.executor")


class WorkerSlot:
    """Keeps one worker process, and replaces it when it dies."""

    def __init__(self, pool: WorkerPool, entry: str, threads: int) -> None:
        self._pool, self._entry, self._threads = pool, entry, threads
        self._worker: WorkerProcess | None = None
        self._active: ActiveJob | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._assignment: asyncio.Task[None] | None = None
        self._kill_timer: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()

    @property
    def pid(self) -> int:
        """The worker's process id; 0 while there is none."""
        return self._worker.pid if self._worker else 0

    @property
    def busy(self) -> bool:
        """Whether it has a job."""
        return self._active is not None

    async def open(self) -> None:
        """Starts the first worker; raises RuntimeError if it dies before it is ready."""
        worker = await self._start_worker()
        if worker is None:
            raise RuntimeError("a worker process died as it started; its log says why")
        self._supervision = asyncio.create_task(self._supervise(worker))

    def take(self, active: ActiveJob) -> None:
        """Runs this job in the idle worker, or in the next one where that has just died."""
        active.slot, self._active = self, active
        if self._worker is None:
            return
        self._assignment = asyncio.create_task(self._assign(active, self._worker))

    async def cancel(self, active: ActiveJob) -> None:
        """Asks the worker to cancel it; kills the worker after `cancel_grace_s`."""
        if active.stop is None and self._active is active:
            active.stop = "cancelled"
            if not active.closing:
                self._kill_in(self._pool.settings.cancel_grace_s)
            if self._worker is not None:
                await self._worker.send(Cancel(active.job.id))

    async def close(self) -> None:
        """Stops the worker; a job that still runs in it ends as cancelled, without a result."""
        self._closing.set()
        if self._active is not None and self._worker is not None:
            self._worker.kill()
        elif self._worker is not None:
            self._worker.shut_down()
        if self._supervision is not None:
            await self._supervision

    async def abandon(self) -> ActiveJob | None:
        """Stops the worker, and returns the job that it ran, for another process to go on with."""
        self._closing.set()
        self._kill_in(None)
        active, self._active = self._active, None
        if self._worker is not None:
            self._worker.kill()
        if self._supervision is not None:
            await self._supervision
        return active

    # --- worker lifecycle -------------------------------------------------------------------------

    async def _start_worker(self) -> WorkerProcess | None:
        worker = await WorkerProcess.spawn(self._entry, self._threads)
        try:
            if isinstance(await worker.receive(), Ready):
                return worker
        except EOFError:
            pass
        log.error("worker %d died as it started (exit code %s)", worker.pid, await worker.reap())
        return None

    async def _supervise(self, worker: WorkerProcess | None) -> None:
        """Runs one worker after another until the slot closes."""
        while worker is not None:
            self._worker = worker
            self._worker_ready()
            await self._receive(worker)
            self._worker = None
            self._pool.freed(self, free=False)
            code = await worker.reap()
            await self._worker_lost(code)
            worker = await self._replace()
        if self._active is not None:
            await self._store_loss(self._active, self._fail)

    async def _replace(self) -> WorkerProcess | None:
        """The next worker; None once the slot is closed."""
        for pause in chain(_BACKOFF_S, repeat(_BACKOFF_S[-1])):
            if await self._closes_within(pause):
                return None
            try:
                worker = await self._start_worker()
            except OSError:
                log.exception("no worker could be started")
                continue
            if worker is not None and self._closing.is_set():
                worker.shut_down()
                await worker.reap()
            elif worker is not None:
                self._pool.observer.worker_replaced()
                return worker
        return None

    async def _closes_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        return self._closing.is_set()

    def _worker_ready(self) -> None:
        """Resumes the job of the worker that died, or reports the slot as free."""
        if self._active is None:
            self._pool.freed(self, free=True)
        else:
            self.take(self._active)

    async def _receive(self, worker: WorkerProcess) -> None:
        """Handles messages until the worker exits."""
        while True:
            try:
                message = await worker.receive()
            except EOFError:
                return
            active = self._active
            if active is None:
                continue
            try:
                await self._handle(active, message)
            except _NOT_OURS as error:
                self._lost_to_another(active, error)
                worker.kill()
                return
            except Exception:
                log.exception(
                    "%s: a message of its worker could not be stored",
                    active.job.id,
                    extra={"job_id": active.job.id},
                )
                worker.kill()
                return

    # --- job lifecycle ----------------------------------------------------------------------------

    async def _assign(self, active: ActiveJob, worker: WorkerProcess) -> None:
        """Marks the job as started in the store and sends it to the worker."""
        try:
            try:
                task = await self._start(active)
            except UnreadableRequest as error:
                log.error("%s: %s", active.job.id, error.__cause__ or error)
                await self._handle(active, Failed(Failure("job-failed", str(error))))
                return
        except Exception:
            log.exception("%s could not be started", active.job.id, extra={"job_id": active.job.id})
            worker.kill()
        else:
            await worker.send(task)

    async def _start(self, active: ActiveJob) -> Task:
        pool, now = self._pool, self._pool.clock.monotonic()
        if active.began is None:
            active.began = now
        spent = active.spent_s + now - active.began
        active.closing = False
        job, history = active.job, None
        has_rows = job.status == "queued" or active.checkpoint is not None or job.attempts > 1
        if job.status == "queued":  # first, so that an attempt is counted whatever is read next
            active.job = job = await pool.store.start(job.id, pool.clock.now())
        request = await pool.store.request(job.id)
        if has_rows:
            history = await pool.store.history(job.id)
        longest = pool.settings.max_time_limit_s
        limit = min(request.time_limit_s or longest, longest)
        grace = pool.settings.cancel_grace_s
        self._kill_in(grace if active.stop else max(limit - spent, 0.0) + grace)
        return Task(
            job_id=job.id,
            request=request,
            limit_s=limit,
            max_history_rows=pool.settings.rows_of_history(len(job.params)),
            device=pool.settings.device,
            queued_s=active.waited_s,
            spent_s=spent,
            history=history,
            checkpoint=active.checkpoint,
            stop_reason=active.stop,
        )

    async def _handle(self, active: ActiveJob, message: object) -> None:
        store, job_id, now = self._pool.store, active.job.id, self._pool.clock.now()
        if isinstance(message, Slice):
            await self._store_slice(active, message)
        elif isinstance(message, Closing):
            active.closing = True
            self._kill_in(self._pool.settings.result_grace_s)
        elif isinstance(message, Ended):
            await self._store_slice(active, message.last)
            status: Status = "cancelled" if message.stop_reason == "cancelled" else "succeeded"
            await store.finish(
                job_id,
                status,
                now,
                stop_reason=message.stop_reason,
                result=message.fit,
                curve=message.curve,
                attempt=active.job.attempts,
            )
            self._finished(active)
        elif isinstance(message, Failed):
            attempt = active.job.attempts
            await store.finish(job_id, "failed", now, failure=message.failure, attempt=attempt)
            self._finished(active)

    async def _store_slice(self, active: ActiveJob, part: Slice) -> None:
        job = await self._pool.store.append(
            active.job.id,
            part.rows,
            part.progress,
            whole=part.whole,
            attempt=active.job.attempts,
            checkpoint=part.checkpoint,
            spent_s=active.spent_s + self._pool.clock.monotonic() - (active.began or 0.0),
        )
        # Only now: a retry continues the history that is stored.
        active.checkpoint = part.checkpoint or active.checkpoint
        if job.cancelling:
            await self.cancel(active)

    def _finished(self, active: ActiveJob) -> None:
        """The job ended, and its worker is idle."""
        self._release(active)
        self._pool.freed(self, free=True)

    def _release(self, active: ActiveJob) -> None:
        self._kill_in(None)
        self._active = None
        self._pool.ended(active)

    async def _worker_lost(self, code: int | None) -> None:
        """The worker died: its job is retried, answered from its checkpoint, or failed."""
        self._kill_in(None)
        active = self._active
        if active is None:
            if not self._closing.is_set():
                log.warning("an idle worker died (exit code %s)", code)
            return
        extra = {"job_id": active.job.id}
        log.warning("%s lost its worker (exit code %s)", active.job.id, code, extra=extra)
        if self._assignment is not None:
            await self._assignment
        again = active.job.attempts < ATTEMPTS
        if active.stop is not None:
            again, active.salvaged = not active.salvaged, True
        again = again and not self._closing.is_set()
        await self._store_loss(active, self._requeue if again else self._fail)

    async def _store_loss(
        self, active: ActiveJob, change: Callable[[ActiveJob], Awaitable[None]]
    ) -> None:
        """Stores what becomes of the job of a lost worker, in as many attempts as the store needs:
        else the job would run for ever."""
        for pause in chain(_BACKOFF_S[1:], repeat(_BACKOFF_S[-1])):
            try:
                await change(active)
                return
            except _NOT_OURS as error:
                self._lost_to_another(active, error)
                return
            except Exception:
                extra = {"job_id": active.job.id}
                log.exception("%s: its loss could not be stored", active.job.id, extra=extra)
            if await self._closes_within(pause):
                self._release(active)
                return

    def _lost_to_another(self, active: ActiveJob, error: Exception) -> None:
        log.warning("%s is left to the process that has it: %s", active.job.id, error)
        self._release(active)

    async def _requeue(self, active: ActiveJob) -> None:
        """Marks the job as queued again; the slot's next worker runs it."""
        job = await self._pool.store.get(active.job.id)
        if job.status == "running":
            job = await self._pool.store.requeue(job.id, attempt=active.job.attempts)
        active.job = job

    async def _fail(self, active: ActiveJob) -> None:
        """Ends a job that no worker will finish."""
        store, job_id, now = self._pool.store, active.job.id, self._pool.clock.now()
        attempt = active.job.attempts
        if active.stop == "cancelled" or self._closing.is_set():
            await store.finish(job_id, "cancelled", now, stop_reason="cancelled", attempt=attempt)
        else:
            failure = _TIMED_OUT if active.stop == "time_limit" else LOST
            await store.finish(job_id, "failed", now, failure=failure, attempt=attempt)
        self._release(active)

    def _kill_in(self, seconds: float | None) -> None:
        """Sets the kill timer, replacing any earlier one; None clears it."""
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        loop = asyncio.get_running_loop()
        self._kill_timer = None if seconds is None else loop.call_later(seconds, self._time_out)

    def _time_out(self) -> None:
        if self._active is not None and self._worker is not None:
            self._active.stop = self._active.stop or "time_limit"
            self._worker.kill()
