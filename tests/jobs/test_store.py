"""What any store promises. A new one joins by adding itself to `stores.STORES`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from service.errors import (
    IdempotencyConflict,
    JobStillRunning,
    QueueFull,
    QuotaExceeded,
    UnknownJob,
)
from service.jobs.job import Failure, IllegalTransition, Progress, StaleAttempt
from service.jobs.store import IdempotencyKey
from service.settings import Settings
from tests.jobs import fakes
from tests.jobs.conftest import SetClock, a_job
from tests.jobs.stores import STORES, advance, open_store
from tests.jobs.test_history import rows_of, same

LIMITS = Settings(max_history_rows=50, max_queued_jobs=9, max_jobs_per_key=5)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=STORES)
async def store(request, clock):
    async with open_store(request, LIMITS, clock) as opened:
        yield opened


def bare(job):
    """A record without its documents, which a store need not have at hand."""
    return replace(job, request=None, result=None, curve=None)


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
    assert bare(await store.get(job.id)) == bare(job)


async def test_its_documents_can_be_had(store, clock):
    job = await running(store, clock)
    request = await store.request(job.id)
    assert {name: column.tolist() for name, column in request.data.items()} == {
        "x": [0.0, 1.0, 2.0],
        "y": [0.0, 1.0, 2.0],
    }
    assert request.model_copy(update={"data": {}}) == fakes.request().model_copy(
        update={"data": {}}
    )
    assert await store.answer(job.id) is None
    job = await store.finish(job.id, "succeeded", clock.now(), result=b"{}", curve=b"[]")
    assert job.answered
    result, curve = await store.answer(job.id)
    assert (bytes(result), bytes(curve)) == (b"{}", b"[]")


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
    assert bare(await store.get(job.id)) == bare(job)


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


# --- the queue ------------------------------------------------------------------------------------


async def queue(store, clock, *queue_keys, **members):
    jobs = [replace(a_job(clock), queue_key=key, **members) for key in queue_keys]
    for job in jobs:
        assert await store.create(job) == (job, False)
    return [job.id for job in jobs]


async def claimed(store, clock):
    """All that waits, in the order in which it is claimed."""
    ids = []
    while (found := await store.claim(clock.now())) is not None:
        assert (found.job.status, found.job.attempts) == ("running", 1)
        ids.append(found.job.id)
    return ids


async def test_callers_take_turns(store, clock):
    a1, a2, a3, b1, c1, b2 = await queue(store, clock, *"aaabcb")
    turns = [a1, b1, c1, a2, b2, a3]
    assert await store.positions(turns) == [*range(6)]
    assert await store.positions([a3, "job_none", b1]) == [5, None, 1]
    assert await store.positions([a3]) == [5]
    assert (await store.stats()).queued == 6
    assert await claimed(store, clock) == turns
    assert await store.positions(turns) == [None] * 6
    assert (await store.stats()).queued == 0


async def test_a_claim_says_how_long_the_job_waited(store, clock):
    job = a_job(clock)
    await store.create(job)
    await advance(store, clock, 3)
    assert (await store.stats()).oldest_wait_s == pytest.approx(3, abs=0.1)
    found = await store.claim(clock.now())
    assert found.waited_s == pytest.approx(3, abs=0.1)
    assert bare(await store.get(job.id)) == bare(found.job)


async def test_what_was_cancelled_or_ended_is_not_claimed(store, clock):
    first, second, third = await queue(store, clock, *"aab")
    job = await store.cancel(first, clock.now())
    assert (job.status, job.stop_reason) == ("cancelled", "cancelled")
    await store.finish(third, "failed", clock.now(), failure=Failure("a", "b"))
    assert await claimed(store, clock) == [second]


async def test_what_is_tried_again_is_not_in_the_queue(store, clock):
    job = await running(store, clock)
    await store.requeue(job.id)
    assert await store.positions([job.id]) == [None]
    assert await claimed(store, clock) == []


async def test_a_running_job_is_marked_to_be_cancelled(store, clock):
    job = await running(store, clock)
    assert not job.cancelling
    await store.cancel(job.id, clock.now())
    job = await store.append(job.id, rows_of([1.0]), Progress())
    assert (job.status, job.cancelling) == ("running", True)
    job = await store.finish(job.id, "cancelled", clock.now())
    assert bare(await store.cancel(job.id, clock.now())) == bare(job)


async def test_the_queue_is_bounded_and_leaves_room_for_others(store, clock):
    await queue(store, clock, *8 * ["flood"])
    with pytest.raises(QueueFull):
        await queue(store, clock, "flood")
    assert (await store.stats()).queued == 8, "8 of the 9 places, by the share of one caller"
    await queue(store, clock, "other")
    with pytest.raises(QueueFull):
        await queue(store, clock, "another")


async def test_the_unfinished_jobs_of_one_owner_are_bounded(store, clock):
    ids = await queue(store, clock, *"abcde", owner="ann")
    with pytest.raises(QuotaExceeded, match="5 unfinished"):
        await queue(store, clock, "f", owner="ann")
    await store.cancel(ids[0], clock.now())
    await queue(store, clock, "f", owner="ann")


async def test_an_attempt_that_was_overtaken_changes_nothing(store, clock):
    job = await running(store, clock)
    await store.requeue(job.id, attempt=1)
    job = await store.start(job.id, clock.now())
    for change in (
        lambda: store.append(job.id, rows_of([1.0]), Progress(), attempt=1),
        lambda: store.finish(job.id, "succeeded", clock.now(), result=b"{}", attempt=1),
        lambda: store.requeue(job.id, attempt=1),
    ):
        with pytest.raises(StaleAttempt):
            await change()
    assert bare(await store.get(job.id)) == bare(job)
    job = await store.finish(job.id, "succeeded", clock.now(), result=b"{}", attempt=2)
    assert job.status == "succeeded"


# --- jobs that have ended when they are stored, and idempotency keys ------------------------------


def an_ended_job(clock):
    job = a_job(clock).evolve(status="running", started_at=clock.now(), attempts=1)
    return job.evolve(
        status="succeeded",
        stop_reason="converged",
        finished_at=clock.now(),
        answered=True,
        result=b"{}",
        curve=b"[]",
        progress=Progress(epoch=3, epochs=3),
    )


async def test_a_job_that_ended_inline_is_stored_with_its_end(store, clock):
    job, rows = an_ended_job(clock), rows_of([3.0, 2.0, 1.0])
    made, existed = await store.record(job, rows, 0.001)
    assert (made.id, made.status, existed) == (job.id, "succeeded", False)
    found = await store.get(job.id)
    for name in ("status", "stop_reason", "started_at", "finished_at", "attempts", "progress"):
        assert getattr(found, name) == getattr(job, name)
    assert same(await store.history(job.id), rows)
    result, curve = await store.answer(job.id)
    assert (bytes(result), bytes(curve)) == (b"{}", b"[]")
    assert [each.id for each in (await store.list(owner="", status=None, limit=9, after=None))[0]]
    assert await claimed(store, clock) == []
    await store.delete(job.id)


KEY = IdempotencyKey("k", b"1")


@pytest.mark.parametrize("inline", [False, True])
async def test_a_key_names_one_job(store, clock, inline):
    async def create(job, key):
        if inline:
            return await store.record(
                replace(an_ended_job(clock), id=job.id), rows_of([1.0]), 0, key
            )
        return await store.create(job, key)

    first, second = a_job(clock), a_job(clock)
    assert await store.find("", KEY) is None
    _, existed = await create(first, KEY)
    assert not existed
    for found, existed in [await create(second, KEY), (await store.find("", KEY), True)]:
        assert (found.id, existed) == (first.id, True)
    with pytest.raises(IdempotencyConflict):
        await create(second, IdempotencyKey("k", b"2"))
    with pytest.raises(IdempotencyConflict):
        await store.find("", IdempotencyKey("k", b"2"))
    assert await store.find("ann", KEY) is None
    with pytest.raises(UnknownJob):
        await store.get(second.id)


async def test_a_key_goes_with_its_job(store, clock):
    job = a_job(clock)
    await store.create(job, KEY)
    await store.cancel(job.id, clock.now())
    await store.delete(job.id)
    assert await store.find("", KEY) is None
    assert not (await store.create(a_job(clock), KEY))[1]


async def test_a_key_whose_request_was_refused_is_free(store, clock):
    await queue(store, clock, *"abcdefghi")
    with pytest.raises(QueueFull):
        await store.create(a_job(clock), KEY)
    assert await store.find("", KEY) is None


# --- lists, owners, waiting -----------------------------------------------------------------------


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
    assert ([bare(each) for each in found], more) == ([bare(job)], False)


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
    assert bare(await store.get(job.id, "ann")) == bare(job)
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
