"""A Redis of our own: Debian's `redis-server`, on a socket in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest

from service.jobs.system import end_with_parent
from tests.soon import PATIENCE_S


class RedisServer:
    """A server that keeps its data in an append-only file, so that it can be killed and started
    again."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/socket?db=0"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        import redis

        binary = shutil.which("redis-server")
        assert binary is not None, "redis-server is not installed"
        self._process = subprocess.Popen(
            [
                *(binary, "--port", "0", "--unixsocket", f"{self.folder}/socket"),
                *("--dir", str(self.folder), "--appendonly", "yes", "--save", ""),
                *("--appendfsync", "everysec", "--maxmemory-policy", "noeviction"),
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(end_with_parent, os.getpid()),
        )
        until = time.monotonic() + PATIENCE_S
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    assert time.monotonic() < until, "redis-server does not answer"
                    assert self._process.poll() is None, "redis-server has ended"
                    time.sleep(0.02)

    def is_written(self) -> bool:
        """Whether the append-only file has all that was acknowledged."""
        import redis

        with redis.Redis.from_url(self.url) as client:
            found = client.info("persistence")
        return not found["aof_buffer_length"] and not found["aof_pending_bio_fsync"]

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self.signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def needs(tool: str) -> None:
    """Skips the test where the machine lacks that program; fails it where DESCENT_CI is 1."""
    if shutil.which(tool) is not None:
        return
    reason = f"{tool} is not installed"
    if os.environ.get("DESCENT_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
