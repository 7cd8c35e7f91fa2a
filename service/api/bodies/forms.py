"""The forms of a body: media type -> reader, and their description in openapi.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.api.bodies import arrow, csv, multipart, npz
from service.api.bodies.table import Bounds, Table
from service.api.head import MediaType
from service.api.http_errors import UnsupportedMediaType
from service.api.validation_errors import clip
from service.errors import InvalidRequest
from service.schemas.reading import ReadingOptions

Reader = Callable[[bytes | bytearray, MediaType, Bounds, ReadingOptions], Table]


@dataclass(frozen=True, slots=True)
class Form:
    """One body format other than JSON."""

    read: Reader
    """A pure function: bytes in, columns out. For large bodies it runs in a thread."""
    title: str
    """The description in openapi.json."""


def _binary(read: Callable[[bytes | bytearray, MediaType, Bounds], Table]) -> Reader:
    """The reader of a form that leaves nothing open, so that options of CSV are refused."""

    def checked(
        body: bytes | bytearray, media_type: MediaType, bounds: Bounds, options: ReadingOptions
    ) -> Table:
        if options.model_fields_set:
            name = min(options.model_fields_set)
            raise InvalidRequest(f"'{name}' is for CSV, and the data are of another form")
        return read(body, media_type, bounds)

    return checked


def _read_by_magic(body: bytes | bytearray, media_type: MediaType, bounds: Bounds) -> Table:
    """Reads Arrow IPC, recognized by its first bytes; anything else as an `.npz`."""
    is_arrow = body.startswith(arrow.MAGICS)
    return (arrow.read if is_arrow else npz.read)(body, media_type, bounds)


def _read_parts(
    body: bytes | bytearray, media_type: MediaType, bounds: Bounds, options: ReadingOptions
) -> Table:
    whole = {name: form.read for name, form in FORMS.items() if form is not MULTIPART}
    return multipart.read(body, media_type, bounds, whole, options)


CSV = Form(csv.read, "Lines of values; a header or none; commas, semicolons, tabs, bars or spaces")
ARROW = Form(_binary(arrow.read), "An Arrow IPC stream")
NPZ = Form(_binary(npz.read), "A NumPy .npz: one-dimensional arrays, one a column")
BINARY = Form(_binary(_read_by_magic), "An .npz or Arrow IPC, recognized by its first bytes")
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
    """The format of a body that is not JSON. Raises UnsupportedMediaType for an unknown one."""
    form = FORMS.get(media_type.name)
    if form is None:
        raise UnsupportedMediaType(_unsupported(media_type.name))
    return form


def _unsupported(name: str) -> str:
    got = f"not '{clip(name)}'" if name else "and none was sent"
    return (
        f"the body's Content-Type must be application/json, {got}; with curl, use "
        "`-H 'Content-Type: application/json' -d '{...}'` (or `--json`). Also supported: "
        + ", ".join(FORMS)
    )


Part = dict[str, Any]

_EXAMPLE = "x,y\n1,2.1\n2,3.9\n3,6.2\n"


def content() -> Part:
    """Each media type but JSON, as `content` of a request body."""
    described: Part = {}
    for name, form in FORMS.items():
        if form is MULTIPART:
            described[name] = {
                "schema": {"description": form.title, **_PARTS},
                "encoding": _ENCODING,
            }
        else:
            described[name] = {"schema": {"type": "string", "description": form.title}}
        if form is CSV and name == "text/csv":
            described[name]["example"] = _EXAMPLE
    return described


_ENCODING: Part = {
    "request": {"contentType": "application/json"},
    # application/octet-stream is recognized by its first bytes.
    "data": {"contentType": "text/csv, application/octet-stream"},
}
_PARTS: Part = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "request": {
            "type": "object",
            "description": "The JSON body without its `data`.",
            "additionalProperties": True,
        },
        "data": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "description": "A CSV, an .npz or Arrow IPC, by its Content-Type or its file name.",
        },
    },
}


def parameters(schema: type[BaseModel]) -> list[Part]:
    """The options of a request that is not JSON, as query parameters."""
    of_request = [_parameter(name) for name in schema.model_fields if name != "data"]
    return [*of_request, *map(_reading_parameter, ReadingOptions.model_fields.items())]


def _reading_parameter(option: tuple[str, FieldInfo]) -> Part:
    name, field = option
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": f"For CSV: {(field.description or '').strip()}",
        "schema": {"type": "string"},
    }


def _parameter(name: str) -> Part:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": (
            f"For a body that is not JSON: `{name}` of the JSON body. A dot names a field of an "
            f"object (`{name}.key=value`), which may also be written as JSON."
        ),
        "schema": {"type": "string"},
    }
