"""The fork server and its children, where it is started by exec: this process has threads."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.jobs import processes
from service.jobs.messages import Ready
from service.jobs.worker_process import WorkerProcess
from tests.jobs import fakes
from tests.processes import parent_of
from tests.soon import PATIENCE_S

DEAF = "tests.jobs.fakes:ignores_messages"


@asynccontextmanager
async def worker(entry: str = fakes.ENTRY) -> AsyncIterator[WorkerProcess]:
    made = await WorkerProcess.spawn(entry, 1)
    try:
        assert await made.receive() == Ready()
        yield made
    finally:
        made.kill()
        await made.reap()


def sockets_of(pid: int) -> list[str]:
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return [link for link in links if link.startswith("socket:")]


async def test_a_worker_holds_its_own_socket_and_no_other() -> None:
    async with worker() as first, worker() as second:
        assert len(sockets_of(first.pid)) == len(sockets_of(second.pid)) == 1


async def test_a_worker_reads_nothing_from_the_terminal() -> None:
    async with worker() as one:
        assert os.readlink(f"/proc/{one.pid}/fd/0") == os.devnull


async def test_a_killed_worker_is_reaped_with_its_signal() -> None:
    async with worker(DEAF) as one:
        one.kill()
        assert await one.reap() == -signal.SIGKILL
        assert not Path(f"/proc/{one.pid}").exists()


async def test_an_unreferenced_worker_is_killed() -> None:
    one = await WorkerProcess.spawn(DEAF, 1)
    assert await one.receive() == Ready()
    handle = os.pidfd_open(one.pid)
    try:
        del one
        await ended(handle)
    finally:
        os.close(handle)


async def test_a_worker_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.jobs.worker_process._REAP_S", 0.0)
    one = await WorkerProcess.spawn(DEAF, 1)
    assert await one.receive() == Ready()
    one.shut_down()
    assert await one.reap() == -signal.SIGKILL


async def test_a_killed_fork_server_ends_its_workers_and_is_replaced() -> None:
    async with worker(DEAF) as one:
        server_pid, handle = parent_of(one.pid), os.pidfd_open(one.pid)
        try:
            os.kill(server_pid, signal.SIGKILL)
            await ended(handle)
        finally:
            os.close(handle)
        with pytest.raises(EOFError):
            await one.receive()
        assert await one.reap() is None
        async with worker() as other:
            assert parent_of(other.pid) != server_pid
            assert not Path(f"/proc/{server_pid}").exists(), "it was reaped"


async def test_a_busy_fork_server_ends_when_stopped() -> None:
    async with worker() as one:
        server_pid = parent_of(one.pid)
    os.kill(server_pid, signal.SIGSTOP)
    processes.close_forkserver()
    assert not Path(f"/proc/{server_pid}").exists(), "it was reaped"


async def test_an_entry_that_does_not_exist_is_a_worker_that_dies() -> None:
    one = await WorkerProcess.spawn("tests.jobs.fakes:nobody", 1)
    with pytest.raises(EOFError):
        await one.receive()
    assert await one.reap() == 1
    async with worker():
        pass


def test_a_process_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_forkserver", None)
    monkeypatch.setattr(processes, "_fork", lambda: pytest.fail("it was forked"))
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        processes.start_forkserver()
    finally:
        stop.set()
        thread.join()
    assert processes._forkserver is None


IMPORTS = """
import os, threading, numpy
count = lambda: len(os.listdir("/proc/self/task"))
before = count()  # numpy's BLAS has threads from the start, and puts them away for a fork
import service.app, service.server.run
from service.settings import Settings
service.app.create_app(Settings())
assert threading.active_count() == 1
assert count() == before, count()
"""


def test_the_forked_process_has_no_threads() -> None:
    """A team of OpenMP threads, which a fork does not survive, would show."""
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, timeout=PATIENCE_S)


async def ended(handle: int) -> None:
    """Waits for the process to end."""
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, gone.set)
    try:
        await asyncio.wait_for(gone.wait(), PATIENCE_S)
    finally:
        loop.remove_reader(handle)
