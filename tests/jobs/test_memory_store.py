"""The bounds of the store in memory."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.errors import QueueFull, UnknownJob
from service.jobs.job import Job, Progress
from service.jobs.memory_store import MemoryStore
from service.settings import Settings
from tests.jobs.conftest import SetClock, a_job, count
from tests.jobs.test_history import rows_of
from tests.jobs.test_store import ended, running


async def test_the_oldest_finished_is_forgotten_first():
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=3), clock)
    first = await running(store, clock)
    second = await ended(store, clock)
    third = await ended(store, clock)
    await store.create(a_job(clock))
    assert (await store.get(first.id)).status == "running"
    assert await store.get(third.id) == third
    with pytest.raises(UnknownJob, match="expired"):
        await store.get(second.id)


async def test_unfinished_jobs_are_never_forgotten():
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=2), clock)
    await running(store, clock)
    await store.create(a_job(clock))
    with pytest.raises(QueueFull):
        await store.create(a_job(clock))


async def test_bytes_are_bounded():
    clock = SetClock()
    job = await ended(MemoryStore(Settings(), clock), clock)
    store = MemoryStore(Settings(max_store_bytes=5 * job.nbytes), clock)
    for _ in range(20):
        await ended(store, clock)
        assert (await store.stats()).nbytes <= 5 * job.nbytes
    assert await count(store) == 5


async def test_data_count():
    clock = SetClock()
    store = MemoryStore(Settings(max_store_bytes=2**20), clock)
    with pytest.raises(QueueFull):
        await store.create(a_job(clock, rows=100_000))


async def test_a_wide_history_is_bounded_by_its_numbers():
    clock = SetClock()
    store = MemoryStore(Settings(max_history_numbers=60), clock)
    for whole in (False, True):
        job = await running(store, clock)  # of 2 params: 6 numbers a row
        await store.append(job.id, rows_of(range(9)), Progress(), whole=whole)
        for start in range(10, 500, 7):
            await store.append(job.id, rows_of(range(7), start=start), Progress())
            assert len(await store.history(job.id)) <= 10


async def test_age_is_by_the_clock_that_never_jumps():
    clock = SetClock()
    store = MemoryStore(Settings(max_job_age_s=60), clock)
    job = await ended(store, clock)
    clock.at = clock.at.replace(year=2040)
    assert await store.get(job.id) == job
    clock.advance(61)
    with pytest.raises(UnknownJob, match="expired"):
        await store.get(job.id)


async def test_the_job_that_just_finished_is_not_forgotten():
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=1, max_store_bytes=20_000), clock)
    job = await running(store, clock)
    await store.append(job.id, rows_of(range(5000)), Progress())
    done = await store.finish(job.id, "succeeded", clock.now(), result=b"x" * 50_000)
    assert await store.get(job.id) == done


async def test_what_is_forgotten_is_remembered_within_bounds():
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=5), clock)
    jobs = [await ended(store, clock) for _ in range(30)]
    with pytest.raises(UnknownJob, match="expired"):
        await store.get(jobs[-6].id)
    with pytest.raises(UnknownJob, match="unknown"):
        await store.get(jobs[0].id)


class JobMachine(RuleBasedStateMachine):
    """Jobs created, run, finished, deleted and expired in any order, beside a simple model."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = SetClock()
        self.store = MemoryStore(
            Settings(max_jobs=6, max_job_age_s=100, max_history_rows=16), self.clock
        )
        self.alive: dict[str, Job] = {}
        """Unfinished jobs as they must be."""
        self.ended: dict[str, Job] = {}
        """Finished ones as they must stay, if they are there."""
        self.epochs: dict[str, int] = {}

    def do(self, work):
        """What the store answers: in memory it never has to wait."""
        with pytest.raises(StopIteration) as done:
            work.send(None)
        return done.value.value

    @rule()
    def create(self) -> None:
        job = a_job(self.clock)
        try:
            self.do(self.store.create(job))
        except QueueFull:
            assert len(self.alive) == 6
        else:
            self.alive[job.id] = job

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def move(self, data) -> None:
        job = self.alive[data.draw(st.sampled_from(list(self.alive)))]
        if job.status == "queued":
            self.alive[job.id] = self.do(self.store.start(job.id, self.clock.now()))
            return
        step = data.draw(st.sampled_from(["append", "requeue", "finish"]))
        if step == "requeue":
            self.alive[job.id] = self.do(self.store.requeue(job.id))
        elif step == "append":
            at = self.epochs.get(job.id, 0)
            count = data.draw(st.integers(1, 20))
            rows = rows_of(range(count), start=at + 1)
            self.epochs[job.id] = at + count
            self.alive[job.id] = self.do(self.store.append(job.id, rows, Progress()))
        else:
            self.finish(job, data.draw(st.sampled_from(["succeeded", "failed", "cancelled"])))

    def finish(self, job: Job, status) -> None:
        del self.alive[job.id]
        done = self.store.finish(job.id, status, self.clock.now(), result=b"{}")
        self.ended[job.id] = self.do(done)

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def delete(self, data) -> None:
        job_id = data.draw(st.sampled_from(list(self.ended)))
        del self.ended[job_id]
        with suppress(UnknownJob):  # it may have expired
            self.do(self.store.delete(job_id))

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds) -> None:
        self.clock.advance(seconds)

    @invariant()
    def what_lives_is_there(self) -> None:
        for job_id, job in self.alive.items():
            assert self.do(self.store.get(job_id)) == job

    @invariant()
    def what_ended_does_not_change(self) -> None:
        for job_id, job in list(self.ended.items()):
            try:
                assert self.do(self.store.get(job_id)) == job
            except UnknownJob:
                del self.ended[job_id]

    @invariant()
    def histories_have_no_repeat_and_end_with_the_last(self) -> None:
        for job_id in self.alive:
            epochs = self.do(self.store.history(job_id)).epoch.tolist()
            assert epochs == sorted(set(epochs))
            assert (epochs[-1] if epochs else 0) == self.epochs.get(job_id, 0)

    @invariant()
    def bounds_hold(self) -> None:
        stats = self.do(self.store.stats())
        assert sum(stats.jobs.values()) <= 6
        assert stats.nbytes == sum(entry.nbytes for entry in self.store._entries)


JobMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestJobMachine = JobMachine.TestCase


async def test_the_error_of_an_unknown_job_has_the_start_time():
    store = MemoryStore(Settings(), SetClock())
    with pytest.raises(UnknownJob, match="2026-01-01T00:00:00Z"):
        await store.get("job_never")
