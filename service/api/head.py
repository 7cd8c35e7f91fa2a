"""The head of a request, read once: who sends it, what it carries, and what answer it asks for.

Accept and Prefer are hints that never cause a refusal, so one that is too long is ignored (RFC
9110, section 12.1; RFC 7240, section 2). Lists and parameters are parsed by werkzeug, in time
linear in their length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import (
    parse_accept_header,
    parse_list_header,
    parse_options_header,
    unquote_header_value,
)

from service.api.forms import FORMS, JSON, AnswerForm
from service.api.http_errors import MalformedBody, NotAcceptable, UnsupportedMediaType
from service.api.middleware.api_keys import OWNER
from service.api.middleware.request_ids import request_id
from service.api.validation_errors import clip
from service.errors import InvalidRequest, UnknownName

LONGEST = 4096
"""The most characters of Accept or Prefer that are parsed; a browser's Accept has some 150."""
LONGEST_CONTENT_TYPE = 1024
"""The most characters of a Content-Type; a boundary has at most 70 of them."""
ENCODINGS = frozenset({"gzip", "x-gzip"})
"""The Content-Encodings that are decompressed."""

_STARRED = re.compile(r";\s*([^\s;=\"*]*)\*")
"""A parameter with RFC 2231's `name*`, which HTTP's Content-Type has not (RFC 8187, section 1)."""
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_LISTS = frozenset({b"accept", b"prefer"})
"""Headers whose lines are joined (RFC 9110, section 5.3); of others the last line counts."""
_READ = (*sorted(_LISTS), b"content-type", b"content-length", b"content-encoding", b"last-event-id")
_ANYTHING = frozenset({b"", b"*/*", b"application/json"})
"""The values of Accept that most clients send, which need no parsing."""

NameT = TypeVar("NameT", bound=str)


@dataclass(frozen=True, slots=True)
class MediaType:
    """A Content-Type, such as `text/csv; header=absent`, with names in lower case."""

    name: str
    params: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Content:
    """What the head says about the body."""

    media_type: MediaType
    length: int
    """The Content-Length; 0 if absent."""
    is_gzip: bool

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON."""
        name = self.media_type.name
        return name == JSON.media_type or (
            name.startswith("application/") and name.endswith("+json")
        )


NO_CONTENT: Final = Content(MediaType(""), 0, is_gzip=False)
NO_PREFERENCE: Final = Preference()


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a request says."""

    request_id: str | None
    owner: str
    """The owner whose jobs the request may see: its key's name, "" where no keys are configured."""
    client: str
    """The caller that queues and limits count by: the owner, or else the address."""
    query: bytes
    accept: str
    form: AnswerForm
    """The form of the answer: `?format=`, else Accept."""
    content: Content = NO_CONTENT
    prefer: Preference = NO_PREFERENCE
    idempotency_key: str | None = None
    last_event_id: str = ""


def read(
    request: Request[Any],
    *,
    forms: Mapping[str, AnswerForm] = FORMS,
    body: bool = False,
    keyed: bool = False,
) -> Head:
    """The head of a request to a route that answers in one of `forms`, has a body or none, and
    takes an Idempotency-Key or none. Raises NotAcceptable, UnknownName for an unknown `format`,
    InvalidRequest for the key, UnsupportedMediaType or MalformedBody for the content."""
    scope = request.scope
    values = dict.fromkeys(_READ, b"")
    keys: list[bytes] = []
    for name, value in scope["headers"]:
        if name == b"idempotency-key":
            keys.append(value)
        elif name in values:
            before = values[name] if name in _LISTS else b""
            values[name] = before + b", " + value if before else value
    query: bytes = scope["query_string"]
    accept = values[b"accept"]
    form = JSON
    if forms and (query or accept not in _ANYTHING):
        form = _form(query, accept.decode("latin-1"), forms)
    owner: str = scope.get(OWNER, "")
    return Head(
        request_id=request_id(scope),
        owner=owner,
        client=owner or network(request.client.host if request.client else ""),
        query=query,
        accept=accept.decode("latin-1"),
        form=form,
        prefer=_preference(values[b"prefer"].decode("latin-1")) if keyed else NO_PREFERENCE,
        idempotency_key=_idempotency_key(keys) if keyed else None,
        content=_content(values) if body else NO_CONTENT,
        last_event_id=values[b"last-event-id"].decode("latin-1"),
    )


def _form(query: bytes, accept: str, forms: Mapping[str, AnswerForm]) -> AnswerForm:
    for key, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if key == "format":
            if value not in forms:
                raise UnknownName("format", value, forms)
            return forms[value]
    return forms[choose(accept, {name: form.media_type for name, form in forms.items()})]


def choose(accept: str, media: Mapping[NameT, str]) -> NameT:
    """The name of the media type of the highest quality in Accept, the earliest of equals; the
    first if Accept is empty (RFC 9110, section 12.5.1).

    The most specific matching range gives a type's quality; 0 excludes it. Raises NotAcceptable.
    """
    ranges = accepted(accept)
    if not ranges:
        return next(iter(media))
    kinds = {name: kind.partition(";")[0] for name, kind in media.items()}
    best = max(media, key=lambda name: ranges.quality(kinds[name]))
    if ranges.quality(kinds[best]) <= 0.0:
        raise NotAcceptable(
            f"this is available as {', '.join(dict.fromkeys(kinds.values()))}, and Accept allows "
            f"none of them; or set `format`: {', '.join(media)}"
        )
    return best


def accepted(accept: str) -> MIMEAccept:
    """The media ranges of Accept with their qualities, in lower case and without parameters."""
    ranges = parse_accept_header(accept) if len(accept) <= LONGEST else ()
    kinds = [(name.partition(";")[0].strip().lower(), quality) for name, quality in ranges]
    return MIMEAccept((kind, quality) for kind, quality in kinds if "/" in kind)


def _preference(prefer: str) -> Preference:
    """The first of each preference counts, unknown ones are ignored (RFC 7240, section 2)."""
    if not prefer or len(prefer) > LONGEST:
        return NO_PREFERENCE
    asked: dict[str, str] = {}
    for each in parse_list_header(prefer):
        name, _, value = parse_options_header(each)[0].partition("=")
        asked.setdefault(name.strip().lower(), unquote_header_value(value.strip()))
    wait = asked.get("wait", "")
    return Preference(
        respond_async="respond-async" in asked,
        wait_s=int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 10 else None,
    )


def _idempotency_key(keys: list[bytes]) -> str | None:
    if not keys:
        return None
    key = keys[0].decode("latin-1")
    if len(keys) > 1 or not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest(
            "header 'Idempotency-Key' must be sent once, with 1 to 255 visible ASCII characters"
        )
    return key


def _content(values: Mapping[bytes, bytes]) -> Content:
    encoding = values[b"content-encoding"].decode("latin-1").strip().lower()
    if encoding not in {"", "identity", *ENCODINGS}:
        raise UnsupportedMediaType(
            f"the body's Content-Encoding must be gzip or absent, not '{clip(encoding)}'"
        )
    length = values[b"content-length"]
    return Content(
        media_type(values[b"content-type"].decode("latin-1")),
        int(length) if length.isdigit() else 0,
        encoding in ENCODINGS,
    )


_JSON: Final = MediaType(JSON.media_type)


def media_type(header: str) -> MediaType:
    """The media type of a Content-Type header; an empty name where it is absent. JSON has no
    parameters (RFC 8259, section 11), so those it came with are ignored. Raises MalformedBody."""
    if header.partition(";")[0].strip().lower() == _JSON.name:
        return _JSON
    if len(header) > LONGEST_CONTENT_TYPE:
        raise MalformedBody(f"the Content-Type is longer than {LONGEST_CONTENT_TYPE} characters")
    if starred := _STARRED.search(header):
        name = clip(starred[1])
        raise MalformedBody(f"the Content-Type's '{name}*' has a '*'; write `{name}=…`")
    name, params = parse_options_header(header)
    return MediaType(name.lower(), params)


def network(host: str) -> str:
    """The address, or the /64 of one that is IPv6, which one site can use freely.

    No header is trusted here: for a proxy in `FORWARDED_ALLOW_IPS` the server has already replaced
    the proxy's address by the one it forwarded.
    """
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))
