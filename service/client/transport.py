"""HTTP, shared by both clients: the address, requests and replies, deadlines, httpx options."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from service import __version__

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8000"
URL_VARIABLE = "DESCENT_URL"
KEY_VARIABLE = "DESCENT_API_KEY"

CONNECT_S = 5.0
ANSWER_S = 60.0
"""Seconds for an answer, in addition to those for which the service was asked to wait."""
GRACE_S = 5.0
"""Seconds beyond a deadline for an answer that is being sent."""
INTERRUPTED_S = 3.0
"""Seconds for the calls after an interrupt."""
WAIT_S = 20
"""Seconds for which one call waits for a fit: below the usual timeouts of proxies."""
SILENCE_S = 60.0
"""Seconds without a line after which an event stream counts as broken; the service sends a
keep-alive every 15 s."""
POOL = 100
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")

AsyncSleep = Callable[[float], Awaitable[None]]
Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, which may be retried."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    held_s: float = 0.0
    """Seconds for which the service is asked to wait before it answers."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """The headers, by lower-case names."""
    body: bytes
    attempts: int = 1
    """The number of times the call was sent."""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Deadline:
    """A time `seconds` from now; None: no deadline."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = math.inf if seconds is None else clock() + seconds

    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - self._clock())

    def share(self) -> int:
        """The whole seconds for which one call may ask the service to wait."""
        left = self.left()
        return WAIT_S if left == math.inf else min(WAIT_S, math.ceil(left))


def job_path(job_id: str) -> str:
    """A job's path."""
    return f"/jobs/{quote(job_id, safe='')}"


def events_call(job_id: str, after_epoch: int | None) -> Call:
    """The call for a job's events after an epoch."""
    query = {} if after_epoch is None else {"after_epoch": str(after_epoch)}
    return Call("GET", f"{job_path(job_id)}/events", query, {"Accept": "application/jsonl"})


def resolved(url: str | None) -> str:
    """The address as given, else that of DESCENT_URL, else this machine's port 8000; `http://` is
    optional. Raises ValueError for an invalid one."""
    given = (url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).strip()
    full = given if "://" in given else f"http://{given}"
    parts = urlsplit(full)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"'{given}' is not a service's address, such as {DEFAULT_URL}")
    return full.rstrip("/")


def key(given: str | None) -> str | None:
    """The API key as given, else that of DESCENT_API_KEY, else None."""
    found = os.environ.get(KEY_VARIABLE) if given is None else given
    return (found or "").strip() or None


def options(url: str) -> dict[str, Any]:
    """The arguments of `httpx.Client` and `httpx.AsyncClient`."""
    import ssl

    import httpx

    limits = httpx.Limits(max_connections=POOL, max_keepalive_connections=20)
    return {
        "limits": limits,
        "trust_env": not _loopback(url),  # this machine needs no proxy
        "follow_redirects": False,
        # Loading the certificates is slow, and http:// needs none: this context trusts none.
        "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.startswith("http:") else True,
    }


def request(url: str, call: Call, api_key: str | None, read_s: float | None) -> dict[str, Any]:
    """The arguments of their `request` and `stream`."""
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
    """The reply of a response whose body has been read."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, response.content, attempts)


def why(error: Exception) -> str:
    """The reason why there is no answer, for a message."""
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_S:g} s"
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    return _ERRNO.sub("", str(error)) or type(error).__name__


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _headers(given: Mapping[str, str], api_key: str | None) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": f"descent-client/{__version__}"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    return {**headers, **given}
