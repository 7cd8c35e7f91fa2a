"""What any store promises. A new one joins by adding itself to `STORES`."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from service.errors import JobStillRunning, UnknownJob
from service.jobs.job import Failure, IllegalTransition, Progress
from service.jobs.memory_store import MemoryStore
from service.settings import Settings
from tests.jobs.conftest import SetClock, a_job
from tests.jobs.test_history import rows_of, same

STORES = {"memory": MemoryStore}


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=list(STORES))
def store(request, clock):
    return STORES[request.param](Settings(max_history_rows=50), clock)


async def running(store, clock, **kwargs):
    job = a_job(clock, **kwargs)
    await store.create(job)
    return await store.start(job.id, clock.now())


async def ended(store, clock, **kwargs):
    job = await running(store, clock, **kwargs)
    return await store.finish(job.id, "succeeded", clock.now(), result=b"{}")


async def test_create_and_get(store, clock):
    job = a_job(clock)
    await store.create(job)
    assert await store.get(job.id) == job


async def test_ids_are_unique(store, clock):
    job = a_job(clock)
    await store.create(job)
    with pytest.raises(ValueError, match="already"):
        await store.create(job)


async def test_the_states_of_a_job(store, clock):
    job = await running(store, clock)
    assert (job.status, job.started_at, job.attempts) == ("running", clock.now(), 1)
    clock.advance(3)
    job = await store.finish(
        job.id, "succeeded", clock.now(), stop_reason="converged", result=b"{}"
    )
    assert (job.status, job.stop_reason, job.result) == ("succeeded", "converged", b"{}")
    assert job.finished_at == clock.now()


async def test_a_second_attempt_keeps_the_first_start(store, clock):
    job = await running(store, clock)
    started = job.started_at
    assert (await store.requeue(job.id)).status == "queued"
    clock.advance(3)
    job = await store.start(job.id, clock.now())
    assert (job.started_at, job.attempts) == (started, 2)


async def test_a_result_never_changes(store, clock):
    job = await ended(store, clock)
    for status in ("succeeded", "failed", "cancelled"):
        with pytest.raises(IllegalTransition):
            await store.finish(job.id, status, clock.now(), failure=Failure("a", "b"))
    with pytest.raises(IllegalTransition):
        await store.append(job.id, rows_of([1.0]), Progress())
    with pytest.raises(IllegalTransition):
        await store.start(job.id, clock.now())
    assert await store.get(job.id) == job


async def test_only_a_running_job_has_rows_added(store, clock):
    job = a_job(clock)
    await store.create(job)
    with pytest.raises(IllegalTransition):
        await store.append(job.id, rows_of([1.0]), Progress())


async def test_rows_and_progress_are_kept(store, clock):
    job = await running(store, clock)
    await store.append(job.id, rows_of([3.0, 2.0]), Progress(epoch=2))
    job = await store.append(job.id, rows_of([1.0], start=3), Progress(epoch=3))
    assert job.progress.epoch == 3
    assert same(await store.history(job.id), rows_of([3.0, 2.0, 1.0]))


async def test_a_whole_history_takes_the_place_of_what_was_there(store, clock):
    job = await running(store, clock)
    await store.append(job.id, rows_of(range(40)), Progress())
    thinned = rows_of(range(100)).thin(30)
    await store.append(job.id, thinned, Progress(), whole=True)
    assert same(await store.history(job.id), thinned)


async def test_a_history_is_bounded(store, clock):
    job = await running(store, clock)
    for start in range(1, 1001, 10):
        await store.append(job.id, rows_of(range(10), start=start), Progress())
        assert len(await store.history(job.id)) <= 50
    rows = await store.history(job.id)
    assert (rows.epoch[0], rows.epoch[-1], rows.thinned) == (1, 1000, True)


async def test_a_history_is_read_by_pages(store, clock):
    job = await running(store, clock)
    await store.append(job.id, rows_of(range(40)), Progress())
    rows = await store.history(job.id, after_epoch=10, limit=5)
    assert rows.epoch.tolist() == [11, 12, 13, 14, 15]
    rows = await store.history(job.id, after_epoch=10, max_points=6)
    assert len(rows) <= 6
    assert rows.epoch[[0, -1]].tolist() == [11, 40]


async def test_jobs_are_listed_newest_first_by_pages(store, clock):
    ids = [(await running(store, clock)).id for _ in range(5)][::-1]
    first, more = await store.list(owner="", status=None, limit=2, after=None)
    assert ([job.id for job in first], more) == (ids[:2], True)
    rest, more = await store.list(owner="", status=None, limit=3, after=first[-1].id)
    assert ([job.id for job in rest], more) == (ids[2:], False)


async def test_a_page_goes_on_after_a_job_that_was_deleted(store, clock):
    ids = [(await ended(store, clock)).id for _ in range(3)][::-1]
    await store.delete(ids[1])
    rest, _ = await store.list(owner="", status=None, limit=9, after=ids[1])
    assert [job.id for job in rest] == ids[2:]


async def test_jobs_are_listed_by_status(store, clock):
    await running(store, clock)
    job = await ended(store, clock)
    found, more = await store.list(owner="", status="succeeded", limit=9, after=None)
    assert (list(found), more) == ([job], False)


async def test_jobs_of_other_owners_are_unknown(store, clock):
    job = await ended(store, clock, owner="ann")
    assert (await store.list(owner="bob", status=None, limit=9, after=None))[0] == []
    with pytest.raises(UnknownJob) as theirs:
        await store.get(job.id, "bob")
    with pytest.raises(UnknownJob) as never:
        await store.get("job_never", "bob")
    assert str(theirs.value).replace(job.id, "job_never") == str(never.value)
    with pytest.raises(UnknownJob):
        await store.delete(job.id, "bob")
    assert await store.get(job.id, "ann") == job
    await store.delete(job.id, "ann")
    with pytest.raises(UnknownJob) as theirs:
        await store.get(job.id, "bob")
    assert "deleted" not in str(theirs.value)


async def test_only_a_finished_job_is_deleted(store, clock):
    job = await running(store, clock)
    with pytest.raises(JobStillRunning):
        await store.delete(job.id)
    await store.finish(job.id, "cancelled", clock.now())
    await store.delete(job.id)
    with pytest.raises(UnknownJob, match="deleted"):
        await store.get(job.id)


async def test_the_error_of_an_unknown_job_has_the_start_time(store):
    with pytest.raises(UnknownJob, match="2026-01-01T00:00:00Z"):
        await store.get("job_never")


async def test_a_change_wakes_waiters(store, clock):
    job = a_job(clock)
    await store.create(job)
    waiters = [asyncio.create_task(store.changed(job.id, job.version)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    job = await store.start(job.id, clock.now())
    assert await asyncio.gather(*waiters) == [job] * 3


async def test_an_earlier_change_is_returned_at_once(store, clock):
    job = a_job(clock)
    await store.create(job)
    later = await store.start(job.id, clock.now())
    assert await store.changed(job.id, job.version) == later


async def test_every_change_is_a_later_version(store, clock):
    job = await running(store, clock)
    versions = [job.version]
    for start in (1, 2, 3):
        job = await store.append(job.id, rows_of([1.0], start=start), Progress())
        versions.append(job.version)
    assert versions == sorted(set(versions))


async def test_waiters_of_a_deleted_job_get_an_error(store, clock):
    job = await ended(store, clock)
    waiter = asyncio.create_task(store.changed(job.id, job.version))
    await asyncio.sleep(0)
    await store.delete(job.id)
    with pytest.raises(UnknownJob):
        await waiter


async def test_concurrent_readers_get_the_whole_history(store, clock):
    job = await running(store, clock)
    await store.append(job.id, rows_of(range(10)), Progress())
    seen = await store.history(job.id)
    before = seen.loss.copy()
    await store.append(job.id, rows_of(range(500), start=11), Progress())
    assert np.array_equal(seen.loss, before)
