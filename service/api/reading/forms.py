"""The forms that a body may have: media type -> what reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from service.api.reading import arrow, csv, multipart, npz
from service.api.reading.media_type import MediaType
from service.api.reading.table import Bounds, Table
from service.api.validation_messages import clip

Reader = Callable[[bytes | bytearray, MediaType, Bounds], Table]


@dataclass(frozen=True, slots=True)
class Form:
    """One form of body, beside JSON."""

    read: Reader
    """Pure: bytes in, columns out. Large bodies are read in a thread."""
    title: str
    """What it is, for openapi.json."""


def _read_by_magic(body: bytes | bytearray, media_type: MediaType, bounds: Bounds) -> Table:
    """Bytes of no stated form, known by those they begin with; else they should be an `.npz`."""
    is_arrow = body.startswith(arrow.MAGICS)
    return (arrow.read if is_arrow else npz.read)(body, media_type, bounds)


def _read_parts(body: bytes | bytearray, media_type: MediaType, bounds: Bounds) -> Table:
    whole = {name: form.read for name, form in FORMS.items() if form is not MULTIPART}
    return multipart.read(body, media_type, bounds, whole)


CSV = Form(csv.read, "Lines of values; a header or none; commas, semicolons or tabs")
ARROW = Form(arrow.read, "An Arrow IPC stream")
NPZ = Form(npz.read, "An .npz of NumPy's: one-dimensional arrays, one a column")
BINARY = Form(_read_by_magic, "An .npz or Arrow IPC, known by its first bytes")
MULTIPART = Form(_read_parts, "A part `request` (JSON without `data`) and a part `data`")

FORMS: Mapping[str, Form] = {
    "text/csv": CSV,
    "text/tab-separated-values": CSV,
    "application/vnd.apache.arrow.stream": ARROW,
    "application/vnd.apache.arrow.file": ARROW,
    "application/x-npz": NPZ,
    "application/zip": NPZ,
    "application/octet-stream": BINARY,
    "multipart/form-data": MULTIPART,
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
