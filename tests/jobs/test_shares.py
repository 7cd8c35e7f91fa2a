"""Whose jobs go when the store is full."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.errors import IdempotencyConflict, QueueFull, UnknownJob
from service.jobs.idempotency import Keys
from service.jobs.job import Job
from service.jobs.memory_store import MemoryStore
from service.jobs.shares import Shares
from service.settings import Settings
from tests.jobs.conftest import SetClock, a_job


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


async def test_who_floods_pushes_out_their_own() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=10), clock)
    mine = [await done(store, clock, "alice") for _ in range(3)]
    theirs = [await done(store, clock, "mallory") for _ in range(50)]
    assert [await there(store, job) for job in mine] == [True] * 3
    assert [await there(store, job) for job in theirs] == [False] * 43 + [True] * 7
    assert len(store) == 10


async def test_bytes_count_as_well() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_store_bytes=200_000), clock)
    mine = [await done(store, clock, "alice") for _ in range(10)]
    theirs = [await done(store, clock, "mallory", 40_000) for _ in range(20)]
    assert all([await there(store, job) for job in mine])
    assert await there(store, theirs[-1])
    assert store.nbytes <= 200_000


async def test_who_holds_less_takes_from_who_holds_more() -> None:
    """A newcomer finds room, though another came first and filled it."""
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=10), clock)
    theirs = [await done(store, clock, "mallory") for _ in range(10)]
    mine = [await done(store, clock, "alice") for _ in range(5)]
    assert all([await there(store, job) for job in mine])
    assert [await there(store, job) for job in theirs] == [False] * 5 + [True] * 5


async def test_running_jobs_of_one_do_not_push_out_the_finished_of_another() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_jobs=10), clock)
    mine = [await done(store, clock, "alice") for _ in range(3)]
    for _ in range(7):
        await store.create(replace(a_job(clock), owner="mallory"))
    with pytest.raises(QueueFull):
        await store.create(replace(a_job(clock), owner="mallory"))
    assert all([await there(store, job) for job in mine])


async def test_what_is_deleted_or_too_old_is_nobody_s_share() -> None:
    clock = SetClock()
    store = MemoryStore(Settings(max_job_age_s=60), clock)
    await store.delete((await done(store, clock, "alice")).id)
    await done(store, clock, "mallory")
    clock.advance(61)
    await done(store, clock, "alice")
    assert store._shares._shares.keys() == {"alice"}


def test_the_owner_who_holds_the_most_gives_first() -> None:
    shares = Shares(100, 1000)
    for owner, nbytes in (("a", 10), ("b", 300), ("b", 10), ("c", 200)):
        shares.add(owner, nbytes)
    assert shares.victim("a") is None
    for owner, job in (("a", "a1"), ("b", "b1"), ("b", "b2"), ("c", "c1")):
        shares.finish(owner, job)
    assert shares.victim("a") == "b1"
    assert shares.victim("a", spare="b1") == "b2"
    shares.grow("c", 500)
    assert shares.victim("a") == "c1"
    shares.remove("c", "c1", 700)
    shares.remove("b", "b2", 10)
    assert shares.victim("newcomer") == "b1"


async def test_idempotency_keys_of_one_do_not_push_out_those_of_another() -> None:
    keys = Keys(room=2)
    for owner, key in [("alice", "k"), *(("mallory", f"k{n}") for n in range(9))]:
        async with keys.claim(owner, key, b"1") as claim:
            claim.job_id = f"job_{key}"
    async with keys.claim("alice", "k", b"1") as claim:
        assert claim.job_id == "job_k"
    with pytest.raises(IdempotencyConflict):
        async with keys.claim("alice", "k", b"2"):
            pass
