"""The job machine under everything that can happen, in any order (hypothesis).

The service, the executor, the store and the watchers are the real ones; the workers are workers and
the time is the test's own, so that a thousand orders of events take seconds.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.errors import IdempotencyConflict, JobStillRunning, NotReady, QueueFull, UnknownJob
from service.jobs.job import Job
from service.jobs.local_executor import LocalExecutor, log
from service.jobs.memory_store import MemoryStore
from service.jobs.service import JobService
from service.settings import Settings
from tests.jobs import fakes
from tests.jobs.conftest import SetClock
from tests.jobs.scripted_workers import ScriptedWorkers, SetLoop

WORKERS, QUEUED, KEPT = 2, 3, 7
LIMITS = Settings(
    workers=WORKERS,
    max_queued_jobs=QUEUED,
    max_jobs=KEPT,
    max_job_age_s=1000,
    max_history_rows=40,
    max_time_limit_s=600,
    cancel_grace_s=2,
    result_grace_s=30,
    shutdown_grace_s=10,
)


class Watcher:
    """Someone who watches a job from its first moment, and what they saw."""

    def __init__(self, jobs: JobService, job: Job) -> None:
        self.job, self.epochs, self.thinned, self.ends = job, [0], False, 0
        self.task = asyncio.create_task(self._watch(jobs))

    async def _watch(self, jobs: JobService) -> None:
        async for update in jobs.watch(self.job.id):
            assert self.ends == 0, "nothing comes after the end"
            assert update.job.version >= self.job.version
            self.job = update.job
            self.ends += update.job.finished
            self._read(update.rows)

    def _read(self, rows: Any) -> None:
        self.thinned |= rows.thinned
        for epoch in rows.epoch.tolist():
            assert epoch > self.epochs[-1], "no row comes twice"
            assert self.thinned or epoch == self.epochs[-1] + 1, "and none is left out"
            self.epochs.append(epoch)


class JobMachine(RuleBasedStateMachine):
    """Submits, finishes, cancels, worker deaths, silences, expiries and deletions."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.workers = SetClock(), ScriptedWorkers()
        self.loop = SetLoop(self.clock.monotonic)
        self.patch = mock.patch("service.jobs.worker_slots.WorkerProcess", self.workers)
        self.patch.start()
        self.errors: list[str] = []
        self.listener = logging.Handler(logging.ERROR)
        self.listener.emit = lambda record: self.errors.append(record.getMessage())  # type: ignore[method-assign]
        log.addHandler(self.listener)
        self.store = MemoryStore(LIMITS, self.clock)
        self.executor = LocalExecutor(LIMITS, self.store, self.clock)
        self.jobs = JobService(LIMITS, self.store, self.executor, self.clock, check=fakes.check)
        self.run(self.jobs.start())
        self.watchers: dict[str, Watcher] = {}
        self.ended: dict[str, Job] = {}
        """Jobs as they were when first seen finished."""
        self.keys: dict[str, str] = {}
        self.asked: list[asyncio.Task[Any]] = []

    def run(self, work: Any) -> Any:
        """What it returns, and then everything that follows from it at once."""

        async def settled() -> Any:
            found = await work
            for _ in range(60):
                await asyncio.sleep(0)
            return found

        return self.loop.run_until_complete(settled())

    def told(self, act: Any, *args: Any, **kwargs: Any) -> None:
        """Has something outside do as it is told."""

        async def telling() -> None:
            act(*args, **kwargs)

        self.run(telling())

    # --- what callers do --------------------------------------------------------------------------

    @rule(lane=st.sampled_from("abc"), key=st.sampled_from(["", "", "k1", "k2"]))
    def submit(self, lane: str, key: str) -> None:
        room = self._queued() < QUEUED
        try:
            job, replayed = self.run(
                self.jobs.submit(
                    fakes.request(), client=lane, idempotency_key=key or None, fingerprint=b"1"
                )
            )
        except QueueFull:
            assert not self.executor._free
            return
        assert replayed == (job.id in self.watchers)
        assert not replayed or self.keys[key] == job.id
        assert replayed or room
        self.keys[key] = job.id
        if not replayed:
            self.told(self._watch, job)

    def _queued(self) -> int:
        queued: int = self.run(self.store.stats()).queued
        return queued

    def _watch(self, job: Job) -> None:
        self.watchers[job.id] = Watcher(self.jobs, job)

    @precondition(lambda self: self.watchers)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        job_id = data.draw(st.sampled_from(list(self.watchers)))
        self.told(lambda: self.asked.append(asyncio.create_task(self._cancel(job_id))))

    async def _cancel(self, job_id: str) -> None:
        try:
            job = await self.jobs.cancel(job_id)
            assert job.finished or job.cancelling  # the wait for its end is bounded
        except UnknownJob:
            assert job_id in self.ended or self.watchers[job_id].job.finished

    @precondition(lambda self: self.watchers)
    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        job_id = data.draw(st.sampled_from(list(self.watchers)))
        try:
            self.run(self.jobs.delete(job_id))
        except JobStillRunning:
            assert not self.watchers[job_id].job.finished
        except UnknownJob:
            assert job_id in self.ended

    @precondition(lambda self: self.keys)
    @rule()
    def misuse_a_key(self) -> None:
        key = next(iter(self.keys))
        if not key or not self._known(self.keys[key]):
            return
        try:
            self.run(self.jobs.submit(fakes.request(2), idempotency_key=key, fingerprint=b"2"))
        except IdempotencyConflict:
            return
        raise AssertionError("another body under the same key")

    def _known(self, job_id: str) -> bool:
        try:
            self.run(self.store.get(job_id))
        except UnknownJob:
            return False
        return True

    # --- what workers do --------------------------------------------------------------------------

    @precondition(lambda self: self.workers.busy)
    @rule(data=st.data(), epochs=st.integers(1, 15), checkpoint=st.booleans())
    def work(self, data: Any, epochs: int, checkpoint: bool) -> None:
        self.told(self._one_of(data).step, epochs, checkpoint=checkpoint)

    @precondition(lambda self: self.workers.busy)
    @rule(data=st.data(), how=st.sampled_from(["close", "end", "end", "fail", "kill"]))
    def come_to_an_end(self, data: Any, how: str) -> None:
        self.told(getattr(self._one_of(data), how))

    @precondition(lambda self: self.workers.alive)
    @rule(data=st.data())
    def die(self, data: Any) -> None:
        self.told(data.draw(st.sampled_from(self.workers.alive)).kill)

    def _one_of(self, data: Any) -> Any:
        return data.draw(st.sampled_from(self.workers.busy))

    # --- what time does ---------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.05, 0.5, 2.5, 40.0, 700.0, 1100.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.run(asyncio.sleep(0))

    @rule(days=st.sampled_from([-9000, 9000]))
    def move_the_clock(self, days: int) -> None:
        self.clock.at = self.clock.at.replace(year=2026 + days // 3000)

    # --- what always holds ------------------------------------------------------------------------

    @invariant()
    def nobody_who_watches_or_cancels_is_let_down(self) -> None:
        for task in (*self.asked, *(watcher.task for watcher in self.watchers.values())):
            if task.done():
                task.result()

    @invariant()
    def nothing_goes_wrong_in_secret(self) -> None:
        assert self.errors == []
        assert not any(
            slot._supervision.done() for slot in self.executor._slots if slot._supervision
        )

    @invariant()
    def bounds_hold(self) -> None:
        assert self._queued() <= QUEUED
        stats = self.run(self.store.stats())
        assert sum(stats.jobs.values()) <= KEPT
        assert len(self.workers.busy) <= WORKERS
        active = set(self.executor._active)
        assert len(active) <= WORKERS
        assert active | {entry.job.id for entry in self.store._queue} == {
            entry.job.id for entry in self.store._entries if not entry.job.finished
        }

    @invariant()
    def a_result_never_changes(self) -> None:
        for job_id, watcher in self.watchers.items():
            try:
                job = self.run(self.store.get(job_id))
            except UnknownJob:
                assert watcher.job.finished, "only a finished job is ever forgotten"
                self.ended.setdefault(job_id, watcher.job)
                continue
            if job.finished:
                assert self.ended.setdefault(job_id, job) == job
                assert watcher.job == job
                assert watcher.ends == 1

    @invariant()
    def a_watcher_has_what_the_store_has(self) -> None:
        for job_id, watcher in self.watchers.items():
            if self._known(job_id) and not watcher.thinned:
                stored = self.run(self.store.history(job_id)).epoch.tolist()
                assert stored == watcher.epochs[1:]

    def teardown(self) -> None:
        try:
            self._come_to_rest()
        finally:
            self.patch.stop()
            log.removeHandler(self.listener)
            self.loop.close()

    def _come_to_rest(self) -> None:
        stopping = self.loop.create_task(self.jobs.stop())
        while not stopping.done():
            self.wait(1.0)
        stopping.result()
        self.a_result_never_changes()
        self.nobody_who_watches_or_cancels_is_let_down()
        assert set(self.ended) == set(self.watchers), "every accepted job has come to its end"
        for watcher in self.watchers.values():
            assert watcher.ends == 1
            assert watcher.task.done()
        assert self.errors == []
        assert not self.executor._active
        assert not self.workers.alive
        try:
            self.run(self.jobs.submit(fakes.request()))
        except NotReady:
            return
        raise AssertionError("nothing is taken after the end")


JobMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestJobMachine = JobMachine.TestCase
