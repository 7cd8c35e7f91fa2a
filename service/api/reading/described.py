"""The body formats in openapi.json."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from service.api.reading.forms import CSV, FORMS, MULTIPART

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
    return [_parameter(name) for name in schema.model_fields if name != "data"]


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
