"""A store in Redis whose keys expire, are lost or are written to by others, or whose server refuses
commands: only the job that is concerned suffers, and nothing is kept of what was refused."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import RedisError, ResponseError
from redis.exceptions import ConnectionError, MovedError

from service.errors import QueueFull, StoreUnavailable, UnknownJob
from service.fitting.packing import pack
from service.jobs.job import Progress, UnreadableRequest, new_job
from service.jobs.redis import documents, reader
from service.jobs.redis.connection import reason
from service.jobs.redis.documents import DamagedRecord
from service.jobs.redis.executor import RedisExecutor
from service.jobs.redis.node import Node
from service.jobs.redis.store import RedisStore
from service.jobs.redis.tickets import Tickets
from service.jobs.store import IdempotencyKey
from service.settings import Settings
from tests.jobs import fakes
from tests.jobs.conftest import SetClock, a_job
from tests.jobs.stores import shared
from tests.jobs.test_history import rows_of
from tests.redis_server import RedisServer

CLOCK = SetClock()


@pytest.fixture
async def store(request, monkeypatch):
    monkeypatch.setattr(reader, "PIECE", 1000)
    made = RedisStore(shared(request, Settings(max_jobs=6)))
    yield made
    await made.close()


async def created(store, **members):
    job = replace(a_job(CLOCK), **members)
    await store.create(job)
    return job


async def ended(store, **members):
    job = await created(store, **members)
    await store.start(job.id, CLOCK.now())
    await store.finish(job.id, "succeeded", CLOCK.now(), result=b"r" * 2500, curve=b"c" * 2500)
    return job


async def staged(store):
    return await store.client.keys(f"{store.prefix.replace('{', '[{]')}staged:*")


def long_job():
    return replace(a_job(CLOCK), request=fakes.request(rows=2000))


async def spoil(store, job_id, how):
    """Does to a record what no process of ours does."""
    key = f"{store.prefix}job:{job_id}"
    if how == "gone":
        await store.client.delete(key)
    elif how == "another type":
        await store.client.delete(key)
        await store.client.set(key, "text")
    elif how == "a field is missing":
        await store.client.hdel(key, "about")
    else:
        await store.client.hset(
            key, *{"no JSON": ("about", "{"), "no number": ("version", "x")}[how]
        )


DAMAGES = ("gone", "another type", "a field is missing", "no JSON", "no number")


@pytest.mark.parametrize("how", DAMAGES)
async def test_a_damaged_record_is_left_out_of_lists(store, how):
    jobs = [await ended(store) for _ in range(3)]
    await spoil(store, jobs[1].id, how)
    found, _ = await store.list(owner=None, status=None, limit=9, after=None)
    assert [job.id for job in found] == [jobs[2].id, jobs[0].id]
    with pytest.raises((UnknownJob, DamagedRecord, ResponseError)):
        await store.get(jobs[1].id)
    for _ in range(7):  # and gives way in its turn
        await ended(store)
    assert (await store.stats()).jobs == {"succeeded": 6}


@pytest.mark.parametrize("how", DAMAGES)
async def test_a_damaged_record_does_not_hold_up_the_queue(store, how):
    first, second = await created(store), await created(store)
    await spoil(store, first.id, how)
    assert (await store.claim(CLOCK.now())).job.id == second.id
    assert await store.claim(CLOCK.now()) is None
    stats = await store.stats()
    assert (stats.queued, stats.jobs["running"]) == (0, 1)
    await store.beat("n", 1, [])
    await store.client.zadd(f"{store.prefix}leases", {second.id: 1})
    await spoil(store, second.id, how)
    assert await store.claim(CLOCK.now()) is None
    assert await store.client.zcard(f"{store.prefix}leases") == 0
    assert not await store.client.hlen(f"{store.prefix}unfinished")


async def test_a_job_that_is_not_in_the_index_does_no_harm(store):
    jobs = [await ended(store) for _ in range(6)]
    await store.client.hdel(f"{store.prefix}sizes", jobs[0].id)
    await store.client.hset(f"{store.prefix}sizes", jobs[1].id, "{")
    for _ in range(9):
        await ended(store)
    job = await created(store)
    await store.client.hdel(f"{store.prefix}sizes", job.id)
    await store.start(job.id, CLOCK.now())
    await store.append(job.id, rows_of([1.0]), Progress())
    await store.finish(job.id, "succeeded", CLOCK.now(), result=b"{}")
    await store.delete(job.id)


async def test_a_document_that_expires_while_it_is_read_is_gone(store, monkeypatch):
    job = await ended(store)
    assert (await store.answer(job.id)).result == b"r" * 2500
    pieces = store.client.lrange

    async def expired(key, *places):
        await store.client.delete(key)
        return await pieces(key, *places)

    monkeypatch.setattr(store.client, "lrange", expired)
    with pytest.raises(UnknownJob):
        await store.answer(job.id)
    await store.client.delete(f"{store.prefix}request:{job.id}")
    with pytest.raises(UnreadableRequest):
        await store.request(job.id)


async def test_the_history_of_no_job_is_an_error(store):
    with pytest.raises(UnknownJob):
        await store.history("job_none")
    assert len(await store.history((await created(store)).id)) == 0


@pytest.mark.parametrize("lost", ["all of it", "its first piece"])
async def test_what_is_staged_may_be_lost(store, monkeypatch, lost):
    stage = store.stage

    async def losing(document):
        token, last = await stage(document)
        if token and lost == "all of it":
            await store.client.delete(f"{store.prefix}staged:{token}")
        elif token:
            await store.client.lpop(f"{store.prefix}staged:{token}")
        return token, last

    monkeypatch.setattr(store, "stage", losing)
    with pytest.raises(StoreUnavailable):
        await store.create(long_job())
    done = replace(long_job(), status="succeeded", finished_at=CLOCK.now(), answered=True)
    with pytest.raises(StoreUnavailable):
        await store.record(replace(done, result=b"{}"), rows_of([1.0]), 0.1)
    job = await created(store)
    await store.start(job.id, CLOCK.now())
    with pytest.raises(StoreUnavailable):
        await store.finish(job.id, "succeeded", CLOCK.now(), result=b"r" * 2500)
    monkeypatch.undo()
    stats = await store.stats()
    assert (stats.jobs, stats.queued) == ({"running": 1}, 0)
    await store.finish(job.id, "succeeded", CLOCK.now(), result=b"r" * 2500)


async def test_nothing_is_kept_of_a_long_request_that_is_refused(store):
    for _ in range(6):
        await created(store, queue_key=str(_))
    with pytest.raises(QueueFull):
        await store.create(long_job())
    assert await staged(store) == []
    key = IdempotencyKey("k", b"1")
    assert await store.claim(CLOCK.now()) is not None
    job = long_job()
    await store.delete(await some_end(store))
    await store.create(job, key)
    assert (await store.create(replace(long_job(), id="job_2"), key))[0].id == job.id
    assert await staged(store) == []


async def some_end(store):
    """The id of a job that has ended."""
    running, _ = await store.list(owner=None, status="running", limit=1, after=None)
    await store.finish(running[0].id, "cancelled", CLOCK.now(), stop_reason="cancelled")
    return running[0].id


async def test_another_version_may_write_what_this_one_cannot_read(store, monkeypatch):
    job = await ended(store)
    name = f"{store.prefix}curve:{job.id}"
    await store.client.delete(name)
    await store.client.rpush(name, pack({"kind": "fit", "later": True}))
    assert (await store.answer(job.id)).result == b"r" * 2500
    asked = pack({"kind": "fit", "options": '{"later": 1}', "data": {}})
    for document in (asked, pack({"kind": "later"}), b"damaged"):
        with pytest.raises(UnreadableRequest, match="another version"):
            documents.unpack_request(document)


# --- a server that refuses ------------------------------------------------------------------------


@pytest.fixture
def server():
    made = RedisServer("--databases", "2")
    made.start()
    yield made
    made.close()


async def test_a_full_redis_hears_nodes_and_cancels_what_waits(server):
    store = RedisStore(Settings(redis_url=server.url))
    jobs = [await created(store, queue_key=str(_)) for _ in range(2)]
    claimed = await store.claim(CLOCK.now())
    assert claimed is not None
    await store.client.zadd(f"{store.prefix}leases", {claimed.job.id: 1})
    await store.client.config_set("maxmemory", "1mb")
    await store.beat("n", 1, [claimed.job])
    assert await store.client.zscore(f"{store.prefix}leases", claimed.job.id) > 1
    for job in jobs:
        await store.cancel(job.id, CLOCK.now())
    assert (await store.get(claimed.job.id)).cancelling
    assert (await store.stats()).jobs == {"running": 1, "cancelled": 1}
    await store.close()


def of(server, user="", database=0, **more):
    """The URL of a database, for a user."""
    path = urlsplit(server.url).path
    return f"unix://{user}{'@' if user else ''}{path}?db={database}"


@pytest.mark.parametrize(("user", "database"), [("", 7), ("nobody:wrong", 0), ("few:word", 0)])
async def test_a_server_that_cannot_keep_the_jobs_is_no_error_of_ours(server, user, database):
    admin = RedisStore(Settings(redis_url=server.url))
    await admin.client.execute_command(
        *("ACL", "SETUSER", "few", "on", ">word", "~*", "+ping", "+select", "+evalsha", "+script")
    )
    store = RedisStore(Settings(redis_url=of(server, user, database)))
    with pytest.raises(StoreUnavailable) as raised:
        await store.create(a_job(CLOCK))
    assert "unavailable" not in reason(raised.value)
    assert reason(raised.value) != str(raised.value)
    await store.close()
    await admin.close()


async def test_a_replica_is_ready_only_where_tickets_can_be_issued(server):
    settings = Settings(redis_url=of(server, database=1))  # the next database is none
    store = RedisStore(settings)
    executor = RedisExecutor(settings, store, CLOCK)
    await executor.start()
    with pytest.raises(StoreUnavailable):
        await executor.check()
    await executor.stop()
    await store.close()


async def test_a_redis_that_takes_no_writes_is_reported_as_such(server):
    store = RedisStore(Settings(redis_url=server.url))
    await store.client.config_set("min-replicas-to-write", 1)  # NOREPLICAS, as MISCONF
    with pytest.raises(StoreUnavailable):
        await store.create(a_job(CLOCK))
    await store.close()


async def test_another_server_may_take_over_behind_the_same_address(server):
    other, address = RedisServer(), server.folder / "address"
    other.start()
    address.symlink_to(server.folder / "socket")
    settings = Settings(redis_url=f"unix://{address}?db=0")
    store, tickets = RedisStore(settings), Tickets(settings)
    await created(store)
    tickets.issue("one")
    await store.client.replicaof("127.0.0.1", 1)
    address.unlink()
    address.symlink_to(other.folder / "socket")
    with pytest.raises(StoreUnavailable):
        await store.create(a_job(CLOCK))
    with pytest.raises(RedisError):
        tickets.issue("one")
    await store.create(a_job(CLOCK))
    tickets.issue("one")
    assert (tickets.waiting(), (await store.stats()).queued) == (1, 1)
    tickets.close()
    await store.close()
    other.close()


async def test_a_cell_is_found_in_a_cluster(monkeypatch):
    store = RedisStore(Settings(redis_url="redis://named:7000/0"))
    addresses = []

    def fails_with(error):
        async def stats(**_):
            addresses.append(store.scripts._address())
            raise error

        monkeypatch.setitem(store.scripts._scripts, "stats", stats)

    moved = MovedError("13907 10.0.0.2:7002")
    for error in (moved, ConnectionError("gone"), ConnectionError("gone")):
        fails_with(error)
        with pytest.raises(StoreUnavailable):
            await store.stats()
    named, found = {"host": "named", "port": 7000}, {"host": "10.0.0.2", "port": 7002}
    assert addresses == [named, found, found, named]  # a command that was moved is sent again
    await store.close()


def acl_rules() -> list[str]:
    """Those of the user that docs/operations/scaling-out.md recommends."""
    page = Path(__file__).parents[2] / "docs" / "operations" / "scaling-out.md"
    found = re.search(r"^ACL SETUSER descent on >password (.*)$", page.read_text(), re.MULTILINE)
    assert found is not None
    return found.group(1).split()


async def test_the_recommended_user_of_the_acl_can_do_all_that_is_needed(server, monkeypatch):
    monkeypatch.setattr(reader, "PIECE", 1000)
    admin = RedisStore(Settings(redis_url=server.url))
    await admin.client.execute_command("ACL", "SETUSER", "descent", "on", ">word", *acl_rules())
    settings = Settings(redis_url=of(server, "descent:word"), workers=1)
    store = RedisStore(settings)
    executor, node = RedisExecutor(settings, store), Node(settings, entry=fakes.ENTRY)
    await executor.start()
    await executor.check()
    await node.start()
    asked = fakes.request(20, rows=2000)
    outline = fakes.check(asked, settings)
    ids = []
    for _ in range(3):
        job = new_job(asked, outline, owner="", queue_key="", now=CLOCK.now())
        await executor.submit(job, key=IdempotencyKey(job.id, b"1"))
        ids.append(job.id)
    await executor.cancel(ids[-1])
    for job_id in ids:
        while not (job := await store.get(job_id)).finished:
            await store.changed(job_id, job.version)
    assert len(await store.history(ids[0])) == 20
    assert await store.answer(ids[0]) is not None
    await store.delete(ids[0])
    await store.beat("n", 1, [])
    await executor.places(ids)
    assert (await store.list(owner=None, status=None, limit=9, after=ids[-1]))[0]
    await node.stop()
    await executor.stop()
    await store.close()
    denied = [entry["object"] for entry in await admin.client.acl_log()]
    assert denied == []
    await admin.close()


async def test_a_node_goes_on_after_a_request_that_it_cannot_read(server):
    settings = Settings(redis_url=server.url, workers=1)
    store = RedisStore(settings)
    executor, node = RedisExecutor(settings, store), Node(settings, entry=fakes.ENTRY)
    await executor.start()
    asked = fakes.request(5)
    outline = fakes.check(asked, settings)
    jobs = [
        new_job(asked, outline, owner="", queue_key="", now=CLOCK.now() + timedelta(seconds=n))
        for n in range(2)
    ]
    for job in jobs:
        await executor.submit(job)
    name = f"{store.prefix}request:{jobs[0].id}"
    await store.client.delete(name)
    await store.client.rpush(name, pack({"kind": "later"}))
    await node.start()
    (worker,) = (slot.pid for slot in node._slots)
    for job in jobs:
        while not (found := await store.get(job.id)).finished:
            await store.changed(job.id, found.version)
    assert found.status == "succeeded"
    failed = await store.get(jobs[0].id)
    assert failed.failure is not None
    assert (failed.status, failed.failure.type, failed.attempts) == ("failed", "job-failed", 1)
    assert "another version" in failed.failure.detail
    assert [slot.pid for slot in node._slots] == [worker]
    await node.stop()
    await executor.stop()
    await store.close()
