"""A Content-Type as it was sent: its name and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.api.header_values import parameters
from service.api.reading.table import MalformedBody
from service.api.validation_messages import clip

LONGEST = 1024
"""Characters of a Content-Type; a boundary has at most 70 of them."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """`text/csv; header=absent`: names are in lower case."""

    name: str
    params: Mapping[str, str] = field(default_factory=dict)


def parse(header: str) -> MediaType:
    """The media type of a Content-Type header; its name is empty where there is none. Raises
    MalformedBody."""
    if len(header) > LONGEST:
        raise MalformedBody(f"the Content-Type is longer than {LONGEST} characters")
    name, params = parameters(header)
    # RFC 2231's spelling is mail's: in HTTP no Content-Type has it (RFC 8187, section 1).
    if starred := next((key for key in params if "*" in key), None):
        plain = clip(starred.partition("*")[0])
        raise MalformedBody(f"the Content-Type's '{clip(starred)}' has a '*'; write `{plain}=…`")
    return MediaType(name.lower(), params)
