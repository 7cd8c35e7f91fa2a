from __future__ import annotations

import asyncio

import numpy as np
import pytest

from service.errors import (
    BudgetExceeded,
    IdempotencyConflict,
    JobStillRunning,
    NotReady,
    QueueFull,
    UnknownJob,
)
from tests.jobs import fakes
from tests.jobs.conftest import House, count
from tests.soon import PATIENCE_S

LONG = {"epochs": 10**8, "record_every": 10**8, "epoch_s": 0.001}


async def test_a_refused_request_makes_no_job(house):
    with pytest.raises(BudgetExceeded):
        await house.submit(refused=1)
    assert await count(house.store) == 0


async def test_a_large_request_is_checked_off_the_loop(house):
    with pytest.raises(BudgetExceeded):
        await house.submit(refused=1, rows=200_000)


async def test_a_job_has_the_interpreted_model(house):
    job = await house.submit(7, colour="red")
    assert (job.model, job.params, job.progress.epochs) == ("y = a * x + b", ("a", "b"), 7)
    assert dict(job.tags) == {"colour": "red"}
    assert job.id.startswith("job_")


async def test_requests_are_refused_unless_ready():
    house = House()
    assert not house.jobs.ready
    with pytest.raises(NotReady):
        await house.submit(1)
    await house.jobs.start()
    assert house.jobs.ready
    await house.jobs.stop()
    assert not house.jobs.ready
    with pytest.raises(NotReady):
        await house.submit(1)


async def test_a_wait_ends_with_the_job(house):
    job = await house.jobs.wait((await house.submit(3)).id, PATIENCE_S)
    assert job.status == "succeeded"


async def test_a_wait_that_times_out_returns_the_job(house):
    job = await house.jobs.wait((await house.submit(**LONG)).id, 0.05)
    assert not job.finished
    await house.jobs.cancel(job.id)


async def test_jobs_of_other_owners_are_unknown(house):
    job = await house.submit(1, owner="ann")
    for call in (
        house.jobs.get(job.id, "bob"),
        house.jobs.history(job.id, "bob"),
        house.jobs.cancel(job.id, "bob"),
        house.jobs.delete(job.id, "bob"),
        house.jobs.wait(job.id, 1, "bob"),
        anext(house.jobs.watch(job.id, "bob")),
    ):
        with pytest.raises(UnknownJob):
            await call
    assert (await house.jobs.list("bob"))[0] == []
    assert (await house.jobs.get(job.id, "ann")).id == job.id


async def test_a_finished_job_is_cancelled_unchanged(house):
    job = await house.end(await house.submit(1))
    assert await house.jobs.cancel(job.id) == job


async def test_a_cancel_returns_when_the_job_has_ended(house):
    job = await house.submit(**LONG)
    assert (await house.jobs.cancel(job.id)).status == "cancelled"


async def test_only_a_finished_job_is_deleted(house):
    job = await house.submit(**LONG)
    with pytest.raises(JobStillRunning):
        await house.jobs.delete(job.id)
    await house.jobs.cancel(job.id)
    await house.jobs.delete(job.id)
    with pytest.raises(UnknownJob, match="deleted"):
        await house.jobs.get(job.id)


async def test_a_history_has_the_params_columns_even_without_rows(house):
    job = await house.submit(stuck_at=1)
    rows = await house.jobs.history(job.id)
    assert rows.params.shape == rows.gradient.shape == (0, 2)
    await house.jobs.cancel(job.id)


async def test_a_history_is_paged_and_thinned(house):
    job = await house.end(await house.submit(100))
    rows = await house.jobs.history(job.id, None, 10, 5)
    assert rows.epoch.tolist() == [11, 12, 13, 14, 15]
    rows = await house.jobs.history(job.id, max_points=20)
    assert len(rows) <= 20
    assert rows.thinned


async def test_a_queued_job_has_a_position_and_an_estimate(build):
    house = await build(workers=1)
    running = await house.submit(**LONG)
    running = await house.running(running)
    queued = await house.submit(1)
    assert await house.jobs.place(running) is None
    place = await house.jobs.place(queued)
    assert place.position == 0
    assert place.eta_s > 0
    await house.jobs.cancel(running.id)


async def test_a_full_queue_has_a_retry_after(build):
    house = await build(workers=1, max_queued_jobs=1)
    running = await house.submit(**LONG)
    await house.submit(1)
    with pytest.raises(QueueFull) as full:
        await house.submit(1)
    assert full.value.retry_after_s >= 1
    await house.jobs.cancel(running.id)


# --- idempotency keys ----------------------------------------------------------------------------


async def test_the_same_key_and_body_is_the_same_job(house):
    request = fakes.request(3)
    first, replayed = await house.jobs.submit(request, idempotency_key="k", fingerprint=b"1")
    assert not replayed
    again, replayed = await house.jobs.submit(request, idempotency_key="k", fingerprint=b"1")
    assert (again.id, replayed) == (first.id, True)
    await house.end(first)
    again, replayed = await house.jobs.submit(request, idempotency_key="k", fingerprint=b"1")
    assert (again.id, again.status, replayed) == (first.id, "succeeded", True)


async def test_the_same_key_at_the_same_time_is_one_job(house):
    request = fakes.request(3, rows=200_000)  # checked in a thread
    submitted = await asyncio.gather(
        *(house.jobs.submit(request, idempotency_key="k", fingerprint=b"1") for _ in range(10))
    )
    assert len({job.id for job, _ in submitted}) == 1
    assert sorted(replayed for _, replayed in submitted) == [False] + [True] * 9


async def test_another_body_is_a_conflict(house):
    await house.jobs.submit(fakes.request(3), idempotency_key="k", fingerprint=b"1")
    with pytest.raises(IdempotencyConflict):
        await house.jobs.submit(fakes.request(4), idempotency_key="k", fingerprint=b"2")


async def test_keys_belong_to_their_owner(house):
    one, _ = await house.jobs.submit(fakes.request(3), owner="ann", idempotency_key="k")
    other, replayed = await house.jobs.submit(fakes.request(3), owner="bob", idempotency_key="k")
    assert not replayed
    assert one.id != other.id


async def test_a_refused_request_leaves_its_key_free(house):
    with pytest.raises(BudgetExceeded):
        await house.jobs.submit(fakes.request(refused=1), idempotency_key="k", fingerprint=b"1")
    _, replayed = await house.jobs.submit(fakes.request(3), idempotency_key="k", fingerprint=b"2")
    assert not replayed


async def test_a_forgotten_job_leaves_its_key_free(house):
    job, _ = await house.jobs.submit(fakes.request(3), idempotency_key="k", fingerprint=b"1")
    await house.end(job)
    await house.jobs.delete(job.id)
    other, replayed = await house.jobs.submit(
        fakes.request(3), idempotency_key="k", fingerprint=b"1"
    )
    assert not replayed
    assert other.id != job.id


# --- watching ------------------------------------------------------------------------------------


async def watched(house, job, **kwargs):
    async with asyncio.timeout(PATIENCE_S):
        return [update async for update in house.jobs.watch(job.id, **kwargs)]


async def test_a_watcher_sees_every_row_once_and_the_end(house):
    job = await house.submit(300, epoch_s=0.001)
    updates = await watched(house, job)
    assert np.concatenate([update.rows.epoch for update in updates]).tolist() == [*range(1, 301)]
    assert updates[-1].job.status == "succeeded"
    assert not any(update.job.finished for update in updates[:-1])


async def test_a_watcher_resumes(house):
    job = await house.end(await house.submit(100))
    (update,) = await watched(house, job, after_epoch=90)
    assert update.rows.epoch.tolist() == [*range(91, 101)]


async def test_a_slow_watcher_gets_all_new_rows_at_once(house):
    job = await house.submit(200, epoch_s=0.0005)
    updates = house.jobs.watch(job.id)
    seen = [await anext(updates)]
    await house.end(job)
    seen += [update async for update in updates]
    assert np.concatenate([update.rows.epoch for update in seen]).tolist() == [*range(1, 201)]
    assert len(seen) == 2


async def test_a_watcher_is_kept_alive(house):
    job = await house.submit(10, stuck_at=1)
    updates = house.jobs.watch(job.id, keep_alive_s=0.01)
    await house.until(job, lambda job: job.status == "running")
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(4):
            update = await anext(updates)
    assert len(update.rows) == 0
    await updates.aclose()
    await house.jobs.cancel(job.id)


async def test_a_watcher_sees_a_retry_through(build, tmp_path):
    house = await build(workers=1)
    job = await house.submit(200, epoch_s=0.001, die_at=100, die_once=tmp_path / "died")
    updates = await watched(house, job)
    assert np.concatenate([update.rows.epoch for update in updates]).tolist() == [*range(1, 201)]
    assert updates[-1].job.attempts == 2
