"""A proxy that goes wrong on purpose, once for each fault that it is told.

Each connection carries one request. What is no fault is passed on as it is.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.soon import PATIENCE_S

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Proxy:
    """Between a client and the server at `port`."""

    port: int
    faults: deque[str] = field(default_factory=deque)
    """Names of `FAULTS`, for the requests to come; those after them pass."""
    requests: list[str] = field(default_factory=list)
    """"POST /fit" and the like, in order."""
    address: str = ""
    tasks: set[object] = field(default_factory=set)
    """One a connection; asyncio itself holds those that wait for a caller who left but weakly."""

    def next(self, *faults: str) -> None:
        self.faults.extend(faults)


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Runs in a thread of its own."""
    proxy, ready, loop = Proxy(port), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        server = await asyncio.start_server(lambda r, w: _connection(proxy, (r, w)), "127.0.0.1", 0)
        proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        with suppress(asyncio.CancelledError):
            await server.serve_forever()
        late = asyncio.all_tasks() - {asyncio.current_task()}
        for one in late:
            one.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed is gone after a turn

    task = loop.create_task(serve())
    thread = threading.Thread(target=loop.run_until_complete, args=(task,))
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield proxy
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(PATIENCE_S)
        loop.close()


async def _connection(proxy: Proxy, caller: Streams) -> None:
    reader, writer = caller
    task = asyncio.current_task()
    proxy.tasks.add(task)
    try:
        request = await _request(reader)
        proxy.requests.append(b" ".join(request.split(b" ", 2)[:2]).decode().partition("?")[0])
        fault = FAULTS[proxy.faults.popleft()] if proxy.faults else _pass
        await fault(proxy, request, writer)
    except (OSError, asyncio.IncompleteReadError):
        pass  # whoever was there has gone
    finally:
        proxy.tasks.discard(task)
        writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """A whole request, which asks that its connection be closed after it."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(x.split(b":")[1]) for x in lines if x.startswith(b"content-length:")), 0)
    body = await reader.readexactly(length)
    kept = [x for x in head.split(b"\r\n")[:-2] if not x.lower().startswith(b"connection:")]
    return b"\r\n".join([*kept, b"Connection: close", b"", body])


async def _pass(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    reader, theirs = await asyncio.open_connection("127.0.0.1", proxy.port)
    theirs.write(request)
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    theirs.close()


async def _before(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Cut off before the server has heard of it."""
    writer.transport.abort()


async def _after(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Cut off when the server has done it, and before the caller knows."""
    await _answer(proxy, request)
    writer.transport.abort()


async def _midway(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Cut off in the midst of the answer."""
    answer = await _answer(proxy, request)
    writer.write(answer[: len(answer) // 2])
    await writer.drain()


async def _unheard(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Cut off while the server is at it, which then has nobody to answer."""
    _, theirs = await asyncio.open_connection("127.0.0.1", proxy.port)
    theirs.write(request)
    await theirs.drain()
    theirs.close()
    writer.transport.abort()


async def _late(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """The server did it; its answer comes later than anyone waits."""
    await _answer(proxy, request)
    await asyncio.sleep(LATE_S)
    writer.transport.abort()


async def _slow(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """The answer comes in small pieces."""
    for byte in await _answer(proxy, request):
        writer.write(bytes([byte]))
        await writer.drain()


def _says(status: str) -> Callable[..., Coroutine[None, None, None]]:
    async def says(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
        body = b'{"type":"queue-full","title":"Full","status":%b,"detail":"later"}'
        text = body % status.split()[0].encode()
        head = f"HTTP/1.1 {status}\r\nRetry-After: 1\r\nContent-Length: {len(text)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + text)
        await writer.drain()

    return says


async def _answer(proxy: Proxy, request: bytes) -> bytes:
    reader, theirs = await asyncio.open_connection("127.0.0.1", proxy.port)
    theirs.write(request)
    answer = await reader.read(-1)
    theirs.close()
    return answer


LATE_S = 30.0
"""Longer than any test lets a call wait."""
FAULTS: dict[str, Callable[..., Coroutine[None, None, None]]] = {
    "none": _pass,
    "before": _before,
    "after": _after,
    "midway": _midway,
    "unheard": _unheard,
    "late": _late,
    "slow": _slow,
    "429": _says("429 Too Many Requests"),
    "503": _says("503 Service Unavailable"),
    "502": _says("502 Bad Gateway"),
}
