"""W3C Trace Context: continues the trace of a request that has a `traceparent`."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import Scope

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KEY = "descent.trace"


class Span(NamedTuple):
    """The server's span in a caller's trace."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def header(self) -> bytes:
        """The `traceparent` value."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}".encode()


CURRENT: ContextVar[Span | None] = ContextVar("trace", default=None)
"""The span of the request that is being answered, for the log."""


def child(parent: bytes) -> Span | None:
    """A child of the span that a `traceparent` names; None where it is not valid (section 3.2 of
    the recommendation: version ff, all-zero ids, more fields than version 00 has)."""
    found = _PARENT.fullmatch(parent)
    if found is None or found[1] == b"ff" or (found[1] == b"00" and found[5]):
        return None
    if not found[2].strip(b"0") or not found[3].strip(b"0"):
        return None
    return Span(found[2].decode(), secrets.token_hex(8), found[4].decode())


def mark(scope: Scope, span: Span) -> None:
    """Stores the span in the request's scope and context."""
    scope[_KEY] = span
    CURRENT.set(span)


def span(scope: Scope) -> Span | None:
    """The span stored in the request's scope."""
    found: Span | None = scope.get(_KEY)
    return found
