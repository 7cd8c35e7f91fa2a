"""X-Request-ID: on every answer, so that a caller's log and the server's can be correlated."""

from __future__ import annotations

import re
from contextvars import ContextVar

from starlette.types import Scope

_SANE = re.compile(rb"[\w.:/+=@-]{1,128}\Z", re.ASCII)
_KEY = "descent.request_id"

CURRENT: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered, for the log."""


def sane(given: bytes) -> bytes | None:
    """The request's own X-Request-ID, or None unless it is 1 to 128 safe ASCII characters."""
    return given if _SANE.match(given) else None


def mark(scope: Scope, identity: str) -> None:
    """Stores the id in the request's scope and context."""
    scope[_KEY] = identity
    CURRENT.set(identity)


def request_id(scope: Scope) -> str | None:
    """The id stored in the request's scope."""
    identity: str | None = scope.get(_KEY)
    return identity
