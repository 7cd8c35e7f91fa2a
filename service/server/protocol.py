"""HTTP on one connection, with limits on every phase: the seconds for a head and a body, the length
of a head, the seconds in which an answer has to be read.


Uvicorn's protocol limits none of these, and a request whose head never ends does not reach the
application. A request that arrives in one packet, as nearly all do, needs no timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.error_handlers import problem
from service.api.http_errors import (
    HeadTooLarge,
    MalformedRequest,
    NotSupported,
    RequestTimeout,
    TooManyConnections,
)
from service.errors import DescentError
from service.server import request_head
from service.server.connection_limits import ConnectionLimits
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of a connection."""

    connections: int
    share: int
    """The most connections of one address."""
    head_bytes: int
    head_s: float
    body_s: float
    body_rate: float
    """The least rate in bytes a second: `body_s` is extended by its bytes at this rate."""
    read_s: float
    """Seconds in which something of an answer has to be read."""

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """The limits of the settings."""
        return cls(
            connections=settings.max_connections,
            share=settings.max_connections_per_client,
            head_bytes=settings.max_head_bytes,
            head_s=settings.head_timeout_s,
            body_s=settings.body_timeout_s,
            body_rate=settings.min_body_rate,
            read_s=settings.read_timeout_s,
        )


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with limits."""

    def __init__(self, *args: Any, bounds: Bounds, limits: ConnectionLimits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds, self._limits = bounds, limits
        self._caller = ""
        self._receive_timer: asyncio.TimerHandle | None = None
        """Fires when a request takes too long to arrive."""
        self._read_timer: asyncio.TimerHandle | None = None
        """Fires when the answer has not been read for too long."""
        self._since = 0.0
        """When the request being received began, by the loop's clock."""
        self._received = self._content = 0
        """Bytes of it received so far, and those of its body's content."""
        self._in_head, self._in_body = True, False
        self._answering: RequestResponseCycle | None = None
        """The request that the application is answering. Uvicorn's `cycle` is the one received
        last, which differs for pipelined requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._caller = peer[0] if isinstance(peer, tuple) else ""
        held = self._limits.join(self._caller)
        if len(self.connections) > self._bounds.connections:
            self._refuse_and_close(
                TooManyConnections("the limit of connections is reached; try again")
            )
            return
        if held > self._bounds.share:
            self._refuse_and_close(TooManyConnections(_TOO_MANY.format(self._bounds.share)))
            return
        self._expect_head()
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_read_timer()
        self._limits.leave(self._caller)
        super().connection_lost(exc)
        self._notify_disconnect()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._received:
            self._since = self.loop.time()
        self._received += len(data)
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except HttpParserError:
            self.send_400_response("")
        if self.transport.is_closing():
            return
        bound = self._bounds.head_bytes
        if self._in_head and self._received > bound:
            self._refuse_and_close(HeadTooLarge(_TOO_LONG.format(bound)))
        elif self._in_body and self._received - 2 * self._content > bound + _FRAMING:
            self._refuse_and_close(
                MalformedRequest("the body consists almost entirely of chunk framing")
            )
        elif self._receive_timer is None and (self._in_body or (self._in_head and not self._busy)):
            self._start_timer()

    def _feed(self, data: bytes) -> None:
        """Parses the bytes received. An Upgrade header is ignored, as a server may (RFC 9110,
        section 7.8). The parser has no option for it: it would take the body for the next request.
        So the head is parsed again, without that header."""
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
            except HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            else:
                return
            if self.scope["method"] == "CONNECT":
                self._refuse_and_close(NotSupported("this server is not a proxy"))
                return
            head = request_head.without_upgrade(self.scope, self.url)
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    # --- parser callbacks -------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._expect_head()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self.scope["http_version"] = self.parser.get_http_version()
            return
        self._in_head, self._in_body = False, True
        app = self.app
        if fault := request_head.fault(self.headers, self.parser.get_http_version()):
            self.app = _refusal(fault)
        super().on_headers_complete()
        self.app = app
        self.headers = []  # a trailer must not join the headers (RFC 9110, section 6.5.1)
        self._stop_timer()
        self._since = self.loop.time()

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_body = False
        self._stop_timer()
        super().on_message_complete()
        # The next bytes on this connection are the head of another request.
        self._expect_head()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        limit = self._bounds.head_bytes
        if self._received > limit and _head_bytes(cycle.scope) > limit:
            app = _refusal(HeadTooLarge(_TOO_LONG.format(limit)))
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP."""
        self._refuse_and_close(MalformedRequest("the request is not valid HTTP/1.1 (RFC 9112)"))

    # --- time -------------------------------------------------------------------------------------

    def _expect_head(self) -> None:
        self._in_head, self._in_body = True, False
        self._received = self._content = 0
        self._since = self.loop.time()

    def _start_timer(self) -> None:
        self._receive_timer = self.loop.call_at(self._deadline(), self._check_deadline)

    def _stop_timer(self) -> None:
        if self._receive_timer is not None:
            self._receive_timer.cancel()
            self._receive_timer = None

    def _deadline(self) -> float:
        bounds = self._bounds
        if self._in_head:
            return self._since + bounds.head_s
        return self._since + bounds.body_s + self._received / bounds.body_rate

    def _check_deadline(self) -> None:
        self._receive_timer = None
        if self.transport.is_closing() or not (self._in_head or self._in_body):
            return
        if self._in_head and self._busy:
            return  # the previous request is still being answered: the idle timeout applies later
        if self._in_body and self.flow.read_paused:
            self._since = self.loop.time()  # the server has paused reading
        if self.loop.time() < self._deadline():
            self._start_timer()
        elif self._in_head and not self._received:
            self._close()  # no request was begun, so there is nothing to answer
        elif self._in_head or not self.cycle.response_started:
            self._refuse_and_close(RequestTimeout("the request arrived too slowly"))
        else:
            self._close()

    def timeout_keep_alive_handler(self) -> None:
        """Closes an idle connection, with a limit on the time to read its last answer."""
        if not self.transport.is_closing():
            self._close()

    # --- the end ----------------------------------------------------------------------------------

    def _refuse_and_close(self, error: DescentError) -> None:
        """Answers with a problem, bypassing the application, and closes."""
        at = self._answering
        if at is None or at.response_complete or not at.response_started:
            self.transport.write(_raw(error))
        self._close()

    def _notify_disconnect(self) -> None:
        """Notifies the application of the disconnect, and drops pipelined requests."""
        self.pipeline.clear()
        cycle = self._answering
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    @property
    def _busy(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._limit_reading(None)

    def _close(self) -> None:
        self._stop_timer()
        self._notify_disconnect()
        self.transport.close()
        self._limit_reading(None)

    # --- unread answers
    # ----------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Called when the write buffer is full."""
        super().pause_writing()
        self._limit_reading(None)

    def resume_writing(self) -> None:
        """Called when the write buffer has drained."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_read_timer()

    def _limit_reading(self, before: int | None) -> None:
        """Aborts the connection if nothing of the unread answer has been read for `read_s`."""
        self._stop_read_timer()
        left = self.transport.get_write_buffer_size()
        if before is not None and left >= before:
            self._notify_disconnect()
            self.transport.abort()
        else:
            self._read_timer = self.loop.call_later(self._bounds.read_s, self._limit_reading, left)

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None


_FRAMING = 2**16
"""The most bytes of chunk sizes and trailers in excess of the bytes of content."""
_TOO_LONG = "the request line and headers are longer than the limit of {} bytes"
_TOO_MANY = "this address has {} connections open, the limit per address; close some, or try again"


def _problem(error: DescentError) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    body = problem(type(error), str(error)).document() + b"\n"
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    if error.http_status == 503:
        headers.append((b"retry-after", b"1"))
    return body, headers


def _raw(error: DescentError) -> bytes:
    body, headers = _problem(error)
    head = b"".join(b"%b: %b\r\n" % header for header in headers)
    status = error.http_status
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), head, body)


def _refusal(error: DescentError) -> Callable[..., Awaitable[None]]:
    """The same answer as an ASGI application, for a parsed request."""
    body, headers = _problem(error)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def _head_bytes(scope: Any) -> int:
    fields = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return fields + len(scope["raw_path"]) + len(scope["query_string"])
