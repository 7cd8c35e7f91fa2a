"""X-Request-ID: on every answer, so that a caller's log and ours can be laid side by side."""

from __future__ import annotations

import re
from contextvars import ContextVar

from starlette.types import Scope

_SANE = re.compile(rb"[\w.:/+=@-]{1,128}\Z", re.ASCII)
_KEY = "descent.request_id"

CURRENT: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered, for the log."""


def sane(given: bytes) -> bytes | None:
    """The id that a request came with, if it may stand in a header and in a log."""
    return given if _SANE.match(given) else None


def mark(scope: Scope, identity: str) -> None:
    """Gives the request with this scope its id."""
    scope[_KEY] = identity
    CURRENT.set(identity)


def request_id(scope: Scope) -> str | None:
    """The id of the request with this scope."""
    identity: str | None = scope.get(_KEY)
    return identity
