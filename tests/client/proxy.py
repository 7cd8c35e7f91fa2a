"""A proxy that injects faults, one for each request, in a given order.

Each connection carries one request. Without a fault it is forwarded unchanged.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from tests.soon import PATIENCE_S

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Proxy:
    """A proxy for the server at `port`."""

    port: int
    faults: deque[str] = field(default_factory=deque)
    """Names of `FAULTS` for the next requests; the later ones are forwarded."""
    requests: list[str] = field(default_factory=list)
    """Method and path of each, in order: `POST /fit`."""
    address: str = ""
    tasks: set[object] = field(default_factory=set)
    """One for each connection: asyncio itself keeps only weak references to tasks."""

    def next(self, *faults: str) -> None:
        self.faults.extend(faults)


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Runs a proxy in its own thread."""
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
        await asyncio.sleep(0)  # closed connections are freed in the next iteration

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
        fault = FAULTS[proxy.faults.popleft()] if proxy.faults else _forward
        await fault(proxy, request, writer)
    except (OSError, asyncio.IncompleteReadError):
        pass  # the client has disconnected
    finally:
        proxy.tasks.discard(task)
        writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """A whole request, with `Connection: close`."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(x.split(b":")[1]) for x in lines if x.startswith(b"content-length:")), 0)
    body = await reader.readexactly(length)
    kept = [x for x in head.split(b"\r\n")[:-2] if not x.lower().startswith(b"connection:")]
    return b"\r\n".join([*kept, b"Connection: close", b"", body])


@asynccontextmanager
async def _sent(proxy: Proxy, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """The server's answer to a request, on a connection that is closed in any case."""
    reader, theirs = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        theirs.write(request)
        await theirs.drain()
        yield reader
    finally:
        theirs.close()


async def _forward(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    async with _sent(proxy, request) as reader:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()


async def _before(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Disconnects before the server receives the request."""
    writer.transport.abort()


async def _after(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Disconnects after the server has answered, without forwarding the answer."""
    await _answer(proxy, request)
    writer.transport.abort()


async def _midway(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Disconnects in the middle of the answer."""
    answer = await _answer(proxy, request)
    writer.write(answer[: len(answer) // 2])
    await writer.drain()


async def _abandoned(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Disconnects from both sides while the server processes the request."""
    async with _sent(proxy, request):
        pass
    writer.transport.abort()


async def _late(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Withholds the answer for longer than the client waits."""
    await _answer(proxy, request)
    await asyncio.sleep(LATE_S)
    writer.transport.abort()


async def _slow(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    """Sends the answer byte by byte."""
    for byte in await _answer(proxy, request):
        writer.write(bytes([byte]))
        await writer.drain()


def _refusal(status: str) -> Callable[..., Coroutine[None, None, None]]:
    async def refuse(proxy: Proxy, request: bytes, writer: asyncio.StreamWriter) -> None:
        body = b'{"type":"queue-full","title":"Full","status":%b,"detail":"later"}'
        text = body % status.split()[0].encode()
        head = f"HTTP/1.1 {status}\r\nRetry-After: 1\r\nContent-Length: {len(text)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + text)
        await writer.drain()

    return refuse


async def _answer(proxy: Proxy, request: bytes) -> bytes:
    async with _sent(proxy, request) as reader:
        return await reader.read(-1)


LATE_S = 30.0
"""Longer than the timeout of any call in the tests."""
FAULTS: dict[str, Callable[..., Coroutine[None, None, None]]] = {
    "none": _forward,
    "before": _before,
    "after": _after,
    "midway": _midway,
    "abandoned": _abandoned,
    "late": _late,
    "slow": _slow,
    "429": _refusal("429 Too Many Requests"),
    "503": _refusal("503 Service Unavailable"),
    "502": _refusal("502 Bad Gateway"),
}
