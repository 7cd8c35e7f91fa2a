"""Checks of request heads that the parser accepts but HTTP forbids, or this server cannot serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.api.http_errors import MalformedRequest, NotSupported
from service.errors import DescentError

Fields = Sequence[tuple[bytes, bytes]]


def fault(fields: Fields, version: str) -> DescentError | None:
    """The problem with a head, whose names are in lower case; None if it is valid."""
    hosts, coding = 0, None
    for name, value in fields:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            coding = value if coding is None else coding + b"," + value
    if hosts != 1 and (hosts or version != "1.0"):
        return MalformedRequest(_HOST.format("no" if not hosts else "more than one"))
    if coding is not None and version == "1.0":
        return MalformedRequest("HTTP/1.0 has no transfer codings (RFC 9112, section 6.1)")
    if coding is not None and coding.strip().lower() != b"chunked":
        return NotSupported("the only transfer coding supported is `chunked`")
    return None


def without_upgrade(scope: Mapping[str, Any], url: bytes) -> bytes:
    """The head again, without the Upgrade header."""
    method, version = scope["method"].encode(), scope["http_version"].encode()
    lines = [b"%b %b HTTP/%b" % (method, url, version)]
    lines += [b"%b: %b" % field for field in scope["headers"] if field[0] != b"upgrade"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


_HOST = "the request has {} Host header; HTTP/1.1 requires one (RFC 9112, section 3.2)"
