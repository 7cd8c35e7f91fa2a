"""A job service with the fake engine, and ways to wait for what it does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from service.jobs.job import Job, new_job
from service.jobs.local_executor import LocalExecutor
from service.jobs.memory_store import MemoryStore
from service.jobs.service import JobService
from service.jobs.store import JobStore
from service.settings import Settings
from tests.jobs import fakes
from tests.soon import PATIENCE_S


class SetClock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@contextmanager
def stopped_timers() -> Iterator[Callable[[float], None]]:
    """The running loop's time stands still, so that what happens has waited for no timer; it is
    moved on by so many seconds where one is to ring."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    at = loop.time()

    def advance(seconds: float) -> None:
        nonlocal at
        at += seconds

    def time() -> float:
        return at

    # In a thread: a timer of the loop's would not ring.
    patience = threading.Timer(PATIENCE_S, loop.call_soon_threadsafe, [task.cancel])
    patience.start()
    try:
        with mock.patch.object(loop, "time", time):
            yield advance
    finally:
        patience.cancel()
        patience.join()


class LocalJobs:
    """A started JobService with its parts."""

    def __init__(self, **limits: Any) -> None:
        given = {"workers": 2, "cancel_grace_s": 0.3, "shutdown_grace_s": 0.05, **limits}
        self.settings = Settings(**given)
        self.store = MemoryStore(self.settings)
        self.executor = LocalExecutor(self.settings, self.store, entry=fakes.ENTRY)
        self.jobs = JobService(self.settings, self.store, self.executor, check=fakes.check)

    async def submit(self, *args: Any, owner: str = "", **kwargs: Any) -> Job:
        job, _ = await self.jobs.submit(fakes.request(*args, **kwargs), owner=owner)
        return job

    async def until(self, job: Job, reached: Callable[[Job], bool]) -> Job:
        """The job as soon as it is so."""
        async with asyncio.timeout(PATIENCE_S):
            job = await self.store.get(job.id)
            while not reached(job):
                assert not job.finished, f"{job.status} {job.failure}"
                job = await self.store.changed(job.id, job.version)
        return job

    async def end(self, job: Job) -> Job:
        """The job when it has finished."""
        return await self.until(job, lambda job: job.finished)

    async def running(self, job: Job, epoch: int = 1) -> Job:
        """The job as soon as it has done so many epochs."""
        return await self.until(job, lambda job: job.progress.epoch >= epoch)


Build = Callable[..., Awaitable[LocalJobs]]


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    """Starts a JobService with the settings given; it is stopped after the test."""
    async with AsyncExitStack() as stack:

        async def _build(**limits: Any) -> LocalJobs:
            local = LocalJobs(**limits)
            await local.jobs.start()
            stack.push_async_callback(local.jobs.stop)
            return local

        yield _build


@pytest.fixture
async def local(build: Build) -> LocalJobs:
    return await build()


async def count(store: JobStore) -> int:
    """The number of jobs in the store."""
    return sum((await store.stats()).jobs.values())


def a_job(clock: Any, owner: str = "", **tags: Any) -> Job:
    """A queued job for a store."""
    request = fakes.request(**tags)
    outline = fakes.check(request, Settings())
    return new_job(request, outline, owner=owner, queue_key=owner, now=clock.now())
