"""Callers in a process of their own, on raw sockets, so that they are not what is measured.

`calling()` starts that process. It speaks as much HTTP/1.1 as uvicorn's answers need: connections
stay open, and an answer has a Content-Length. It imports nothing but the standard library, and
requests come to it ready to send, so that a request costs it some 20 µs.
"""

from __future__ import annotations

import gc
import pickle
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from math import inf
from statistics import median
from threading import Thread
from typing import IO, Any, NamedTuple

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
LIVEZ, READYZ = (
    f"GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for name in ("livez", "readyz")
)
PROBE_S = 0.01
"""Seconds between an answer to the probe and the next."""
BUSY = 0.5
"""The most of their time for which callers may work."""

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_READ = 2**18


def post(path: str, body: bytes, media_type: str = JSON) -> bytes:
    """A request, ready to send again and again."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Answer(NamedTuple):
    """An answer, and the seconds from the first byte of its request to its own last."""

    seconds: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """What became of many callers."""

    waits: list[float]
    """Seconds of each answer."""
    took: float
    """Seconds of all together."""
    busy: float
    """The share of that time for which the callers' own process worked."""
    probed: list[float]
    """Seconds of each answer to the probe."""
    bodies: list[bytes]
    """The last answer to each of the requests; empty where there was none."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.waits) / self.took

    def checked(self) -> Load:
        """The same. RuntimeError where the callers were so busy that they are what was measured."""
        if self.busy > BUSY:
            raise RuntimeError(f"the callers were busy for {self.busy:.0%} of the time")
        return self


@contextmanager
def calling() -> Iterator[Callers]:
    """The process, until the end of the block."""
    command = [sys.executable, "-c", "from benchmarks.client import obey; obey()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Callers(process.stdin, process.stdout)
        finally:
            process.stdin.close()  # it ends when there is nothing more to read


class Callers:
    """The process from outside. An answer that is not a 200 is a RuntimeError."""

    def __init__(self, to: IO[bytes], back: IO[bytes]) -> None:
        self._to, self._back = to, back

    def ask(self, port: int, request: bytes) -> Answer:
        """One request, on the connection to that port."""
        return self.each(port, [request])[0]

    def each(self, port: int, requests: Sequence[bytes]) -> list[Answer]:
        """One after the other, by one caller."""
        found: list[Answer] = self._do("each", port, requests)
        return found

    def latency(self, port: int, request: bytes, times: int) -> Answer:
        """The median seconds of so many, and the last answer."""
        answers = self.each(port, [request] * times)
        return Answer(median(answer.seconds for answer in answers), answers[-1].body)

    def load(
        self,
        port: int,
        requests: Sequence[bytes],
        callers: int,
        *,
        seconds: float = inf,
        most: float = inf,
        probe: bool = False,
    ) -> Load:
        """So many callers, each sending the next of the requests when it has its answer, for so
        long or so many requests. The probe is one more, that asks for /livez now and then."""
        found: Load = self._do("load", port, requests, callers, seconds, most, probe)
        return found

    def _do(self, *command: object) -> Any:
        pickle.dump(command, self._to, protocol=5)
        self._to.flush()
        found = pickle.load(self._back)
        if isinstance(found, Exception):
            raise found
        return found


# --- the process itself ---------------------------------------------------------------------------


def obey() -> None:
    """Reads commands from stdin, and writes what becomes of each to stdout."""
    commands: dict[str, Callable[..., object]] = {"each": _Kept().each, "load": _load}
    gc.disable()
    while True:
        try:
            name, *arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        found: object
        try:
            found = commands[name](*arguments)
        except Exception as error:
            found = error
        pickle.dump(found, sys.stdout.buffer, protocol=5)
        sys.stdout.buffer.flush()


class _Connection:
    """One request at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked = 0
        """The number of its request."""
        self._received = bytearray()
        self._head = self._size = 0
        self._sent_at = 0.0

    def send(self, request: bytes) -> None:
        self._sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> Answer | None:
        """The answer, once all of it is here."""
        received = self._received
        data = self.socket.recv(_READ)
        if not data:
            raise ConnectionError(f"closed before the answer: {bytes(received[:200])!r}")
        received += data
        if not self._size:
            self._read_head()
        if not self._size or len(received) < self._size:
            return None
        seconds = time.perf_counter() - self._sent_at
        whole, self._size = bytes(received), 0
        received.clear()
        if not whole.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(whole.decode())
        return Answer(seconds, whole[self._head :])

    def is_open(self) -> bool:
        """Whether the server has not closed it, as it does after some idle seconds."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True

    def _read_head(self) -> None:
        end = self._received.find(_HEAD_END)
        if end < 0:
            return
        self._head = end + len(_HEAD_END)
        head = bytes(self._received[: self._head]).lower()
        at = head.index(_LENGTH) + len(_LENGTH)
        self._size = self._head + int(head[at : head.index(b"\r", at)])


class _Kept:
    """A connection to each port, which stays open from one command to the next."""

    def __init__(self) -> None:
        self._connections: dict[int, _Connection] = {}

    def each(self, port: int, requests: Sequence[bytes]) -> list[Answer]:
        answers = []
        for request in requests:
            connection = self._connections.get(port)
            if connection is None or not connection.is_open():
                connection = self._connections[port] = _Connection(port)
            connection.send(request)
            answer = None
            while answer is None:
                answer = connection.receive()
            answers.append(answer)
        return answers


def _load(
    port: int, requests: Sequence[bytes], callers: int, seconds: float, most: float, probe: bool
) -> Load:
    opened = [_Connection(port) for _ in range(callers)]
    waiting = {connection.socket.fileno(): connection for connection in opened}
    waits: list[float] = []
    bodies = [b""] * len(requests)
    number = count()
    worked, began = time.process_time(), time.perf_counter()
    until = began + seconds

    def send(connection: _Connection) -> None:
        sent = next(number)
        if sent >= most or time.perf_counter() >= until:
            del waiting[connection.socket.fileno()]
            connection.socket.close()
            return
        connection.asked = sent % len(requests)
        connection.send(requests[connection.asked])

    probed: list[float] = []
    prober = Thread(target=_probe, args=(port, until, probed))
    if probe:
        prober.start()
    with select.epoll() as epoll:
        for connection in opened:
            epoll.register(connection.socket, select.EPOLLIN)
            send(connection)
        while waiting:
            for fd, _ in epoll.poll():
                connection = waiting[fd]
                answer = connection.receive()
                if answer is not None:
                    waits.append(answer.seconds)
                    bodies[connection.asked] = answer.body
                    send(connection)
    took = time.perf_counter() - began
    busy = (time.process_time() - worked) / took
    if probe:
        prober.join()
    return Load(waits, took, busy, probed, bodies)


def _probe(port: int, until: float, probed: list[float]) -> None:
    kept = _Kept()
    while time.perf_counter() < until:
        probed.append(kept.each(port, [LIVEZ])[0].seconds)
        time.sleep(PROBE_S)
