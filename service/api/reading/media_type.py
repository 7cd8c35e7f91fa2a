"""A Content-Type as it was sent: its name and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message


@dataclass(frozen=True, slots=True)
class MediaType:
    """`text/csv; header=absent`: names are in lower case."""

    name: str
    params: Mapping[str, str] = field(default_factory=dict)


def parse(header: str) -> MediaType:
    """The media type of a Content-Type header; its name is empty where there is none."""
    if ";" not in header:
        return MediaType(header.strip().lower())
    message = Message()
    message["content-type"] = header.replace("\r", " ").replace("\n", " ")
    (name, _), *params = message.get_params([("", "")])
    return MediaType(name.strip().lower(), {key.lower(): value for key, value in params})
