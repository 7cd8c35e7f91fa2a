"""The service that the API calls: jobs from submission to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from service.errors import NotReady, UnknownJob
from service.jobs import job_updates
from service.jobs.checking import Check, check_async, outline
from service.jobs.clock import Clock, SystemClock
from service.jobs.executor import Executor
from service.jobs.history import Rows
from service.jobs.idempotency import IdempotencyKeys
from service.jobs.job import Job, new_job
from service.jobs.job_updates import Update
from service.jobs.store import JobStore
from service.schemas.names import Status
from service.schemas.requests import JobRequest
from service.settings import Settings


class JobService:
    """Jobs by owner; a job of another owner raises UnknownJob like one that does not exist.

    The owner "" is every caller without a key; None is the service itself, which sees all jobs.
    Built at start-up from its parts; `start` and `stop` belong to the app's lifespan."""

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        executor: Executor,
        clock: Clock | None = None,
        *,
        check: Check = outline,
    ) -> None:
        self._settings, self._store, self._executor = settings, store, executor
        self._clock = clock or SystemClock()
        self._check = check
        self._keys = IdempotencyKeys(settings.max_jobs)
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether jobs are accepted: from the end of `start` to the beginning of `stop`."""
        return self._ready

    async def start(self) -> None:
        """Ready when it returns. Raises RuntimeError where no worker can be started."""
        await self._executor.start()
        self._ready = True

    async def stop(self) -> None:
        """Takes no more work, cancels what is queued, gives what runs `shutdown_grace_s`, then
        cancels that too, with its best so far. No process of ours is left."""
        self._ready = False
        await self._executor.stop()

    async def submit(
        self,
        request: JobRequest,
        *,
        owner: str = "",
        client: str | None = None,
        idempotency_key: str | None = None,
        fingerprint: bytes | None = None,
    ) -> tuple[Job, bool]:
        """The job of a request, and whether it existed already (a replay of its key).


        client: the caller by whose turn the job is queued, such as an address; default the owner.
        fingerprint: distinguishes requests under the same key.
        Raises InvalidRequest, IdempotencyConflict, QueueFull, NotReady.
        """
        if not self._ready:
            raise NotReady
        queue_key = owner if client is None else client
        if idempotency_key is None:
            return await self._create(request, owner, queue_key), False
        async with self._keys.claim(owner, idempotency_key, fingerprint) as claim:
            if claim.job_id is not None:
                try:
                    return await self._store.get(claim.job_id, owner), True
                except UnknownJob:
                    claim.job_id = None
            job = await self._create(request, owner, queue_key)
            claim.job_id = job.id
            return job, False

    async def _create(self, request: JobRequest, owner: str, queue_key: str) -> Job:
        understood = await check_async(self._check, request, self._settings)
        now = self._clock.now()
        job = new_job(request, understood, owner=owner, queue_key=queue_key, now=now)
        await self._executor.submit(job, understood.plan)
        return job

    async def get(self, job_id: str, owner: str | None = None) -> Job:
        """The job's current record."""
        return await self._store.get(job_id, owner)

    async def list(
        self,
        owner: str | None = None,
        status: Status | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> tuple[Sequence[Job], bool]:
        """At most `limit` jobs older than the job `after`, newest first; and whether there are
        more."""
        return await self._store.list(owner=owner, status=status, limit=limit, after=after)

    async def wait(
        self, job_id: str, timeout: float | None = None, owner: str | None = None
    ) -> Job:
        """The job once it has finished, or its record after `timeout` seconds."""
        job = await self._store.get(job_id, owner)
        try:
            async with asyncio.timeout(timeout):
                while not job.finished:
                    job = await self._store.changed(job_id, job.version)
        except TimeoutError:
            pass
        return job

    async def history(
        self,
        job_id: str,
        owner: str | None = None,
        after_epoch: int | None = None,
        limit: int | None = None,
        max_points: int | None = None,
    ) -> Rows:
        """The first `limit` rows later than `after_epoch`, thinned to `max_points`. The columns of
        `params` and `gradient` are those of `job.params`."""
        job = await self._store.get(job_id, owner)
        rows = await self._store.history(
            job_id, after_epoch=after_epoch, limit=limit, max_points=max_points
        )
        return _with_columns(rows, len(job.params))

    async def cancel(self, job_id: str, owner: str | None = None) -> Job:
        """Ends the job with its best so far, and returns it once it has ended. A finished job is
        unchanged."""
        job = await self._store.get(job_id, owner)
        if job.finished:
            return job
        await self._executor.cancel(job_id)
        return await self.wait(job_id)

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        """Deletes a finished job. Raises JobStillRunning for any other."""
        await self._store.delete(job_id, owner)

    def queue_position(self, job: Job) -> int | None:
        """The number of jobs that start before it; None once it has started."""
        place = self._executor.place(job.id)
        return None if place is None else place.position

    def eta(self, job: Job) -> float | None:
        """Seconds until it starts, if queued, or ends, if running; None if unknown."""
        if job.status == "running":
            return job.progress.eta_s
        place = self._executor.place(job.id)
        return None if place is None else place.eta_s

    async def watch(
        self,
        job_id: str,
        owner: str | None = None,
        after_epoch: int | None = None,
        *,
        keep_alive_s: float | None = None,
    ) -> AsyncIterator[Update]:
        """Updates until the job has finished: see `job_updates.watch`. Raises UnknownJob."""
        names = (await self._store.get(job_id, owner)).params
        updates = job_updates.watch(
            self._store, job_id, after_epoch=after_epoch, keep_alive_s=keep_alive_s
        )
        async for update in updates:
            yield replace(update, rows=_with_columns(update.rows, len(names)))


def _with_columns(rows: Rows, params: int) -> Rows:
    """The rows, with `params` columns even if there are no rows."""
    return rows if len(rows) else replace(Rows.empty(0, params), thinned=rows.thinned)
