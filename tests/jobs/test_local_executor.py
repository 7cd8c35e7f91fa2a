"""Workers that die, hang or outlive their parent. Each test waits for an event."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.jobs.local_executor import LocalExecutor
from service.jobs.memory_store import MemoryStore
from service.settings import Settings
from tests.jobs import fakes
from tests.jobs.conftest import stopped_timers
from tests.processes import children, descendants, ended, ending, parent_of
from tests.soon import PATIENCE_S

LIMIT_S = 600.0
"""Longer than a worker is at work before it is stuck."""


async def test_workers_are_warm(local):
    assert len(set(local.executor.pids)) == 2
    job = await local.end(await local.submit(1))
    assert job.status == "succeeded"


@pytest.mark.parametrize("seed", range(5))
async def test_kill_9_at_any_epoch_loses_nothing(build, seed):
    local = await build(workers=1)
    whole = await local.end(await local.submit(150, epoch_s=0.001))
    job, victim = await struck(local, random.Random(seed).randrange(1, 120))
    assert job.status == "succeeded"
    assert fakes.without_timings(job.result) == fakes.without_timings(whole.result)
    rows = await local.store.history(job.id)
    assert rows.epoch.tolist() == list(range(1, 151))
    assert local.executor.pids != [victim]


async def struck(local, epoch):
    """The end of a job whose worker was killed at that epoch or soon after it, and that worker;
    another job, where it was done before that."""
    while True:
        job = await local.submit(150, epoch_s=0.001)
        await local.running(job, epoch)
        (victim,) = local.executor.pids
        os.kill(victim, signal.SIGKILL)
        job = await local.end(job)
        if job.attempts > 1:
            return job, victim
        while local.executor.pids in ([], [victim]):
            await asyncio.sleep(0)


async def test_a_lost_worker_is_replaced_at_once(local):
    job = await local.submit(10**8, epoch_s=0.001)
    await local.running(job)
    with stopped_timers():
        for pid in local.executor.pids:
            os.kill(pid, signal.SIGKILL)
        await local.until(job, lambda job: job.attempts == 2)
        other = await local.end(await local.submit(1))
    assert other.status == "succeeded"
    await local.jobs.cancel(job.id)


async def test_an_idle_worker_that_dies_is_replaced(build):
    local = await build(workers=1)
    (victim,) = local.executor.pids
    os.kill(victim, signal.SIGKILL)
    job = await local.end(await local.submit(1))
    assert job.status == "succeeded"


async def test_a_worker_that_ignores_a_cancel_is_killed_and_its_best_kept(local, tmp_path):
    os.mkfifo(tmp_path / "stuck")
    job = await local.submit(10**8, epoch_s=0.001, stuck_at=100, tell=tmp_path / "stuck")
    await asyncio.to_thread((tmp_path / "stuck").read_text)
    before = local.executor.pids
    with stopped_timers() as advance:
        cancelling = asyncio.create_task(local.jobs.cancel(job.id))
        await asyncio.sleep(0)
        advance(local.settings.cancel_grace_s)
        job = await cancelling
    assert (job.status, job.stop_reason) == ("cancelled", "cancelled")
    assert 1 <= fakes.without_timings(job.result)["epochs"] < 100
    assert set(before) != set(local.executor.pids)


async def test_a_cancel_before_the_first_epoch(local):
    job = await local.submit(10, stuck_at=1)
    await local.until(job, lambda job: job.status == "running")
    job = await local.jobs.cancel(job.id)
    assert job.status == "cancelled"
    assert fakes.without_timings(job.result)["epochs"] == 0


async def test_a_worker_that_overruns_the_time_limit_is_killed_and_its_best_kept(local, tmp_path):
    os.mkfifo(tmp_path / "stuck")
    request = fakes.request(10**8, epoch_s=0.001, stuck_at=50, tell=tmp_path / "stuck")
    job, _ = await local.jobs.submit(request.model_copy(update={"time_limit_s": LIMIT_S}))
    await asyncio.to_thread((tmp_path / "stuck").read_text)
    with stopped_timers() as advance:
        advance(LIMIT_S + local.settings.cancel_grace_s)
        job = await local.end(job)
    assert (job.status, job.stop_reason) == ("succeeded", "time_limit")
    assert 1 <= fakes.without_timings(job.result)["epochs"] < 50


async def test_a_flood_of_rows_is_bounded(build):
    local = await build(max_history_rows=100)
    job = await local.end(await local.submit(50_000))
    rows = await local.store.history(job.id)
    assert len(rows) <= 100
    assert (rows.epoch[0], rows.epoch[-1], rows.thinned) == (1, 50_000, True)


async def test_large_data_go_to_the_worker(local):
    job = await local.end(await local.submit(1, rows=1_000_000))
    assert job.status == "succeeded"


async def test_concurrent_jobs(local):
    jobs = [await local.submit(5, owner=str(i % 7)) for i in range(150)]
    for job in jobs:
        assert (await local.end(job)).status == "succeeded"


async def test_a_worker_that_cannot_start_is_logged(caplog):
    settings = Settings(workers=2)
    executor = LocalExecutor(settings, MemoryStore(settings), entry="tests.jobs.fakes:ends_at_once")
    with pytest.raises(RuntimeError, match="died as it started"):
        await executor.start()
    assert "exit code 7" in caplog.text


# --- a parent in a process of its own -------------------------------------------------------------

PARENT = """
import asyncio, signal
from service.jobs.timing import SystemClock
from service.jobs.job import new_job
from service.jobs.local_executor import LocalExecutor
from service.jobs.memory_store import MemoryStore
from service.settings import Settings
from tests.jobs import fakes

async def main():
    settings = Settings(workers=2, cancel_grace_s=0.3, shutdown_grace_s=0.2)
    store = MemoryStore(settings)
    executor = LocalExecutor(settings, store, entry=fakes.ENTRY)
    await executor.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    for tags in ({"epoch_s": 0.001}, {"stuck_at": 1}):
        request = fakes.request(10**8, record_every=10**8, **tags)
        outline = fakes.check(request, settings)
        job = new_job(request, outline, owner="", queue_key="", now=SystemClock().now())
        await executor.submit(job)
        while job.status != "running":
            job = await store.changed(job.id, job.version)
    print(*executor.pids, flush=True)
    await stop.wait()
    await executor.stop()
    found, _ = await store.list(owner="", status=None, limit=9, after=None)
    print(*(job.status for job in found), flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def parent(tmp_path):
    """A process with two busy workers, one of which ignores messages, and whether all below it
    end soon."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            assert process.stdout is not None
            workers = [int(pid) for pid in process.stdout.readline().split()]
            family = descendants(process.pid)
            assert len(workers) == 2
            assert set(workers) < family
            with ending(family) as gone:
                yield process, gone
        finally:
            process.kill()


def test_workers_end_after_their_parent_is_killed(parent):
    process, gone = parent
    process.kill()
    assert gone()


def test_sigterm_ends_all_and_leaves_no_orphan(parent):
    process, gone = parent
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert output.split() == ["cancelled", "cancelled"]
    assert process.returncode == 0
    assert gone()


async def test_workers_ignore_signals_to_the_process_group(local):
    """Ctrl-C and systemd's SIGTERM reach workers and the fork server too; they go on. No others are
    signalled: this process has servers of other tests below it."""
    job = await local.submit(200, epoch_s=0.001)
    await local.running(job)
    (server_pid,) = {parent_of(pid) for pid in local.executor.pids}
    assert server_pid in children(os.getpid())
    handle = os.pidfd_open(server_pid)
    try:
        for pid in (server_pid, *local.executor.pids):
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        job = await local.end(job)
        assert (job.status, job.attempts) == ("succeeded", 1)
        for pid in local.executor.pids:
            os.kill(pid, signal.SIGKILL)
        assert (await local.end(await local.submit(1))).status == "succeeded"
        assert not ended([handle]), "the fork server lived"
    finally:
        os.close(handle)


async def test_a_stop_leaves_no_worker(build):
    local = await build()
    with ending(local.executor.pids) as gone:
        await local.jobs.stop()
        assert await asyncio.to_thread(gone)
        assert local.executor.pids == []
