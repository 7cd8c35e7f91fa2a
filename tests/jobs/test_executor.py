"""What any executor promises. A new one joins as a kind of `LocalSetup`.

Workers here run the fake engine: see `fakes`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from service.errors import NotReady, QueueFull
from service.jobs import local_executor, worker_slots
from service.jobs.executor import Executor, InlineResult
from service.jobs.job import new_job
from service.jobs.local_executor import LocalExecutor
from service.jobs.memory_store import MemoryStore
from service.settings import Settings
from tests.jobs import fakes
from tests.jobs.conftest import SetClock, a_job, count
from tests.jobs.scripted_workers import ScriptedWorkers
from tests.jobs.stores import shared
from tests.jobs.test_history import rows_of
from tests.jobs.test_store import bare
from tests.soon import PATIENCE_S

EXECUTORS = ("local", "redis")


class LocalSetup:
    """A local executor, its store, and ways to wait."""

    def __init__(self, store=MemoryStore, **limits) -> None:
        given = {"workers": 1, "max_queued_jobs": 4, "cancel_grace_s": PATIENCE_S, **limits}
        self.settings = Settings(shutdown_grace_s=0.05, **given)
        self.store = store(self.settings)
        self.executor: Executor = LocalExecutor(self.settings, self.store, entry=fakes.ENTRY)

    async def start(self):
        await self.executor.start()

    async def stop(self):
        await self.executor.stop()

    async def submit(self, *args, queue_key: str = "", **tags):
        request = fakes.request(*args, **tags)
        outline = fakes.check(request, self.settings)
        job = new_job(request, outline, owner="", queue_key=queue_key, now=SetClock().now())
        await self.executor.submit(job)
        return job

    async def when(self, job, reached):
        async with asyncio.timeout(PATIENCE_S):
            job = await self.store.get(job.id)
            while not reached(job):
                job = await self.store.changed(job.id, job.version)
        return job

    async def end(self, job):
        """The ended job, with its result."""
        job = await self.when(job, lambda job: job.finished)
        answer = await self.store.answer(job.id)
        return replace(job, result=None if answer is None else answer.result)

    async def busy(self):
        """A job that runs until it is cancelled."""
        job = await self.submit(10**8, record_every=10**8, epoch_s=0.001)
        return await self.when(job, lambda job: job.status == "running")


class RedisSetup(LocalSetup):
    """An executor of a replica, and a node."""

    def __init__(self, request, **limits) -> None:
        given = {"workers": 1, "max_queued_jobs": 4, "cancel_grace_s": PATIENCE_S, **limits}
        self.settings = shared(request, Settings(shutdown_grace_s=0.05, **given))
        from service.jobs.redis.executor import RedisExecutor
        from service.jobs.redis.store import RedisStore

        self.store = RedisStore(self.settings)
        self.executor = RedisExecutor(self.settings, self.store)
        self.node = self.new_node()

    def new_node(self, **changed):
        from service.jobs.redis.node import Node

        return Node(self.settings.model_copy(update=changed), entry=fakes.ENTRY)

    async def start(self):
        await self.executor.start()
        await self.node.start()

    async def stop(self):
        await self.executor.stop()
        await self.node.stop()
        await self.store.close()


@pytest.fixture(params=EXECUTORS)
async def setup(request):
    made = LocalSetup() if request.param == "local" else RedisSetup(request)
    await made.start()
    yield made
    await made.stop()


async def test_a_job_runs_to_its_end(setup):
    job = await setup.end(await setup.submit(20))
    assert (job.status, job.stop_reason, job.attempts) == ("succeeded", "max_epochs", 1)
    assert job.progress.epoch == 20
    assert fakes.without_timings(job.result)["epochs"] == 20
    assert len(await setup.store.history(job.id)) == 20
    assert job.created_at < job.started_at <= job.finished_at


async def test_a_failing_job_fails_alone(setup):
    job = await setup.end(await setup.submit(5, raise_at=2, error="secret"))
    assert (job.status, job.failure.type) == ("failed", "job-failed")
    assert (await setup.end(await setup.submit(5))).status == "succeeded"


async def test_jobs_wait_for_their_turn(setup):
    busy = await setup.busy()
    waiting = [await setup.submit(1) for _ in range(3)]
    places = await setup.executor.places([job.id for job in waiting])
    assert [place.position for place in places] == [0, 1, 2]
    assert await setup.executor.places([busy.id]) == [None]
    await setup.executor.cancel(busy.id)
    ended = [await setup.end(job) for job in waiting]
    assert all(job.status == "succeeded" for job in ended)
    starts = [job.started_at for job in ended]
    assert starts == sorted(starts)
    assert await setup.executor.places([ended[0].id]) == [None]


async def test_the_queue_is_bounded(setup):
    busy = await setup.busy()
    for _ in range(4):
        await setup.submit(1)
    before = await count(setup.store)
    with pytest.raises(QueueFull) as full:
        await setup.submit(1)
    assert full.value.retry_after_s >= 1
    assert await count(setup.store) == before
    await setup.executor.cancel(busy.id)


async def test_queue_keys_take_turns(setup):
    busy = await setup.busy()
    flood = [await setup.submit(1, queue_key="flood") for _ in range(3)]
    other = await setup.submit(1, queue_key="other")
    assert (await setup.executor.places([other.id]))[0].position == 1
    await setup.executor.cancel(busy.id)
    ended = [await setup.end(job) for job in (flood[0], other, flood[1], flood[2])]
    starts = [job.started_at for job in ended]
    assert starts == sorted(starts)


async def test_a_running_job_is_cancelled_with_its_best(setup):
    job = await setup.submit(10**8, record_every=5, epoch_s=0.001)
    await setup.when(job, lambda job: job.progress.epoch >= 10)
    await setup.executor.cancel(job.id)
    job = await setup.end(job)
    assert (job.status, job.stop_reason) == ("cancelled", "cancelled")
    assert fakes.without_timings(job.result)["epochs"] >= 10


async def test_a_queued_job_is_cancelled_at_once(setup):
    await setup.busy()
    job = await setup.submit(1)
    await setup.executor.cancel(job.id)
    job = await setup.end(job)
    assert (job.status, job.result, job.started_at) == ("cancelled", None, None)


async def test_a_cancel_of_what_ended_is_nothing(setup):
    job = await setup.end(await setup.submit(1))
    await setup.executor.cancel(job.id)
    await setup.executor.cancel("job_never")
    assert bare(await setup.store.get(job.id)) == bare(job)


async def test_a_cancel_that_races_with_the_end_has_one_outcome(setup):
    for epochs in (1, 3, 10, 30, 100):
        job = await setup.submit(epochs, epoch_s=0.0002)
        await setup.when(job, lambda job: job.status != "queued")
        await setup.executor.cancel(job.id)
        job = await setup.end(job)
        assert job.status in ("succeeded", "cancelled")
        assert (job.stop_reason == "cancelled") == (job.status == "cancelled")


async def test_the_time_limit_is_kept(setup):
    request = fakes.request(10**8, record_every=10**8, epoch_s=0.001)
    request = request.model_copy(update={"time_limit_s": 0.1})
    job = new_job(request, fakes.check(request, setup.settings), owner="", queue_key="",
                  now=SetClock().now())  # fmt: skip
    await setup.executor.submit(job)
    job = await setup.end(job)
    assert (job.status, job.stop_reason) == ("succeeded", "time_limit")


async def test_a_lost_worker_costs_its_job_nothing(setup, tmp_path):
    whole = await setup.end(await setup.submit(300, epoch_s=0.001))
    again = await setup.submit(300, epoch_s=0.001, die_at=150, die_once=tmp_path / "died")
    again = await setup.end(again)
    assert (again.status, again.attempts) == ("succeeded", 2)
    assert fakes.without_timings(again.result) == fakes.without_timings(whole.result)
    histories = [await setup.store.history(job.id) for job in (whole, again)]
    assert histories[0].loss.tolist() == histories[1].loss.tolist()


async def test_a_job_that_kills_every_worker_fails_alone(setup):
    job = await setup.end(await setup.submit(5, die_at=3))
    assert (job.status, job.failure.type, job.attempts) == ("failed", "worker-lost", 2)
    assert (await setup.end(await setup.submit(5))).status == "succeeded"


async def test_nothing_is_taken_before_the_start():
    with pytest.raises(NotReady):
        await LocalExecutor(Settings(), MemoryStore(Settings())).submit(a_job(SetClock()))


async def test_a_stop_ends_every_job():
    setup = LocalSetup()
    await setup.executor.start()
    running = await setup.busy()
    queued = [await setup.submit(1) for _ in range(3)]
    await setup.executor.stop()
    running = await setup.store.get(running.id)
    assert (running.status, running.stop_reason) == ("cancelled", "cancelled")
    assert running.result is not None
    for job in queued:
        assert (await setup.store.get(job.id)).status == "cancelled"
    with pytest.raises(NotReady):
        await setup.submit(1)


async def test_a_stop_lets_a_job_end_that_is_about_to():
    setup = LocalSetup()
    await setup.executor.start()
    job = await setup.submit(20, epoch_s=0.001)
    await setup.when(job, lambda job: job.status == "running")
    await setup.executor.stop()
    assert (await setup.store.get(job.id)).finished


# --- a store that fails ---------------------------------------------------------------------------


class FailingStore(MemoryStore):
    """Raises as often as it is told to, from the methods that are named."""

    def __init__(self, settings) -> None:
        super().__init__(settings)
        self.failing, self.left = (), 0

    def fail(self, left, *names):
        self.failing, self.left = names, left

    def _fail(self, name):
        if name in self.failing and self.left > 0:
            self.left -= 1
            raise ConnectionError("the store is away")

    async def append(self, *args, **kwargs):
        self._fail("append")
        return await super().append(*args, **kwargs)

    async def finish(self, *args, **kwargs):
        self._fail("finish")
        return await super().finish(*args, **kwargs)

    async def requeue(self, *args, **kwargs):
        self._fail("requeue")
        return await super().requeue(*args, **kwargs)

    async def claim(self, *args, **kwargs):
        self._fail("claim")
        return await super().claim(*args, **kwargs)

    async def request(self, *args, **kwargs):
        self._fail("request")
        return await super().request(*args, **kwargs)

    async def record(self, *args, **kwargs):
        self._fail("record")
        return await super().record(*args, **kwargs)

    async def create(self, *args, **kwargs):
        self._fail("create")
        return await super().create(*args, **kwargs)


@pytest.fixture
async def failing(monkeypatch):
    """A setup whose store may fail, and the pauses after which it is tried again are short."""
    monkeypatch.setattr(worker_slots, "_BACKOFF_S", (0.0, 0.001))
    monkeypatch.setattr(local_executor, "_RETRY_S", 0.001)
    made = LocalSetup(FailingStore)
    await made.executor.start()
    yield made
    await made.executor.stop()


@pytest.mark.parametrize("name", ["append", "finish", "requeue", "claim", "request"])
async def test_a_store_that_fails_for_a_while_leaves_no_job_running(failing, name, tmp_path):
    failing.store.fail(1, name)
    died = {"die_at": 5, "die_once": tmp_path / "died"} if name == "requeue" else {}
    job = await failing.end(await failing.submit(50, epoch_s=0.001, **died))
    assert (job.status, failing.store.left) == ("succeeded", 0)
    assert len(await failing.store.history(job.id)) == 50
    assert (await failing.end(await failing.submit(5))).status == "succeeded"


async def test_a_store_that_fails_for_long_fails_the_job_once_it_is_back(failing):
    failing.store.fail(7, "append", "finish")
    job = await failing.end(await failing.submit(50, epoch_s=0.001))
    assert (job.status, job.failure.type) == ("failed", "worker-lost")
    assert (await failing.end(await failing.submit(5))).status == "succeeded"


async def test_a_job_whose_request_cannot_be_read_fails(failing):
    failing.store.fail(100, "request")
    job = await failing.end(await failing.submit(5))
    assert (job.status, job.failure.type, job.attempts) == ("failed", "worker-lost", 2)
    failing.store.fail(0)
    assert (await failing.end(await failing.submit(5))).status == "succeeded"


@pytest.mark.parametrize("inline", [False, True])
async def test_a_job_that_cannot_be_stored_is_none(failing, inline):
    def run(job, settings, clock):
        job = job.evolve(status="running").evolve(status="succeeded", result=b"{}", answered=True)
        return InlineResult(job, rows_of([1.0]), 0.0)

    job = a_job(SetClock())
    failing.store.fail(1, "record", "create")
    with pytest.raises(ConnectionError):
        await failing.executor.submit(job, inline=run if inline else None)
    assert await count(failing.store) == 0
    job, _ = await failing.executor.submit(job, inline=run if inline else None)
    assert (await failing.end(job)).status == "succeeded"


async def test_a_checkpoint_counts_once_its_rows_are_stored(monkeypatch):
    """Else a retry would continue a history that lacks them."""
    workers = ScriptedWorkers()
    monkeypatch.setattr(worker_slots, "WorkerProcess", workers)
    setup = LocalSetup(FailingStore)
    await setup.executor.start()
    job = await setup.submit(1)
    while not workers.busy:
        await asyncio.sleep(0)
    (worker,) = workers.busy
    setup.store.fail(1, "append")
    worker.step(5, checkpoint=True)
    await setup.when(job, lambda job: job.attempts == 2)
    while not workers.busy:
        await asyncio.sleep(0)
    (worker,) = workers.busy
    assert worker.epoch == 0
    worker.step(7, checkpoint=False)
    worker.end()
    await setup.end(job)
    assert (await setup.store.history(job.id)).epoch.tolist() == [*range(1, 8)]
    await setup.executor.stop()
