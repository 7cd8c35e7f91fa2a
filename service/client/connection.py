"""The options and errors of httpx, shared by both clients."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from service import __version__
from service.client import address, errors
from service.client.calls import Call, Reply
from service.client.deadline import Deadline

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
ANSWER_S = 60.0
"""Seconds for an answer, in addition to those for which the service was asked to wait."""
GRACE_S = 5.0
"""Seconds beyond a deadline for an answer that is being sent."""
INTERRUPTED_S = 3.0
"""Seconds for the calls after an interrupt."""
POOL = 100
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


def options(url: str) -> dict[str, Any]:
    """For `httpx.Client` and `httpx.AsyncClient`."""
    import ssl

    import httpx

    limits = httpx.Limits(max_connections=POOL, max_keepalive_connections=20)
    return {
        "limits": limits,
        "trust_env": not address.loopback(url),
        "follow_redirects": False,
        # Loading the certificates is slow, and http:// needs none: this context trusts none.
        "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.startswith("http:") else True,
    }


def request(
    url: str, call: Call, api_key: str | None, read_s: float | None = None
) -> dict[str, Any]:
    """For their `request` and `stream`."""
    import httpx

    return {
        "method": call.method,
        "url": url + call.path,
        "params": dict(call.query),
        "headers": _headers(call.headers, api_key),
        "content": call.body,
        "timeout": httpx.Timeout(ANSWER_S, connect=CONNECT_S, read=read_s, pool=None),
    }


def read_s(call: Call, deadline: Deadline) -> float:
    """Seconds to wait for its answer."""
    return min(call.held_s + ANSWER_S, deadline.left() + GRACE_S)


def reply(response: httpx.Response, attempts: int = 1) -> Reply:
    """The reply; its body has been read."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, response.content, attempts)


def failures() -> tuple[type[Exception], ...]:
    """The exceptions after which a stream is resumed."""
    import httpx

    return (httpx.TransportError, errors.ServiceUnavailable)


def why(error: Exception) -> str:
    """The reason why there is no answer, for a message."""
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_S:g} s"
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    return _ERRNO.sub("", str(error)) or type(error).__name__


def _headers(given: Mapping[str, str], api_key: str | None) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": f"descent-client/{__version__}"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    return {**headers, **given}
