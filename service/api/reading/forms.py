"""The forms that a body may have: media type -> what reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from service.api.reading import arrow
from service.api.reading.media_type import MediaType
from service.api.reading.table import Bounds, Table
from service.api.sentences import clip

Reader = Callable[[bytes | bytearray, MediaType, Bounds], Table]


@dataclass(frozen=True, slots=True)
class Form:
    """One form of body, beside JSON."""

    read: Reader
    """Pure: bytes in, columns out. Large bodies are read in a thread."""
    title: str
    """What it is, for openapi.json."""


ARROW = Form(arrow.read, "An Arrow IPC stream")

FORMS: Mapping[str, Form] = {
    "application/vnd.apache.arrow.stream": ARROW,
    "application/vnd.apache.arrow.file": ARROW,
}
"""The options of the request stand in the query string."""


def form_of(media_type: MediaType) -> Form:
    """The form of a body that is not JSON; 415 where there is no such form."""
    form = FORMS.get(media_type.name)
    if form is None:
        raise HTTPException(415, _not_read(media_type.name))
    return form


def _not_read(name: str) -> str:
    got = f"not '{clip(name)}'" if name else "and none was sent"
    return (
        f"the body's Content-Type must be application/json, {got}; with curl, use "
        "`curl --json '{...}'` (it sends the header that `curl -d` does not). Read as well: "
        + ", ".join(FORMS)
    )
