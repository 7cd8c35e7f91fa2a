"""A small HTTP/1.1 client on raw sockets, so that it is not what is measured.

One connection each, kept alive; answers must have a Content-Length, as uvicorn's have.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import cast

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


def request(path: str, body: bytes, media_type: str = "application/json") -> bytes:
    """A POST, ready to send again and again."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._answer: asyncio.Future[bytes]
        self._size = 0

    @classmethod
    async def open(cls, port: int) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, "127.0.0.1", port)
        return connection

    async def send(self, request: bytes) -> bytes:
        """The body of the answer. Raises RuntimeError unless it is a 200."""
        self._received.clear()
        self._size = 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._size:
            self._read_head()
        if self._size and len(self._received) >= self._size:
            head, _, body = bytes(self._received).partition(_HEAD_END)
            if head.startswith(b"HTTP/1.1 200"):
                self._answer.set_result(body)
            else:
                self._answer.set_exception(RuntimeError(bytes(self._received).decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "_answer") and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed before the answer"))

    def _read_head(self) -> None:
        end = self._received.find(_HEAD_END)
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        at = head.index(_LENGTH) + len(_LENGTH)
        length = head[at:].split(b"\r\n", 1)[0]
        self._size = end + len(_HEAD_END) + int(length)


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """So many, open; a server closes those that are idle for long."""
    opened = [await Connection.open(port) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


async def rate(port: int, request: bytes, *, callers: int, seconds: float) -> float:
    """Requests per second of callers that each send the next one when they have their answer."""

    async def call(connection: Connection) -> int:
        count = 0
        while time.perf_counter() < end:
            await connection.send(request)
            count += 1
        return count

    async with connections(port, callers) as opened:
        began = time.perf_counter()
        end = began + seconds
        counts = await asyncio.gather(*map(call, opened))
        return sum(counts) / (time.perf_counter() - began)


async def latency(port: int, request: bytes, times: int = 1) -> tuple[float, bytes]:
    """The median seconds of requests that one caller sends one after the other; the last answer."""
    seconds, answer = [], b""
    async with connections(port, 1) as (connection,):
        for _ in range(times):
            began = time.perf_counter()
            answer = await connection.send(request)
            seconds.append(time.perf_counter() - began)
    return median(seconds), answer
