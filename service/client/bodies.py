"""Request bodies: JSON; an Arrow stream where the data are large; a file as it is, in a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from service.client.data import Columns, column, columns, size

LARGE = 100_000
"""Values above which data are sent as Arrow: about 1 MB of JSON."""
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
ARROW_KEY = b"descent"
"""Of the schema's metadata: the request without its data."""
_BINARY = (b"PK", b"ARROW1", b"\xff\xff\xff\xff")
"""The first bytes of an .npz, an Arrow file and an Arrow stream."""


@dataclass(frozen=True, slots=True)
class File:
    """A table as the bytes of a file, which the service reads: CSV, .npz or Arrow."""

    name: str
    content: bytes

    @property
    def media_type(self) -> str:
        """Of .npz and Arrow a generic one: the service recognizes them by their first bytes."""
        if self.content.startswith(_BINARY):
            return "application/octet-stream"
        return "text/tab-separated-values" if self.name.endswith(".tsv") else "text/csv"


@dataclass(frozen=True, slots=True)
class Payload:
    """The payload of a POST route: its data, and its other members."""

    path: str
    data: Columns | File
    options: Mapping[str, Any]

    def body(self, *, arrow: bool) -> tuple[bytes, str]:
        """The body and its media type. arrow: whether large data may be sent as Arrow."""
        if isinstance(self.data, File):
            return _form(to_json(self.options), self.data)
        if arrow and self.is_large():
            return _arrow_stream(to_json(self.options), self.data), ARROW
        listed = {name: _listed(values) for name, values in self.data.items()}
        return to_json({"data": listed, **self.options}), JSON

    def is_large(self) -> bool:
        """Whether the data are columns of more than LARGE values."""
        return not isinstance(self.data, File) and size(self.data) > LARGE


def ask(path: str, given: Any, options: Mapping[str, Any]) -> Payload:
    """The payload of the caller's arguments; for those not given, the service's defaults apply."""
    plain = {name: _option(value) for name, value in options.items()}
    if isinstance(given, Path):
        given = File(given.name, given.read_bytes())
    return Payload(path, given if isinstance(given, File) else columns(given), plain)


def fit(model: Any, data: Any, group_by: Any, options: Mapping[str, Any]) -> Payload:
    """The request for a fit."""
    grouping = {} if group_by is None else {"group_by": group_by}
    return ask("/fit", data, {"model": model, **grouping, **options})


def to_json(value: Any) -> bytes:
    """JSON, also of schemas and NumPy scalars. Non-finite numbers are sent as they are, so that the
    service can report their place."""
    from pydantic_core import to_json as write

    return write(value, inf_nan_mode="constants", fallback=_fallback)


def arrow_available() -> bool:
    """Whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def _arrow_stream(request: bytes, columns: Columns) -> bytes:
    """An Arrow IPC stream of the columns, with the rest of the request as JSON in the schema's
    metadata: a tenth of JSON's time to write and read. NaN becomes null, a missing value."""
    import pyarrow as pa

    arrays = [pa.array(values, from_pandas=True) for values in columns.values()]
    table = pa.table(dict(zip(columns, arrays, strict=True))).replace_schema_metadata(
        {ARROW_KEY: request}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _form(request: bytes, file: File) -> tuple[bytes, str]:
    """multipart/form-data of the request and the file."""
    import httpx

    parts = {
        "request": ("request.json", request, JSON),
        "data": (file.name, file.content, file.media_type),
    }
    form = httpx.Request("POST", "http://form", files=parts)
    return form.read(), form.headers["Content-Type"]


def _option(value: Any) -> Any:
    if hasattr(value, "__array__") and getattr(value, "ndim", 0) == 1:
        return _listed(column(value, "sigma"))
    return value


def _listed(values: Any) -> list[Any]:
    if isinstance(values, list):
        return values
    listed: list[Any] = values.tolist()
    if (values != values).any():
        return [None if value != value else value for value in listed]
    return listed


def _fallback(value: Any) -> Any:
    if callable(getattr(value, "item", None)):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be sent: {value!r}")
