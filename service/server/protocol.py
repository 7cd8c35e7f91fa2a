"""HTTP on one connection, with a bound on every phase: how long a head and a body may take, how
long a head may be, how slowly an answer may be read.

Uvicorn's protocol bounds none of these. The bounds are kept here, below the application, since a
request whose head never ends never reaches it. A request that comes whole in one packet, as nearly
all do, costs no timer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.server import request_head
from service.server.connection_limits import ConnectionLimits
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a connection may take."""

    connections: int
    share: int
    """Connections of one address."""
    head_bytes: int
    head_s: float
    body_s: float
    body_rate: float
    """Bytes a second, for which a body has longer."""
    read_s: float
    """Seconds in which something of an answer has to be read."""

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """Those of the settings."""
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
    """Uvicorn's protocol within bounds."""

    def __init__(self, *args: Any, bounds: Bounds, crowd: ConnectionLimits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds, self._crowd = bounds, crowd
        self._caller = ""
        self._alarm: asyncio.TimerHandle | None = None
        """Rings when the request has been coming in for too long."""
        self._unread: asyncio.TimerHandle | None = None
        """Rings when nobody has read for too long."""
        self._since = 0.0
        """When the request that is coming in began."""
        self._came = self._carried = 0
        """Bytes of it so far, and those of them that are its body's content."""
        self._in_head, self._in_body = True, False
        self._answered: RequestResponseCycle | None = None
        """The request that the application is at. Uvicorn's `cycle` is the one that came last: with
        several sent ahead, these differ."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._caller = peer[0] if isinstance(peer, tuple) else ""
        held = self._crowd.join(self._caller)
        if len(self.connections) > self._bounds.connections:
            self._end(503, "too-many-connections", "no room for another connection; try again")
            return
        if held > self._bounds.share:
            self._end(503, "too-many-connections", _TOO_MANY.format(self._bounds.share))
            return
        self._begin()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._forgive()
        self._crowd.leave(self._caller)
        super().connection_lost(exc)
        self._tell_gone()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._came:
            self._since = self.loop.time()
        self._came += len(data)
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except HttpParserError:
            self.send_400_response("")
        if self.transport.is_closing():
            return
        bound = self._bounds.head_bytes
        if self._in_head and self._came > bound:
            self._end(431, "head-too-large", _TOO_LONG.format(bound))
        elif self._in_body and self._came - 2 * self._carried > bound + _FRAMES:
            self._end(400, "malformed-request", "the body is hardly more than its framing")
        elif self._alarm is None and (self._in_body or (self._in_head and not self._busy)):
            self._watch()

    def _feed(self, data: bytes) -> None:
        """Parses what came. A request that would upgrade is taken for what else it is, as a server
        may (RFC 9110, section 7.8). The parser cannot be told: it passes over the body, and would
        take that for the next request. So its head is parsed again, without that header."""
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
            except HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            else:
                return
            if self.scope["method"] == "CONNECT":
                self._end(501, "not-implemented", "this server is no proxy")
                return
            head = request_head.without_upgrade(self.scope, self.url)
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    # --- what the parser finds --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self.scope["http_version"] = self.parser.get_http_version()
            return
        self._in_head, self._in_body = False, True
        app = self.app
        if fault := request_head.fault(self.headers, self.parser.get_http_version()):
            self.app = _refusal(*fault)
        super().on_headers_complete()
        self.app = app
        self.headers = []  # a trailer must not join the headers (RFC 9110, section 6.5.1)
        self._unwatch()
        self._since = self.loop.time()

    def on_body(self, body: bytes) -> None:
        self._carried += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_body = False
        self._unwatch()
        super().on_message_complete()
        # Whatever comes next on this connection is the head of another request.
        self._begin()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        limit = self._bounds.head_bytes
        if self._came > limit and _head_bytes(cycle.scope) > limit:
            app = _refusal(431, "head-too-large", _TOO_LONG.format(limit))
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        self._end(400, "malformed-request", "this is not HTTP/1.1 as RFC 9112 has it")

    # --- time -------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._in_head, self._in_body = True, False
        self._came = self._carried = 0
        self._since = self.loop.time()

    def _watch(self) -> None:
        self._alarm = self.loop.call_at(self._deadline(), self._late)

    def _unwatch(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _deadline(self) -> float:
        bounds = self._bounds
        if self._in_head:
            return self._since + bounds.head_s
        return self._since + bounds.body_s + self._came / bounds.body_rate

    def _late(self) -> None:
        self._alarm = None
        if self.transport.is_closing() or not (self._in_head or self._in_body):
            return
        if self._in_head and self._busy:
            return  # the answer to the request before is awaited: then the idle time counts
        if self._in_body and self.flow.read_paused:
            self._since = self.loop.time()  # it is we who do not read
        if self.loop.time() < self._deadline():
            self._watch()
        elif self._in_head and not self._came:
            self._close()  # nothing was asked, so there is nothing to answer
        elif self._in_head or not self.cycle.response_started:
            self._end(408, "request-timeout", "the request came too slowly")
        else:
            self._close()

    def timeout_keep_alive_handler(self) -> None:
        """An idle connection ends, and does not wait for ever for its last answer to be read."""
        if not self.transport.is_closing():
            self._close()

    # --- the end ----------------------------------------------------------------------------------

    def _end(self, status: int, kind: str, detail: str) -> None:
        """Answers with a problem, past the application, and closes."""
        at = self._answered
        if at is None or at.response_complete or not at.response_started:
            self.transport.write(_raw(status, kind, detail))
        self._close()

    def _tell_gone(self) -> None:
        """Tells the application that its caller has; what was sent ahead is not begun."""
        self.pipeline.clear()
        cycle = self._answered
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
            self._linger(None)

    def _close(self) -> None:
        self._unwatch()
        self._tell_gone()
        self.transport.close()
        self._linger(None)

    # --- answers that nobody reads ----------------------------------------------------------------

    def pause_writing(self) -> None:
        """So much is unread that no more is written."""
        super().pause_writing()
        self._linger(None)

    def resume_writing(self) -> None:
        """Enough of it has been read."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._forgive()

    def _linger(self, before: int | None) -> None:
        """What is unread is waited for as long as some of it is read."""
        self._forgive()
        left = self.transport.get_write_buffer_size()
        if before is not None and left >= before:
            self._tell_gone()
            self.transport.abort()
        else:
            self._unread = self.loop.call_later(self._bounds.read_s, self._linger, left)

    def _forgive(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


_FRAMES = 2**16
"""Bytes of chunk sizes and trailers that a body may have beyond as many as of its content."""
_TOO_LONG = "the head of the request is longer than the {} bytes that this server reads"
_TOO_MANY = "this address has {} connections open, as many as one may; close some, or try again"
_TITLES = {
    400: ("Bad Request", "The request is not HTTP"),
    408: ("Request Timeout", "The request did not come"),
    431: ("Request Header Fields Too Large", "The head of the request is too large"),
    501: ("Not Implemented", "The request needs what this server has not"),
    503: ("Service Unavailable", "Too many connections are open"),
}


def _problem(status: int, kind: str, detail: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    document = {"type": kind, "title": _TITLES[status][1], "status": status, "detail": detail}
    body = json.dumps(document).encode() + b"\n"
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    return body, headers


def _raw(status: int, kind: str, detail: str) -> bytes:
    body, headers = _problem(status, kind, detail)
    head = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, _TITLES[status][0].encode(), head, body)


def _refusal(status: int, kind: str, detail: str) -> Callable[..., Awaitable[None]]:
    """The same as an application, where a request has been parsed."""
    body, headers = _problem(status, kind, detail)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def _head_bytes(scope: Any) -> int:
    fields = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return fields + len(scope["raw_path"]) + len(scope["query_string"])
