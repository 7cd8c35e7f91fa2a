"""W3C Trace Context: a request that is part of a trace is answered as a part of it."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import Scope

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KEY = "descent.trace"


class Span(NamedTuple):
    """Our part of a caller's trace."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def header(self) -> bytes:
        """As a `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}".encode()


CURRENT: ContextVar[Span | None] = ContextVar("trace", default=None)
"""The span of the request that is being answered, for the log."""


def child(parent: bytes) -> Span | None:
    """A span below the one that a `traceparent` names; None where it is not valid (section 3.2 of
    the recommendation: version ff, ids of zeros, more members than version 00 has)."""
    found = _PARENT.fullmatch(parent)
    if found is None or found[1] == b"ff" or (found[1] == b"00" and found[5]):
        return None
    if not found[2].strip(b"0") or not found[3].strip(b"0"):
        return None
    return Span(found[2].decode(), secrets.token_hex(8), found[4].decode())


def mark(scope: Scope, span: Span) -> None:
    """Gives the request with this scope its span."""
    scope[_KEY] = span
    CURRENT.set(span)


def span(scope: Scope) -> Span | None:
    """The span of the request with this scope."""
    found: Span | None = scope.get(_KEY)
    return found
