"""One address that takes all the connections it can get; others are served meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from service.server.connection_limits import ConnectionLimits
from tests.resilience.servers import ENDLESS, Server, started, submit, until
from tests.security.sockets import problem, rest, status, whole
from tests.soon import PATIENCE_S

SHARE = 12
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIMITS = {"workers": 1, "max_connections": 64, "max_connections_per_client": SHARE}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(**LIMITS) as server:
        yield server


def connection(server: Server, address: str) -> socket.socket:
    """One that comes from that address of this machine."""
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE_S, (address, 0))


def served(server: Server, address: str) -> int:
    with connection(server, address) as sock:
        sock.sendall(LIVEZ)
        return status(whole(sock))


def test_an_address_has_its_share_and_no_more(server: Server) -> None:
    with ExitStack() as crowd:
        held = [crowd.enter_context(connection(server, "127.0.0.2")) for _ in range(SHARE)]
        for sock in held:  # each of them is answered, and stays
            sock.sendall(LIVEZ)
            assert status(whole(sock)) == 200
        for _ in range(3):
            with connection(server, "127.0.0.2") as surplus:
                told = problem(rest(surplus))
            assert (told["status"], told["type"]) == (503, "too-many-connections")
            assert f"{SHARE} connections" in told["detail"]
        assert served(server, "127.0.0.3") == 200
    until(lambda: served(server, "127.0.0.2") == 200)


def test_streams_of_one_address_leave_room_for_others(server: Server) -> None:
    """Each is a connection that is open for as long as its job runs."""
    with server.client(trust_env=False) as client:
        at = submit(client, ENDLESS)
    ask = f"GET {at}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with ExitStack() as crowd:
        hoard = [crowd.enter_context(connection(server, "127.0.0.4")) for _ in range(SHARE)]
        for sock in hoard:
            sock.sendall(ask)
            assert status(sock.recv(2**16)) == 200
        with connection(server, "127.0.0.4") as surplus:
            assert status(rest(surplus)) == 503
        with server.client(trust_env=False) as client:
            assert client.post(f"{at}/cancel").status_code == 200


def test_a_proxy_that_is_trusted_has_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """All callers come by it."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.5")
    with started(**LIMITS) as server, ExitStack() as crowd:
        for _ in range(2 * SHARE):
            sock = crowd.enter_context(connection(server, "127.0.0.5"))
            sock.sendall(LIVEZ)
            assert status(whole(sock)) == 200


def test_connections_are_counted_by_network_and_forgotten() -> None:
    crowd = ConnectionLimits("10.0.0.0/8")
    assert [crowd.join(host) for host in ("2001:db8::1", "2001:db8::2", "2001:db8:1::1")] == [
        *(1, 2, 1)
    ]
    assert crowd.join("::ffff:192.0.2.1") == crowd.join("192.0.2.1") - 1
    assert crowd.join("10.1.2.3") == crowd.join("") == 0
    for host in ("2001:db8::1", "2001:db8::2", "2001:db8:1::1", "192.0.2.1", "192.0.2.1", ""):
        crowd.leave(host)
    assert crowd._held == {}
