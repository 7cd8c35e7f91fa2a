"""Whose jobs go when the store is full."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.errors import QueueFull, QuotaExceeded, UnknownJob
from service.jobs.eviction import StoreQuota
from service.jobs.job import Job
from service.jobs.memory_store import MemoryStore
from service.settings import Settings
from tests.jobs.conftest import SetClock, a_job, count


async def done(store: MemoryStore, clock: SetClock, owner: str, nbytes: int = 10) -> Job:
    job = replace(a_job(clock), owner=owner)
    await store.create(job)
    await store.start(job.id, clock.now())
    return await store.finish(job.id, "succeeded", clock.now(), result=b"x" * nbytes)


async def there(store: MemoryStore, job: Job) -> bool:
    try:
        return await store.get(job.id, job.owner) == job
    except UnknownJob:
        return False


def going(shares: StoreQuota, asker: str, spare: str | None = None) -> list[str]:
    return [job_id for job_id, _ in shares.evictable(asker, spare)]


async def test_a_flood_evicts_its_own_jobs() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=10), clock)
    mine = [await done(store, clock, "alice") for _ in range(3)]
    theirs = [await done(store, clock, "mallory") for _ in range(50)]
    assert [await there(store, job) for job in mine] == [True] * 3
    assert [await there(store, job) for job in theirs] == [False] * 43 + [True] * 7
    assert await count(store) == 10


async def test_bytes_count_as_well() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_store_bytes=200_000), clock)
    mine = [await done(store, clock, "alice") for _ in range(10)]
    theirs = [await done(store, clock, "mallory", 40_000) for _ in range(20)]
    assert all([await there(store, job) for job in mine])
    assert await there(store, theirs[-1])
    assert (await store.stats()).nbytes <= 200_000


async def test_the_owner_below_the_quota_evicts_jobs_of_the_one_above() -> None:
    """A newcomer finds room, though another came first and filled it."""
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=10), clock)
    theirs = [await done(store, clock, "mallory") for _ in range(10)]
    mine = [await done(store, clock, "alice") for _ in range(5)]
    assert all([await there(store, job) for job in mine])
    assert [await there(store, job) for job in theirs] == [False] * 5 + [True] * 5


async def test_running_jobs_do_not_evict_finished_jobs_of_another() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=10), clock)
    mine = [await done(store, clock, "alice") for _ in range(3)]
    for _ in range(7):
        await store.create(replace(a_job(clock), owner="mallory"))
    with pytest.raises(QueueFull):
        await store.create(replace(a_job(clock), owner="mallory"))
    assert all([await there(store, job) for job in mine])


async def test_deleted_and_expired_jobs_do_not_count() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_job_age_s=60), clock)
    await store.delete((await done(store, clock, "alice")).id)
    await done(store, clock, "mallory")
    clock.advance(61)
    await done(store, clock, "alice")
    assert store._entries._quota._usage.keys() == {"alice"}


def test_the_largest_owner_is_evicted_first() -> None:
    shares = StoreQuota(100, 1000)
    for owner, nbytes in (("a", 10), ("b", 300), ("b", 10), ("c", 200)):
        shares.add(owner, nbytes)
    assert going(shares, "a") == []
    shares.grow("c", 500)
    for owner, job, nbytes in (
        ("a", "a1", 10),
        ("b", "b1", 300),
        ("b", "b2", 10),
        ("c", "c1", 700),
    ):
        shares.finish(owner, job, nbytes)
    assert going(shares, "a") == ["c1", "b1", "a1", "b2"]
    assert going(shares, "a", spare="b1") == ["c1", "b2", "a1"]
    assert going(shares, "c") == ["c1", "b1", "a1", "b2"]
    assert going(shares, "b") == ["c1", "b1", "a1", "b2"]
    shares.remove("c", "c1")
    shares.remove("b", "b2")
    assert going(shares, "newcomer") == ["b1", "a1"]
    shares.add("a", 900)
    assert going(shares, "a") == ["a1"], "who holds less is left alone"
    assert shares.finished_nbytes == 310


async def test_nothing_is_evicted_for_a_job_that_cannot_fit() -> None:
    clock = SetClock()
    one = a_job(clock).nbytes
    store = MemoryStore(Settings(max_store_bytes=10 * one), clock)
    mine = [await done(store, clock, "bob") for _ in range(3)]
    for owner in ("alice", "carol", "dave"):  # the first of each is let in as it is
        await store.create(replace(a_job(clock), owner=owner, nbytes=2 * one))
    with pytest.raises(QueueFull):
        await store.create(replace(a_job(clock), owner="bob", nbytes=5 * one))
    assert all([await there(store, job) for job in mine])
    await store.create(replace(a_job(clock), owner="bob", nbytes=2 * one))
    assert [await there(store, job) for job in mine] == [False, False, True]


async def test_unfinished_jobs_of_one_leave_room_for_another() -> None:
    """Alone, an owner's unfinished jobs may hold half of the store: an even share, and one is for
    whoever comes. Then it is a third, and so on."""
    clock = SetClock()
    one = a_job(clock).nbytes
    store = MemoryStore(Settings(max_store_bytes=12 * one + 1000), clock)
    mine = [await done(store, clock, "bob") for _ in range(3)]
    assert await fill(store, clock, "alice") == 6
    for _ in range(3):
        await store.create(replace(a_job(clock), owner="bob"))
    assert all([await there(store, job) for job in mine])
    with pytest.raises(QuotaExceeded):
        await store.create(replace(a_job(clock), owner="alice"))


async def test_the_shares_of_many_are_smaller() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_store_bytes=60 * a_job(clock).nbytes), clock)
    assert [await fill(store, clock, owner) for owner in "abc"] == [30, 20, 10]


async def fill(store: MemoryStore, clock: SetClock, owner: str) -> int:
    """How many jobs the owner may have queued until there is no more room."""
    for queued in range(1000):
        try:
            await store.create(replace(a_job(clock), owner=owner))
        except QueueFull:
            return queued
    raise AssertionError("there is no end to it")


async def test_a_job_that_is_done_makes_room_for_the_next() -> None:
    clock = SetClock()
    one = a_job(clock).nbytes
    store = MemoryStore(Settings(max_store_bytes=4 * one), clock)
    for _ in range(9):
        await done(store, clock, "alice")
    first = replace(a_job(clock), owner="alice", nbytes=3 * one)
    await store.create(first)
    with pytest.raises(QuotaExceeded, match="this key fill its share"):
        await store.create(replace(a_job(clock), owner="alice"))
    await store.start(first.id, clock.now())
    await store.finish(first.id, "failed", clock.now())
    await store.create(replace(a_job(clock), owner="alice"))


async def test_without_owners_there_is_one_quota() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_store_bytes=6 * a_job(clock).nbytes), clock)
    for _ in range(6):
        await store.create(a_job(clock))
