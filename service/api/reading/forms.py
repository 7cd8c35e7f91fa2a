"""The formats of a body: media type -> reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from service.api.header_values import MediaType
from service.api.reading import arrow, csv, multipart, npz
from service.api.reading.table import Bounds, Table
from service.api.validation_messages import clip

Reader = Callable[[bytes | bytearray, MediaType, Bounds], Table]


@dataclass(frozen=True, slots=True)
class Form:
    """One body format other than JSON."""

    read: Reader
    """A pure function: bytes in, columns out. For large bodies it runs in a thread."""
    title: str
    """The description in openapi.json."""


def _read_by_magic(body: bytes | bytearray, media_type: MediaType, bounds: Bounds) -> Table:
    """Reads Arrow IPC, recognized by its first bytes; anything else as an `.npz`."""
    is_arrow = body.startswith(arrow.MAGICS)
    return (arrow.read if is_arrow else npz.read)(body, media_type, bounds)


def _read_parts(body: bytes | bytearray, media_type: MediaType, bounds: Bounds) -> Table:
    whole = {name: form.read for name, form in FORMS.items() if form is not MULTIPART}
    return multipart.read(body, media_type, bounds, whole)


CSV = Form(csv.read, "Lines of values; a header or none; commas, semicolons or tabs")
ARROW = Form(arrow.read, "An Arrow IPC stream")
NPZ = Form(npz.read, "A NumPy .npz: one-dimensional arrays, one a column")
BINARY = Form(_read_by_magic, "An .npz or Arrow IPC, recognized by its first bytes")
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
"""For all of them but multipart the options of the request are in the query string."""


def form_of(media_type: MediaType) -> Form:
    """The format of a body that is not JSON. Raises HTTPException 415 for an unknown one."""
    form = FORMS.get(media_type.name)
    if form is None:
        raise HTTPException(415, _unsupported(media_type.name))
    return form


def _unsupported(name: str) -> str:
    got = f"not '{clip(name)}'" if name else "and none was sent"
    return (
        f"the body's Content-Type must be application/json, {got}; with curl, use "
        "`curl --json '{...}'`, which sends the header (`curl -d` does not). Also supported: "
        + ", ".join(FORMS)
    )
