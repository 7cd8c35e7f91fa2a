"""What a store in Redis promises besides the contract of stores."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from redis.asyncio.connection import AbstractConnection

from service.errors import QueueFull, StoreUnavailable, UnknownJob
from service.fitting import packing, with_rows
from service.jobs.executor import NullObserver
from service.jobs.job import Progress, StaleAttempt
from service.jobs.redis import documents, reader, subscription
from service.jobs.redis.executor import RedisExecutor
from service.jobs.redis.store import RedisStore
from service.jobs.service import JobService
from service.jobs.store import IdempotencyKey
from service.schemas.fit import FitRequest
from service.schemas.reading import Dates, Reading
from service.schemas.rows import RowFilter
from service.settings import Settings
from tests.jobs import fakes
from tests.jobs.conftest import SetClock, a_job
from tests.jobs.stores import shared
from tests.jobs.test_history import rows_of, same
from tests.redis_server import RedisServer

CLOCK = SetClock()


@pytest.fixture
async def open_stores(request):
    """Makes stores of one cell, as several processes have them."""
    opened: list[RedisStore] = []
    cell: Settings | None = None

    def make(**limits) -> RedisStore:
        nonlocal cell
        cell = cell or shared(request, Settings())
        opened.append(RedisStore(cell.model_copy(update=limits)))
        return opened[-1]

    yield make
    for store in opened:
        await store.close()


async def ended(store, **members):
    job = replace(a_job(CLOCK), **members)
    await store.create(job)
    await store.start(job.id, CLOCK.now())
    await store.finish(job.id, "succeeded", CLOCK.now(), result=b"{}")
    return job


async def test_a_change_wakes_other_processes(open_stores):
    here, there = open_stores(), open_stores()
    job = a_job(CLOCK)
    await here.create(job)
    waiter = asyncio.create_task(there.changed(job.id, job.version))
    await there.subscription.register("job_other", asyncio.Event())
    started = await here.start(job.id, CLOCK.now())
    assert (await waiter).version == started.version


async def test_a_fit_that_was_run_inline_is_stored_in_one_round_trip(open_stores, monkeypatch):
    store = open_stores()
    await store.record(replace(a_job(CLOCK), status="succeeded"), rows_of([1.0]), 0.1)
    asked, execute = [], store.client.execute_command

    async def counted(*args, **options):
        asked.append(args[0])
        return await execute(*args, **options)

    monkeypatch.setattr(store.client, "execute_command", counted)
    monkeypatch.setattr(store.client, "pipeline", None)
    job = replace(a_job(CLOCK), id="job_2", status="succeeded", finished_at=CLOCK.now())
    job = replace(job, answered=True, result=b"{}", curve=b"c")
    await store.record(job, rows_of([1.0]), 0.1, IdempotencyKey("k", b"1"))
    assert asked == ["EVALSHA"]


async def test_a_page_of_the_list_takes_as_many_round_trips_as_a_job(open_stores, monkeypatch):
    store = open_stores()
    executor = RedisExecutor(store._settings, store)
    jobs = JobService(store._settings, store, executor)
    sent, send = [], AbstractConnection.send_packed_command

    async def counted(self, *args, **options):
        sent.append(args)
        return await send(self, *args, **options)

    async def trips() -> int:
        before = len(sent)
        found, _ = await jobs.list(limit=1000)
        places = await jobs.places(found)
        assert {place and place.position for place in places} == {*range(len(found))}
        return len(sent) - before

    await store.create(replace(a_job(CLOCK), queue_key="0"))
    await jobs.places((await jobs.list())[0])
    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    one = await trips()
    for number in range(60):
        await store.create(replace(a_job(CLOCK), queue_key=str(number % 7)))
    assert await trips() == one == 4  # ids, records, no more ids, positions
    await executor.stop()


async def test_a_lost_message_delays_but_does_not_hide_a_change(open_stores, monkeypatch):
    monkeypatch.setattr(reader, "_REREAD_S", 0.01)
    here, there = open_stores(), open_stores()

    async def ignores_messages(job_id, event):
        pass

    monkeypatch.setattr(there.subscription, "register", ignores_messages)
    job = a_job(CLOCK)
    await here.create(job)
    waiter = asyncio.create_task(there.changed(job.id, job.version))
    await here.start(job.id, CLOCK.now())
    assert (await waiter).status == "running"


async def test_long_documents_are_kept_in_pieces(open_stores, monkeypatch):
    monkeypatch.setattr(reader, "PIECE", 1000)
    store = open_stores()
    job = replace(a_job(CLOCK), request=fakes.request(rows=2000))
    await store.create(job)
    assert await store.client.llen(f"{store.prefix}request:{job.id}") > 30
    assert (await store.request(job.id)).data["x"].tolist() == list(range(2000))
    await store.start(job.id, CLOCK.now())
    result = bytes(range(256)) * 20
    await store.append(job.id, rows_of([1.0]), Progress(), checkpoint=result, spent_s=1.5)
    await store.finish(job.id, "succeeded", CLOCK.now(), result=result, curve=b"c" * 1000)
    assert await store.answer(job.id) == (result, b"c" * 1000)
    assert await store.client.keys(f"{store.prefix.replace('{', '[{]')}staged:*") == []


async def lapse(store, job):
    """Has the lease of a job run out, at a time when nodes are heard of."""
    await store.beat("another", 1, [])
    await store.client.zadd(f"{store.prefix}leases", {job.id: 1})


async def test_a_job_whose_node_died_is_claimed_with_its_checkpoint(open_stores):
    store = open_stores()
    job = a_job(CLOCK)
    await store.create(job)
    first = await store.claim(CLOCK.now())
    await store.append(
        job.id, rows_of([1.0]), Progress(epoch=1), attempt=1, checkpoint=b"state", spent_s=1.5
    )
    await lapse(store, job)
    assert (await store.beat("n", 1, []))[0] == 1
    second = await store.claim(CLOCK.now())
    assert (first.job.attempts, second.job.attempts, second.job.id) == (1, 2, job.id)
    assert (second.checkpoint, second.spent_s) == (b"state", 1.5)
    assert (await store.beat("n", 1, [first.job]))[1] == [job.id]
    with pytest.raises(StaleAttempt):
        await store.append(job.id, rows_of([1.0]), Progress(), attempt=1)


async def test_live_nodes_keep_their_jobs_though_redis_was_away_for_longer_than_a_lease(
    open_stores,
):
    store = open_stores()
    job = a_job(CLOCK)
    await store.create(job)
    await store.claim(CLOCK.now())
    await lapse(store, job)
    await store.client.set(f"{store.prefix}heard", 1)  # nobody could be heard of since
    assert await store.claim(CLOCK.now()) is None
    assert (await store.beat("another", 1, []))[0] == 0
    assert await store.claim(CLOCK.now()) is None
    await lapse(store, job)
    assert (await store.claim(CLOCK.now())).job.id == job.id


async def test_a_job_that_is_handed_back_is_the_next_one(open_stores):
    store = open_stores()
    jobs = [a_job(CLOCK) for _ in range(3)]
    for job in jobs:
        await store.create(job)
    first = await store.claim(CLOCK.now())
    await store.release(first.job)
    assert await store.positions([first.job.id]) == [0]
    again = await store.claim(CLOCK.now())
    assert (again.job.id, again.job.attempts) == (first.job.id, 1)


async def test_finished_jobs_make_room_and_expire(open_stores):
    store = open_stores(max_jobs=3)
    first, second, third = [await ended(store) for _ in range(3)]
    await store.create(a_job(CLOCK))
    with pytest.raises(UnknownJob, match="expired"):
        await store.get(first.id)
    await store.delete(second.id)
    for _ in range(2):
        await store.create(a_job(CLOCK))
    with pytest.raises(QueueFull):
        await store.create(a_job(CLOCK))
    with pytest.raises(UnknownJob, match="expired"):
        await store.get(third.id)
    young = open_stores(max_job_age_s=0.001, max_jobs=9)
    job = await ended(young)
    await asyncio.sleep(0.02)
    with pytest.raises(UnknownJob):
        await young.get(job.id)
    assert (await young.stats()).jobs == {"queued": 3}


async def test_who_uses_the_most_is_evicted_first(open_stores):
    store = open_stores(max_jobs=5)
    much = [await ended(store, owner="much") for _ in range(3)]
    little = await ended(store, owner="little")
    for _ in range(2):
        await ended(store, owner="new")
    assert (await store.get(little.id)).id == little.id
    with pytest.raises(UnknownJob):
        await store.get(much[0].id)


async def test_a_list_has_each_job_once_though_jobs_come_and_go(open_stores, monkeypatch):
    monkeypatch.setattr(reader, "_PAGE", 2)
    store = open_stores()
    jobs = [await ended(store) for _ in range(6)]
    waiting = a_job(CLOCK)
    each, steps = store._each, iter([lambda: ended(store), lambda: store.delete(jobs[5].id)])

    async def meanwhile(command, ids, *args):
        if (step := next(steps, None)) is not None:
            await step()
        return await each(command, ids, *args)

    monkeypatch.setattr(store, "_each", meanwhile)
    found, more = await store.list(owner=None, status="succeeded", limit=9, after=None)
    assert ([job.id for job in found], more) == ([job.id for job in reversed(jobs[:5])], False)
    await store.create(waiting)
    found, more = await store.list(owner=None, status="succeeded", limit=3, after=jobs[4].id)
    assert ([job.id for job in found], more) == ([jobs[n].id for n in (3, 2, 1)], True)
    found, _ = await store.list(owner=None, status="queued", limit=3, after=None)
    assert [job.id for job in found] == [waiting.id]


async def test_nothing_is_left_of_what_is_deleted(open_stores):
    store = open_stores()
    job = a_job(CLOCK)
    await store.create(job, IdempotencyKey("k", b"1"))
    await store.cancel(job.id, CLOCK.now())
    await store.delete(job.id)
    left = await store.client.keys(f"{store.prefix.replace('{', '[{]')}*")
    names = {name.decode().removeprefix(store.prefix).partition(":")[0] for name in left}
    assert names <= {"gone", "totals"}
    stats = await store.stats()
    assert (stats.jobs, stats.nbytes, stats.queued) == ({}, 0, 0)


async def test_a_node_whose_clock_is_wrong_takes_no_job_of_a_live_one(open_stores):
    store = open_stores()
    job = a_job(CLOCK)
    await store.create(job)
    assert await store.claim(CLOCK.now()) is not None
    for minutes in (-1, 1):
        assert await store.claim(CLOCK.now() + timedelta(minutes=minutes)) is None
    assert (await store.get(job.id)).attempts == 1


async def test_ages_are_by_the_clock_of_redis(open_stores):
    """CLOCK is years from it."""
    ends = []

    class Observer(NullObserver):
        def job_ended(self, job, waited_s, fitted_s):
            ends.append((waited_s, fitted_s))

    store = open_stores()
    store._observer = Observer()
    job = a_job(CLOCK)
    await store.create(job)
    assert (await store.stats()).oldest_wait_s < 60
    first = await store.claim(CLOCK.now() - timedelta(minutes=1))
    assert first.waited_s < 60
    assert first.job.started_at == job.created_at  # not before it
    await store.release(first.job)
    await store.client.hincrby(f"{store.prefix}job:{job.id}", "began_ms", -(10**6))
    assert (await store.stats()).oldest_wait_s < 60
    second = await store.claim(CLOCK.now() + timedelta(minutes=1))
    ended = await store.finish(job.id, "succeeded", CLOCK.now() - timedelta(minutes=1))
    assert second.job.started_at == ended.finished_at == job.created_at
    ((waited_s, fitted_s),) = ends
    assert waited_s == 0
    assert 1000 <= fitted_s < 1060


async def test_a_request_of_another_version_is_read(open_stores, monkeypatch):
    store = open_stores()
    job = a_job(CLOCK)
    await store.create(job)
    monkeypatch.setattr(packing, "VERSION", "another")
    assert (await store.request(job.id)).data["x"].tolist() == [0.0, 1.0, 2.0]


READING = Reading(
    separator=";",
    decimal=",",
    charset="utf-8",
    header_line=3,
    units_line=None,
    lines_left_out=[1, 2],
    left_out=2,
    columns_left_out=0,
    dates={"t": Dates(unit="h", since="2026-01-01")},
    marks={"x": 1},
)


async def test_rows_and_requests_are_packed_without_loss():
    rows = rows_of([1.0, float("nan"), 3.0])
    assert same(documents.unpack_rows(documents.pack_rows(rows)), rows)
    asked = FitRequest.model_validate(
        {
            "data": {"x": [0.1, 0.2, 0.3], "y": [1e-300, 2.0, None], "g": ["a", "b", "a"]},
            "missing": "drop",
            "model": {"name": "polynomial", "degree": 2},
            "params": {"c0": {"value": 0.1, "min": 0}},
            "optimizer": {"name": "sgd", "learning_rate": 1e-3, "momentum": 0.9},
            "sigma": [0.1, 0.2, 0.3],
            "tags": {"a": "b"},
        }
    )
    asked = with_rows(asked.model_copy(update={"rows": RowFilter(where="x > 0.15")}))
    asked = asked.with_reading(READING)
    found = documents.unpack_request(documents.pack_request(asked))
    assert isinstance(found, FitRequest)
    assert found.reading == asked.reading
    assert found.rows == asked.rows
    assert found.model_copy(update={"data": {}}) == asked.model_copy(update={"data": {}})
    for name, column in asked.data.items():
        assert type(found.data[name]) is type(column)
        assert str(found.data[name].tolist()) == str(column.tolist())
    assert isinstance(found.data["x"], np.ndarray)


# --- a Redis that fails ---------------------------------------------------------------------------


@pytest.fixture
async def own():
    """A store, and the server that it is alone on."""
    server = RedisServer()
    server.start()
    store = RedisStore(Settings(redis_url=server.url, redis_timeout_s=0.5))
    yield server, store
    await store.close()
    server.close()


async def test_a_full_redis_refuses_new_jobs_and_lets_finished_ones_go(own):
    _, store = own
    job = await ended(store)
    await store.client.config_set("maxmemory", "1mb")
    with pytest.raises(StoreUnavailable, match="full"):
        await store.create(a_job(CLOCK))
    long = replace(a_job(CLOCK), request=fakes.request(rows=100_000))
    with pytest.raises(StoreUnavailable, match="full"):
        await store.create(long)
    await store.delete(job.id)
    await store.client.config_set("maxmemory", 0)
    await store.create(long)


async def test_a_redis_that_is_away_or_stalls_is_reported_and_comes_back(own):
    server, store = own
    job = a_job(CLOCK)
    await store.create(job)
    waiter = asyncio.create_task(store.changed(job.id, job.version))
    await asyncio.sleep(0)
    server.signal(signal.SIGSTOP)
    with pytest.raises(StoreUnavailable):
        await store.get(job.id)
    server.signal(signal.SIGCONT)
    with pytest.raises(StoreUnavailable):
        await waiter
    assert (await store.get(job.id)).id == job.id
    server.kill()
    with pytest.raises(StoreUnavailable):
        await store.create(a_job(CLOCK))
    server.start()
    assert (await store.claim(CLOCK.now())).job.id == job.id


async def test_who_listens_while_redis_is_away_hears_once_it_is_there(own, monkeypatch):
    server, store = own
    monkeypatch.setattr(subscription, "_RETRY_S", 0.01)
    server.kill()
    heard: asyncio.Queue[str] = asyncio.Queue()
    await store.subscription.listen("bell", heard.put_nowait)
    server.start()
    while not await store.client.publish(f"{store.prefix}bell", b"\xff"):
        await asyncio.sleep(0.01)
    while heard.empty():  # a message is lost while the connection is renewed
        await store.client.publish(f"{store.prefix}bell", b"word")
        await asyncio.sleep(0.01)
    assert await heard.get() == "word"
