"""A cell of real processes: a Redis, API replicas and worker nodes, which may be killed."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.forked import Forked
from tests.redis_server import RedisServer, needs
from tests.resilience.servers import environment_of, until
from tests.soon import PATIENCE_S

LEASE_S = 1.0


class Process:
    """A replica or a node, in a session of its own."""

    def __init__(
        self, arguments: list[str], environment: dict[str, str], cwd: Path | None = None
    ) -> None:
        self.popen: Forked | subprocess.Popen[str]
        if cwd is None:
            module = "tests.resilience.skewed" if "SKEW_S" in environment else "service"
            self.popen = Forked(module, *arguments, env=environment, new_session=True)
        else:  # another version's code
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "service", *arguments],
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                cwd=cwd,
                start_new_session=True,
            )
        self.stopped = False
        assert self.popen.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.popen.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE_S), "the process was not ready in time"
        self.said = self.popen.stdout.readline()
        assert self.said, "the process ended before it was ready"

    @property
    def url(self) -> str:
        return self.said.split()[-1]

    def group(self, number: int) -> None:
        """A signal to the process and all that it started, as the loss of a machine."""
        os.killpg(self.popen.pid, number)
        self.stopped = number == signal.SIGSTOP
        if number == signal.SIGKILL:
            self.popen.wait()

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def wait(self) -> int:
        return self.popen.wait(PATIENCE_S)

    @property
    def lives(self) -> bool:
        """Whether it has not ended, and is not stopped."""
        return self.popen.poll() is None and not self.stopped

    def close(self) -> None:
        if self.popen.poll() is None:
            self.group(signal.SIGCONT)
            self.group(signal.SIGKILL)
        if isinstance(self.popen, Forked):
            self.popen.close()
        else:
            self.popen.wait()
            assert self.popen.stdout is not None
            self.popen.stdout.close()


class Cell:
    """The processes of one cell."""

    def __init__(self, *redis_options: str) -> None:
        self.redis = RedisServer(*redis_options)
        self._processes: list[Process] = []
        self._kept: dict[str, Process] = {}

    def environment(self, **settings: Any) -> dict[str, str]:
        given: dict[str, Any] = {
            "redis_url": self.redis.url,
            "workers": 1,
            "lease_s": LEASE_S,
            "redis_timeout_s": 1,
            "max_queued_jobs": 1000,
            **settings,
        }
        return environment_of(**given)

    def _started(
        self, *arguments: str, cwd: Path | None = None, skew_s: float = 0.0, **settings: Any
    ) -> Process:
        environment = self.environment(**settings)
        if skew_s:
            environment["SKEW_S"] = str(skew_s)
        process = Process(list(arguments), environment, cwd)
        self._processes.append(process)
        return process

    def replica(self, **settings: Any) -> Process:
        """Another replica."""
        return self._started("serve", "--port", "0", **settings)

    def node(self, **settings: Any) -> Process:
        """Another node."""
        return self._started("work", **settings)

    def first_replica(self) -> Process:
        """A replica that lives, be it from an earlier test."""
        return self._first("replica", self.replica)

    def only_node(self) -> Process:
        """A node that lives, be it from an earlier test; there is no other."""
        node = self._first("node", self.node)
        self.end_nodes(node)
        return node

    def _first(self, kind: str, start: Callable[[], Process]) -> Process:
        if kind not in self._kept or not self._kept[kind].lives:
            self._kept[kind] = start()
        return self._kept[kind]

    def end_nodes(self, spared: Process | None = None) -> None:
        """Ends all nodes but one."""
        for process in self._processes:
            if process is not spared and "node" in process.said:
                process.close()

    def close(self) -> None:
        for process in self._processes:
            process.close()
        self.redis.close()


@contextmanager
def cell(*redis_options: str) -> Iterator[Cell]:
    """A cell whose Redis runs; all that it started is ended."""
    needs("redis-server")
    made = Cell(*redis_options)
    made.redis.start()
    try:
        yield made
    finally:
        made.close()


def client(replica: Process) -> httpx.Client:
    return httpx.Client(base_url=replica.url, timeout=PATIENCE_S)


def patiently(call: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer once the service is ready again."""
    return until(lambda: answer if (answer := call()).status_code != 503 else None)  # type: ignore[no-any-return]
