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
from tests.jobs.conftest import LocalJobs, count
from tests.soon import PATIENCE_S

LONG = {"epochs": 10**8, "record_every": 10**8, "epoch_s": 0.001}


async def test_a_refused_request_makes_no_job(local):
    with pytest.raises(BudgetExceeded):
        await local.submit(refused=1)
    assert await count(local.store) == 0


async def test_a_large_request_is_checked_off_the_loop(local):
    with pytest.raises(BudgetExceeded):
        await local.submit(refused=1, rows=200_000)


async def test_a_job_has_the_interpreted_model(local):
    job = await local.submit(7, colour="red")
    assert (job.model, job.params, job.progress.epochs) == ("y = a * x + b", ("a", "b"), 7)
    assert dict(job.tags) == {"colour": "red"}
    assert job.id.startswith("job_")


async def test_requests_are_refused_unless_ready():
    local = LocalJobs()
    assert not local.jobs.ready
    with pytest.raises(NotReady):
        await local.submit(1)
    await local.jobs.start()
    assert local.jobs.ready
    await local.jobs.stop()
    assert not local.jobs.ready
    with pytest.raises(NotReady):
        await local.submit(1)


async def test_a_wait_ends_with_the_job(local):
    job = await local.jobs.wait((await local.submit(3)).id, PATIENCE_S)
    assert job.status == "succeeded"


async def test_a_wait_that_times_out_returns_the_job(local):
    job = await local.jobs.wait((await local.submit(**LONG)).id, 0.05)
    assert not job.finished
    await local.jobs.cancel(job.id)


async def test_jobs_of_other_owners_are_unknown(local):
    job = await local.submit(1, owner="ann")
    for call in (
        local.jobs.get(job.id, "bob"),
        local.jobs.history(job.id, "bob"),
        local.jobs.cancel(job.id, "bob"),
        local.jobs.delete(job.id, "bob"),
        local.jobs.wait(job.id, 1, "bob"),
        anext(local.jobs.watch(job.id, "bob")),
    ):
        with pytest.raises(UnknownJob):
            await call
    assert (await local.jobs.list("bob"))[0] == []
    assert (await local.jobs.get(job.id, "ann")).id == job.id


async def test_a_finished_job_is_cancelled_unchanged(local):
    job = await local.end(await local.submit(1))
    assert await local.jobs.cancel(job.id) == job


async def test_a_cancel_returns_when_the_job_has_ended(local):
    job = await local.submit(**LONG)
    assert (await local.jobs.cancel(job.id)).status == "cancelled"


async def test_only_a_finished_job_is_deleted(local):
    job = await local.submit(**LONG)
    with pytest.raises(JobStillRunning):
        await local.jobs.delete(job.id)
    await local.jobs.cancel(job.id)
    await local.jobs.delete(job.id)
    with pytest.raises(UnknownJob, match="deleted"):
        await local.jobs.get(job.id)


async def test_a_history_has_the_params_columns_even_without_rows(local):
    job = await local.submit(stuck_at=1)
    rows = await local.jobs.history(job.id)
    assert rows.params.shape == rows.gradient.shape == (0, 2)
    await local.jobs.cancel(job.id)


async def test_a_history_is_paged_and_thinned(local):
    job = await local.end(await local.submit(100))
    rows = await local.jobs.history(job.id, None, 10, 5)
    assert rows.epoch.tolist() == [11, 12, 13, 14, 15]
    rows = await local.jobs.history(job.id, max_points=20)
    assert len(rows) <= 20
    assert rows.thinned


async def test_a_queued_job_has_a_position_and_an_estimate(build):
    local = await build(workers=1)
    running = await local.submit(**LONG)
    running = await local.running(running)
    queued = await local.submit(1)
    assert await local.jobs.place(running) is None
    place = await local.jobs.place(queued)
    assert place.position == 0
    assert place.eta_s > 0
    await local.jobs.cancel(running.id)


async def test_a_full_queue_has_a_retry_after(build):
    local = await build(workers=1, max_queued_jobs=1)
    running = await local.submit(**LONG)
    await local.submit(1)
    with pytest.raises(QueueFull) as full:
        await local.submit(1)
    assert full.value.retry_after_s >= 1
    await local.jobs.cancel(running.id)


# --- idempotency keys ----------------------------------------------------------------------------


async def test_the_same_key_and_body_is_the_same_job(local):
    request = fakes.request(3)
    first, replayed = await local.jobs.submit(request, idempotency_key="k", fingerprint=b"1")
    assert not replayed
    again, replayed = await local.jobs.submit(request, idempotency_key="k", fingerprint=b"1")
    assert (again.id, replayed) == (first.id, True)
    await local.end(first)
    again, replayed = await local.jobs.submit(request, idempotency_key="k", fingerprint=b"1")
    assert (again.id, again.status, replayed) == (first.id, "succeeded", True)


async def test_the_same_key_at_the_same_time_is_one_job(local):
    request = fakes.request(3, rows=200_000)  # checked in a thread
    submitted = await asyncio.gather(
        *(local.jobs.submit(request, idempotency_key="k", fingerprint=b"1") for _ in range(10))
    )
    assert len({job.id for job, _ in submitted}) == 1
    assert sorted(replayed for _, replayed in submitted) == [False] + [True] * 9


async def test_another_body_is_a_conflict(local):
    await local.jobs.submit(fakes.request(3), idempotency_key="k", fingerprint=b"1")
    with pytest.raises(IdempotencyConflict):
        await local.jobs.submit(fakes.request(4), idempotency_key="k", fingerprint=b"2")


async def test_keys_belong_to_their_owner(local):
    one, _ = await local.jobs.submit(fakes.request(3), owner="ann", idempotency_key="k")
    other, replayed = await local.jobs.submit(fakes.request(3), owner="bob", idempotency_key="k")
    assert not replayed
    assert one.id != other.id


async def test_a_refused_request_leaves_its_key_free(local):
    with pytest.raises(BudgetExceeded):
        await local.jobs.submit(fakes.request(refused=1), idempotency_key="k", fingerprint=b"1")
    _, replayed = await local.jobs.submit(fakes.request(3), idempotency_key="k", fingerprint=b"2")
    assert not replayed


async def test_a_forgotten_job_leaves_its_key_free(local):
    job, _ = await local.jobs.submit(fakes.request(3), idempotency_key="k", fingerprint=b"1")
    await local.end(job)
    await local.jobs.delete(job.id)
    other, replayed = await local.jobs.submit(
        fakes.request(3), idempotency_key="k", fingerprint=b"1"
    )
    assert not replayed
    assert other.id != job.id


# --- watching ------------------------------------------------------------------------------------


async def watched(local, job, **kwargs):
    async with asyncio.timeout(PATIENCE_S):
        return [update async for update in local.jobs.watch(job.id, **kwargs)]


async def test_a_watcher_sees_every_row_once_and_the_end(local):
    job = await local.submit(300, epoch_s=0.001)
    updates = await watched(local, job)
    assert np.concatenate([update.rows.epoch for update in updates]).tolist() == [*range(1, 301)]
    assert updates[-1].job.status == "succeeded"
    assert not any(update.job.finished for update in updates[:-1])


async def test_a_watcher_resumes(local):
    job = await local.end(await local.submit(100))
    (update,) = await watched(local, job, after_epoch=90)
    assert update.rows.epoch.tolist() == [*range(91, 101)]


async def test_a_slow_watcher_gets_all_new_rows_at_once(local):
    job = await local.submit(200, epoch_s=0.0005)
    updates = local.jobs.watch(job.id)
    seen = [await anext(updates)]
    await local.end(job)
    seen += [update async for update in updates]
    assert np.concatenate([update.rows.epoch for update in seen]).tolist() == [*range(1, 201)]
    assert len(seen) == 2


async def test_a_watcher_is_kept_alive(local):
    job = await local.submit(10, stuck_at=1)
    updates = local.jobs.watch(job.id, keep_alive_s=0.01)
    await local.until(job, lambda job: job.status == "running")
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(4):
            update = await anext(updates)
    assert len(update.rows) == 0
    await updates.aclose()
    await local.jobs.cancel(job.id)


async def test_a_watcher_sees_a_retry_through(build, tmp_path):
    local = await build(workers=1)
    job = await local.submit(200, epoch_s=0.001, die_at=100, die_once=tmp_path / "died")
    updates = await watched(local, job)
    assert np.concatenate([update.rows.epoch for update in updates]).tolist() == [*range(1, 201)]
    assert updates[-1].job.attempts == 2
