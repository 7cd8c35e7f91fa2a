"""A Redis Cluster of three: whichever server DESCENT_REDIS_URL names, the one that has the cell is
found, also when it is another one later."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.redis_server import RedisServer
from tests.resilience.cells import Cell, cell, client
from tests.resilience.servers import until
from tests.resilience.test_scale import LINE, essence, submitted

SLOTS = 16384
SHARES = [(0, 5460), (5461, 10922), (10923, SLOTS - 1)]


class Cluster:
    """Three masters that share the hash slots."""

    def __init__(self, stack: ExitStack) -> None:
        import redis

        self.ports = free_ports(6)
        self.admins: list[Any] = []
        for port, bus in zip(self.ports[::2], self.ports[1::2], strict=True):
            server = RedisServer(
                *("--port", str(port), "--cluster-port", str(bus), "--cluster-enabled", "yes"),
                *("--cluster-require-full-coverage", "no", "--bind", "127.0.0.1"),
            )
            stack.callback(server.close)
            server.start()
            self.admins.append(stack.enter_context(redis.Redis.from_url(server.url)))
        for admin, (first, last) in zip(self.admins, SHARES, strict=True):
            admin.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        for port, bus in zip(self.ports[2::2], self.ports[3::2], strict=True):
            self.admins[0].execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
        until(lambda: all(self.serves(admin) for admin in self.admins))
        self.ids = [admin.execute_command("CLUSTER MYID").decode() for admin in self.admins]

    def serves(self, admin: Any) -> bool:
        """Whether a server knows who has which slot, and answers."""
        told = admin.execute_command("CLUSTER INFO")
        return (told["cluster_state"], told["cluster_slots_ok"]) == ("ok", str(SLOTS))

    def url(self, number: int) -> str:
        return f"redis://127.0.0.1:{self.ports[2 * number]}/0"

    def owner(self, key: str) -> int:
        """The number of the server that has that key."""
        slot = self.admins[0].execute_command("CLUSTER KEYSLOT", key)
        return next(n for n, (first, last) in enumerate(SHARES) if first <= slot <= last)

    def move(self, key: str, there: int) -> None:
        """Moves the slot of a key, with all its keys."""
        here = self.owner(key)
        slot = self.admins[here].execute_command("CLUSTER KEYSLOT", key)
        ask = "CLUSTER SETSLOT"
        self.admins[there].execute_command(ask, slot, "IMPORTING", self.ids[here])
        self.admins[here].execute_command(ask, slot, "MIGRATING", self.ids[there])
        while keys := self.admins[here].execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            self.admins[here].execute_command(
                *("MIGRATE", "127.0.0.1", self.ports[2 * there], "", 0, 5000, "KEYS", *keys)
            )
        for number in (there, here, 3 - there - here):
            self.admins[number].execute_command(ask, slot, "NODE", self.ids[there])


def free_ports(count: int) -> list[int]:
    """Ports that the system has given and that are free again."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@pytest.fixture(scope="module")
def small() -> Iterator[tuple[Cell, Cluster]]:
    """A cluster, and another Redis for the tickets."""
    with cell() as made, ExitStack() as stack:
        yield made, Cluster(stack)


@pytest.mark.thorough
def test_any_server_of_a_cluster_will_do(small: tuple[Cell, Cluster]) -> None:
    cell, cluster = small
    owner = cluster.owner("descent:{0}:all")
    first, second = sorted({0, 1, 2} - {owner})
    tickets = {"broker_url": cell.redis.url}
    replicas = [cell.replica(redis_url=cluster.url(n), **tickets) for n in (owner, first)]
    cell.node(redis_url=cluster.url(second), workers=2, **tickets)
    with client(replicas[0]) as http, client(replicas[1]) as other:
        for each in (http, other):
            assert each.get("/readyz").status_code == 200
            assert each.post("/fit", json=LINE).status_code == 200
        at = submitted(other, epochs=5000)
        whole = essence(http, at)
        running = submitted(http, epochs=10**8, record_every=10**6)
        until(lambda: other.get(running).json()["status"] == "running")
        cluster.move("descent:{0}:all", second)
        assert cluster.admins[owner].execute_command("DBSIZE") == 0
        until(lambda: all(each.get("/readyz").status_code == 200 for each in (http, other)))
        assert essence(other, submitted(http, epochs=5000)) == whole
        assert essence(http, at) == whole
        job = other.post(f"{running}/cancel").json()
        assert (job["status"], job["result"]["stop_reason"]) == ("cancelled", "cancelled")
