"""The outermost middleware: request id, trace context, allowed hosts, cross-origin checks, default
response headers, request metrics and the access log.

One ASGI layer for all of them: each layer adds some microseconds to every request.
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

DEFAULT_HEADERS: tuple[_Pair, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE: _Pair = (b"cache-control", b"no-store")
"""The default: nearly all answers hold a caller's data."""
DEFAULT_POLICY: _Pair = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""The policy of answers that are not pages: a browser loads and runs nothing in them."""
PAGE_POLICY: _Pair = (
    b"content-security-policy",
    b"frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
)
"""The policy of a page that sets none."""


UNMATCHED = "unmatched"
"""The route label of requests that match no route."""

log = logging.getLogger("descent.access")


class RequestMiddleware:
    """Assigns each request its id (the caller's X-Request-ID where valid, else a new one), refuses
    hosts that are not allowed and cross-origin changes, and sets default response headers."""

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
        headers = _read_headers(scope)
        given, parent = headers[b"x-request-id"], headers[b"traceparent"]
        new_id = request_id.sane(given) or uuid.uuid4().hex.encode()
        extra = (*DEFAULT_HEADERS, (b"x-request-id", new_id))
        request_id.mark(scope, new_id.decode())
        if parent and (span := trace.child(parent)):
            trace.mark(scope, span)
            extra = (*extra, (b"traceparent", span.header))

        began, status = perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_defaults([*message.get("headers", ())], extra)
            await send(message)

        try:
            await self._dispatch(scope, receive, send_with_headers, headers)
        finally:
            self._record(scope, status, perf_counter() - began)

    async def _dispatch(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes]
    ) -> None:
        host, site, origin = headers[b"host"], headers[b"sec-fetch-site"], headers[b"origin"]
        if self._hosts and not self._hosts.allows(host):
            await refuse(Misdirected(), scope, receive, send)
        elif (
            (site or origin)
            and scope["method"] not in cross_origin.SAFE
            and cross_origin.is_foreign(site, origin, host, self._origins)
        ):
            await refuse(CrossOrigin(), scope, receive, send)
        elif scope["method"] == "HEAD":
            await _answer_head(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or _page_route(scope)
        self._metrics.answered(scope["method"], route, status, seconds)
        if PROBLEM in scope:
            self._metrics.refused(scope[PROBLEM])
        if self._log:
            _log(scope, route, status, seconds)


class AllowedHosts:
    """The accepted Host values. `*.example.org` matches every subdomain; `local` matches names
    without a dot and IP addresses, which no outside DNS record can point here."""

    def __init__(self, names: Iterable[str]) -> None:
        allowed = {name.strip().lower() for name in names} - {""}
        self._any = not allowed or "*" in allowed
        self._names = frozenset(allowed)
        self._local = "local" in allowed
        self._below = tuple(name[1:] for name in allowed if name.startswith("*."))

    def __bool__(self) -> bool:
        return not self._any

    def allows(self, host: bytes) -> bool:
        """Whether a Host header, without its port, is accepted."""
        name = host.decode("latin-1").lower()
        if not name.endswith("]"):
            bare, colon, port = name.rpartition(":")
            name = bare if colon and port.isdigit() else name
        if name in self._names or (self._below and name.endswith(self._below)):
            return True
        return self._local and _is_local(name)


def _page_route(scope: Scope) -> str:
    """The route label of a page: Starlette routes leave no template in the scope."""
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
    present = {name: value for name, value in fields.items() if value is not None}
    named, took = request_id.request_id(scope), 1000 * seconds
    log.info("%s %s %d %.1f ms [%s]", scope["method"], path, status, took, named, extra=present)


_READ = (b"host", b"origin", b"sec-fetch-site", b"traceparent", b"x-request-id")


def _read_headers(scope: Scope) -> dict[bytes, bytes]:
    """The request headers used here; b"" for those absent."""
    found = dict.fromkeys(_READ, b"")
    for name, value in scope["headers"]:
        if name in found:
            found[name] = value
    return found


def _with_defaults(headers: list[_Pair], extra: tuple[_Pair, ...]) -> list[_Pair]:
    """The response headers with the defaults added where the route set none."""
    present = dict(headers)
    completed = [*headers, *(pair for pair in extra if pair[0] not in present)]
    if b"cache-control" not in present:
        completed.append(NO_STORE)
    if b"content-security-policy" not in present:
        page = present.get(b"content-type", b"").startswith(b"text/html")
        completed.append(PAGE_POLICY if page else DEFAULT_POLICY)
    return completed


async def _answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
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
