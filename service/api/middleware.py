"""The front of every request: its id, its trace, its host, its origin; and the headers of every
answer.

One plain ASGI layer, since each costs a small prediction some microseconds.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import cross_origin, request_id, trace
from service.api.answers import PROBLEM
from service.api.clients import OWNER
from service.api.error_handlers import refuse
from service.api.metrics import Metrics
from service.errors import CrossOrigin, Misdirected

_Pair = tuple[bytes, bytes]

ALWAYS: tuple[_Pair, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE: _Pair = (b"cache-control", b"no-store")
"""Where a route says nothing else: nearly all answers are somebody's data."""
NOTHING: _Pair = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""For answers that are no page: opened in a browser, they may load and run nothing."""
FRAMELESS: _Pair = (
    b"content-security-policy",
    b"frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
)
"""For a page that brings no policy of its own."""


UNMATCHED = "unmatched"
"""The route of what has none."""

log = logging.getLogger("descent.access")


class RequestMiddleware:
    """Gives each request an id, the one it came with where that is sane; refuses other hosts, and
    changes by pages of other origins."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        metrics: Metrics,
        access_log: bool = False,
    ) -> None:
        self.app = app
        self._hosts = AllowedHosts(hosts)
        self._origins = frozenset(allowed_origins)
        self._metrics = metrics
        self._log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        heads = _heads(scope)
        given, parent = heads[b"x-request-id"], heads[b"traceparent"]
        identity = request_id.sane(given) or uuid.uuid4().hex.encode()
        extra = (*ALWAYS, (b"x-request-id", identity))
        request_id.mark(scope, identity.decode())
        if parent and (span := trace.child(parent)):
            trace.mark(scope, span)
            extra = (*extra, (b"traceparent", span.header))

        began, status = perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _completed([*message.get("headers", ())], extra)
            await send(message)

        try:
            await self._pass(scope, receive, send_with_headers, heads)
        finally:
            self._record(scope, status, perf_counter() - began)

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, heads: Mapping[bytes, bytes]
    ) -> None:
        host, site, origin = heads[b"host"], heads[b"sec-fetch-site"], heads[b"origin"]
        if self._hosts and not self._hosts.know(host):
            await refuse(Misdirected(), scope, receive, send)
        elif (
            (site or origin)
            and scope["method"] not in cross_origin.SAFE
            and cross_origin.is_foreign(site, origin, host, self._origins)
        ):
            await refuse(CrossOrigin(), scope, receive, send)
        elif scope["method"] == "HEAD":
            await _head(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or _plain(scope)
        self._metrics.answered(scope["method"], route, status, seconds)
        if PROBLEM in scope:
            self._metrics.refused(scope[PROBLEM])
        if self._log:
            _log(scope, route, status, seconds)


class AllowedHosts:
    """The names by which the service may be called. `*.example.org` is all below that; `local` is
    all that nobody outside can have point here: names without a dot, and addresses."""

    def __init__(self, names: Iterable[str]) -> None:
        allowed = {name.strip().lower() for name in names} - {""}
        self._any = not allowed or "*" in allowed
        self._names = frozenset(allowed)
        self._local = "local" in allowed
        self._below = tuple(name[1:] for name in allowed if name.startswith("*."))

    def __bool__(self) -> bool:
        return not self._any

    def know(self, host: bytes) -> bool:
        """Whether a Host header, its port apart, is one of them."""
        name = host.decode("latin-1").lower()
        if not name.endswith("]"):
            bare, colon, port = name.rpartition(":")
            name = bare if colon and port.isdigit() else name
        if name in self._names or (self._below and name.endswith(self._below)):
            return True
        return self._local and _is_local(name)


def _plain(scope: Scope) -> str:
    """The route of a page, which is none of FastAPI's and leaves no template in the scope."""
    if "endpoint" not in scope:
        return UNMATCHED
    path: str = scope["path"]
    return "/assets/{path}" if path.startswith("/assets/") else path


def _is_local(name: str) -> bool:
    if "." not in name or name.endswith(".localhost"):
        return bool(name)
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _log(scope: Scope, route: str, status: int, seconds: float) -> None:
    client = scope["client"][0] if scope.get("client") else None
    path = scope.get("raw_path", b"").decode("latin-1")
    fields = {
        "method": scope["method"],
        "path": path,
        "route": route,
        "status": status,
        "duration_ms": round(1000 * seconds, 3),
        "client": client,
        "key": scope.get(OWNER),
        "job_id": scope.get("path_params", {}).get("job_id"),
        "problem": scope.get(PROBLEM),
    }
    told = {name: value for name, value in fields.items() if value is not None}
    named, took = request_id.request_id(scope), 1000 * seconds
    log.info("%s %s %d %.1f ms [%s]", scope["method"], path, status, took, named, extra=told)


_LOOKED_AT = (b"host", b"origin", b"sec-fetch-site", b"traceparent", b"x-request-id")


def _heads(scope: Scope) -> dict[bytes, bytes]:
    """The headers that are looked at here, empty where they did not come."""
    found = dict.fromkeys(_LOOKED_AT, b"")
    for name, value in scope["headers"]:
        if name in found:
            found[name] = value
    return found


def _completed(headers: list[_Pair], extra: tuple[_Pair, ...]) -> list[_Pair]:
    """The headers with ours, except where a route has said something else itself."""
    said = dict(headers)
    made = [*headers, *(pair for pair in extra if pair[0] not in said)]
    if b"cache-control" not in said:
        made.append(NO_STORE)
    if b"content-security-policy" not in said:
        page = said.get(b"content-type", b"").startswith(b"text/html")
        made.append(FRAMELESS if page else NOTHING)
    return made


async def _head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """HEAD is GET without its body, and over as soon as the headers are out: a stream has no end
    that is worth waiting for."""
    answered = False

    async def send_head(message: Message) -> None:
        nonlocal answered
        if message["type"] == "http.response.start":
            answered = True
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def receive_until_answered() -> Message:
        return {"type": "http.disconnect"} if answered else await receive()

    inner = {**scope, "method": "GET"}
    await app(inner, receive_until_answered, send_head)
    for key in ("route", "endpoint", PROBLEM):
        if key in inner:
            scope[key] = inner[key]
