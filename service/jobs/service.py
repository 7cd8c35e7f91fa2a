"""The service that the API calls: jobs from submission to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from service import fitting
from service.errors import NotReady, UnknownJob
from service.jobs import scheduling
from service.jobs.executor import Executor, ExecutorStats, Place
from service.jobs.fit_backend import FIT_BACKEND
from service.jobs.history import Rows
from service.jobs.inline import run_inline
from service.jobs.job import Job, Kind, Outline, new_job, request_nbytes
from service.jobs.run_job import FitBackend
from service.jobs.store import Answer, IdempotencyKey, JobStore, StoreStats
from service.jobs.timing import Clock, SystemClock
from service.schemas.compare import CompareRequest
from service.schemas.models import MlpModel
from service.schemas.names import Status
from service.schemas.requests import JobRequest
from service.settings import Settings

Check = Callable[[JobRequest, Settings], Outline]

_INLINE_BYTES = 2**19
"""Bytes of data above which a request is checked in a thread; so are networks, which may have
thousands of params, comparisons, which have many models, and requests whose params must be
converted to scaled inputs."""


def outline(
    request: JobRequest, settings: Settings, backend: FitBackend | None = FIT_BACKEND
) -> Outline:
    """The outline of a valid request. Raises InvalidRequest for any other.

    backend: runs cheap jobs in this process; without it all jobs are for the workers, as are those
    for a GPU, which belongs to them."""
    if isinstance(request, CompareRequest):
        compared = fitting.to_comparison(request, settings)
        return Outline(compared.title, (), len(compared.entries), "comparison")
    plan = fitting.check(request, settings)
    inline = None
    if backend is not None and settings.device != "cuda" and scheduling.runs_inline(plan):
        inline = partial(run_inline, plan, backend, request)
    formula, params = plan.task.problem.formula.text, tuple(plan.task.problem.params)
    after = 0 if plan.resampling is None else plan.resampling.count(len(plan.task.fits))
    if not request.counts_groups:
        kind: Kind = "fit" if plan.groups is None else "global"
        return Outline(formula, params, plan.task.options.epochs + after, kind, inline)
    assert plan.groups is not None, "groups are counted"
    return Outline(formula, params, len(plan.groups.keys) + after, "groups", inline)


@dataclass(frozen=True, slots=True)
class Update:
    """The changes of a job since the last update."""

    job: Job
    rows: Rows
    """The rows recorded since then; none in a keep-alive."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What the store and the executor say of themselves."""

    store: StoreStats
    executor: ExecutorStats


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
        key = None
        if idempotency_key is not None:
            key = IdempotencyKey(idempotency_key, fingerprint or b"")
            if (found := await self._store.find(owner, key)) is not None:
                return found, True
        understood = await self._checked(request)
        queue_key = owner if client is None else client
        now = self._clock.now()
        job = new_job(request, understood, owner=owner, queue_key=queue_key, now=now)
        return await self._executor.submit(job, key=key, inline=understood.inline)

    async def _checked(self, request: JobRequest) -> Outline:
        """The request's outline, in a thread where the check takes long."""
        if isinstance(request, CompareRequest):
            return await asyncio.to_thread(self._check, request, self._settings)
        converts = request.scaling is not None and bool(request.params)
        wide = converts or isinstance(request.model, MlpModel)
        if request_nbytes(request) <= _INLINE_BYTES and not wide:
            return self._check(request, self._settings)
        return await asyncio.to_thread(self._check, request, self._settings)

    async def check(self) -> None:
        """Raises NotReady, saying why, where no job would be run now."""
        if not self._ready:
            raise NotReady
        await self._executor.check()

    async def stats(self) -> Stats:
        """What the store holds and which workers there are."""
        return Stats(await self._store.stats(), await self._executor.stats())

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
        """Ends the job with its best so far, and returns it once it has ended: or after
        `max_wait_s`, where its node is away. A finished job is unchanged."""
        job = await self._store.get(job_id, owner)
        if job.finished:
            return job
        await self._executor.cancel(job_id)
        return await self.wait(job_id, self._settings.max_wait_s)

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        """Deletes a finished job. Raises JobStillRunning for any other."""
        await self._store.delete(job_id, owner)

    async def request(self, job: Job) -> JobRequest:
        """The request of a job."""
        return await self._store.request(job.id) if job.request is None else job.request

    async def answer(self, job: Job) -> Answer | None:
        """What the job answered; None where it has no result."""
        if job.result is not None:
            return Answer(job.result, job.curve)
        return await self._store.answer(job.id) if job.answered else None

    async def place(self, job: Job) -> Place | None:
        """Its position in the queue; None once it has started."""
        return (await self.places([job]))[0]

    async def places(self, jobs: Sequence[Job]) -> Sequence[Place | None]:
        """Those of several jobs, in one step."""
        queued = [job.id for job in jobs if job.status == "queued"]
        found = iter(await self._executor.places(queued) if queued else ())
        return [next(found) if job.status == "queued" else None for job in jobs]

    async def watch(
        self,
        job_id: str,
        owner: str | None = None,
        after_epoch: int | None = None,
        *,
        keep_alive_s: float | None = None,
    ) -> AsyncIterator[Update]:
        """The job as it is, then an update for each change, the last one with the finished job.
        Raises UnknownJob.

        Nothing is buffered for a reader: a slow one gets all new rows in its next update. An update
        with the same job and no rows is sent after `keep_alive_s` seconds without a change. Ends
        early if the job is deleted."""
        job = await self._store.get(job_id, owner)
        params = len(job.params)
        try:
            while True:
                rows = await self._store.history(job_id, after_epoch=after_epoch)
                if len(rows):
                    after_epoch = int(rows.epoch[-1])
                rows = _with_columns(rows, params)
                yield Update(job, rows)
                if job.finished:
                    return
                while (newer := await self._next(job, keep_alive_s)) is None:
                    yield Update(job, rows[:0])
                job = newer
        except UnknownJob:
            return

    async def _next(self, job: Job, seconds: float | None) -> Job | None:
        """The job once it has changed; None after `seconds`."""
        try:
            return await asyncio.wait_for(self._store.changed(job.id, job.version), seconds)
        except TimeoutError:
            return None


def _with_columns(rows: Rows, params: int) -> Rows:
    """The rows, with `params` columns even if there are no rows."""
    return rows if len(rows) else replace(Rows.empty(0, params), thinned=rows.thinned)
