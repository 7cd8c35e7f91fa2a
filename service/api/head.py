"""Parsing of header values: lists, parameters, media ranges, preferences. Time is linear in their
length. Accept and Prefer are hints that never cause a refusal, so one that is too long is ignored
(RFC 9110, section 12.1; RFC 7240, section 2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network

from starlette.datastructures import Headers

from service.api.http_errors import MalformedBody
from service.api.middleware.api_keys import OWNER
from service.api.state import Request
from service.api.validation_errors import clip

LONGEST = 4096
"""The most characters that are parsed; a browser's Accept has some 150."""

LONGEST_CONTENT_TYPE = 1024
"""The most characters of a Content-Type; a boundary has at most 70 of them."""

_KIND = re.compile(r"[\w*.+-]+/[\w*.+-]+", re.ASCII)
_PREFERENCE = re.compile(r"[\w-]+", re.ASCII)
_QUALITY = re.compile(r"q\s*=\s*([01](?:\.\d{0,3})?)", re.IGNORECASE | re.ASCII)


def split(text: str, separator: str) -> list[str]:
    """Splits at separators outside quoted strings (RFC 9110, section 5.6.4)."""
    if '"' not in text:
        return text.split(separator)
    pieces, start, quoted, escaped = [], 0, False, False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == '"':
            quoted = not quoted
        elif quoted:
            escaped = character == "\\"
        elif character == separator:
            pieces.append(text[start:at])
            start = at + 1
    return [*pieces, text[start:]]


def unquoted(text: str) -> str:
    """A token as it is, or the value of a quoted string."""
    text = text.strip()
    if not text.startswith('"'):
        return text
    inner = text[1:-1] if len(text) > 1 and text.endswith('"') else text[1:]
    return re.sub(r"\\(.)", r"\1", inner)


def parameters(text: str) -> tuple[str, dict[str, str]]:
    """The value before the first semicolon, and the parameters after it by lower-case name."""
    first, *rest = split(text, ";")
    pairs = (each.partition("=") for each in rest if each.strip())
    return first.strip(), {key.strip().lower(): unquoted(value) for key, _, value in pairs}


def ranges(accept: str) -> dict[str, float]:
    """The media ranges of an Accept header, in lower case, with their quality values; an invalid
    quality is 1."""
    if len(accept) > LONGEST:
        return {}
    found = {}
    for part in accept.split(","):
        kind, *options = (piece.strip() for piece in part.split(";"))
        if _KIND.fullmatch(kind):
            quality = next(filter(None, map(_QUALITY.match, options)), None)
            found[kind.lower()] = float(quality[1]) if quality else 1.0
    return found


@dataclass(frozen=True, slots=True)
class Preference:
    """The Prefer header (RFC 7240): `respond-async` asks for the job at once, `wait=N` for the fit
    if it is ready within N seconds."""

    respond_async: bool = False
    wait_s: int | None = None

    def wait(self, longest_s: float) -> float:
        """Seconds to wait for the fit, at most `longest_s`."""
        if self.wait_s is not None:
            return min(float(self.wait_s), longest_s)
        return 0.0 if self.respond_async else longest_s

    def applied(self, *, finished: bool) -> dict[str, str]:
        """The Preference-Applied header: `wait` where it was given, `respond-async` on a 202."""
        honoured = [] if self.wait_s is None else [f"wait={self.wait_s}"]
        if self.respond_async and not finished:
            honoured.insert(0, "respond-async")
        return {"Preference-Applied": ", ".join(honoured)} if honoured else {}


def preference(headers: Headers) -> Preference:
    """Reads Prefer: the first of each preference counts, unknown ones are ignored (RFC 7240,
    section 2)."""
    asked: dict[str, str] = {}
    line = ",".join(headers.getlist("prefer"))
    for each in split(line, ",") if len(line) <= LONGEST else ():
        name, _, value = split(each, ";")[0].partition("=")
        if _PREFERENCE.fullmatch(name.strip()):
            asked.setdefault(name.strip().lower(), unquoted(value))
    wait = asked.get("wait", "")
    return Preference(
        respond_async="respond-async" in asked,
        wait_s=int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 10 else None,
    )


@dataclass(frozen=True, slots=True)
class MediaType:
    """A Content-Type, such as `text/csv; header=absent`, with names in lower case."""

    name: str
    params: Mapping[str, str] = field(default_factory=dict)


def media_type(header: str) -> MediaType:
    """The media type of a Content-Type header; an empty name where it is absent. Raises
    MalformedBody."""
    if len(header) > LONGEST_CONTENT_TYPE:
        raise MalformedBody(f"the Content-Type is longer than {LONGEST_CONTENT_TYPE} characters")
    name, params = parameters(header)
    # RFC 2231's `name*` is not used in HTTP's Content-Type (RFC 8187, section 1).
    if starred := next((key for key in params if "*" in key), None):
        plain = clip(starred.partition("*")[0])
        raise MalformedBody(f"the Content-Type's '{clip(starred)}' has a '*'; write `{plain}=…`")
    return MediaType(name.lower(), params)


def owner(request: Request) -> str:
    """The owner whose jobs the request may see: its key's name, "" where no keys are configured."""
    name: str = request.scope.get(OWNER, "")
    return name


def client(request: Request) -> str:
    """The key's name or, without keys, the peer address; an IPv6 address stands for its /64, which
    one site can use freely.


    No header is trusted here: for a proxy in `FORWARDED_ALLOW_IPS` the server has already replaced
    the proxy's address by the one it forwarded.
    """
    if name := owner(request):
        return name
    host = request.client.host if request.client else ""
    return network(host)


def network(host: str) -> str:
    """The address, or the /64 of one that is IPv6."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))
