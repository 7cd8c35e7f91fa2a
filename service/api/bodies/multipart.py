"""multipart/form-data: a part `request` (JSON) and a part `data` in one of the other formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from werkzeug.http import parse_options_header

from service.api.bodies.options import reading_options
from service.api.bodies.table import Bounds, Table
from service.api.head import MediaType
from service.api.head import media_type as parsed
from service.api.http_errors import MalformedBody, UnsupportedMediaType
from service.errors import shortened
from service.schemas.reading import ReadingOptions

MAX_PARTS = 2
_DEFAULTS = ReadingOptions()
SUFFIXES: Mapping[str, str] = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "tab": "text/tab-separated-values",
    "txt": "text/csv",
    "npz": "application/x-npz",
    "arrow": "application/vnd.apache.arrow.file",
    "arrows": "application/vnd.apache.arrow.stream",
    "feather": "application/vnd.apache.arrow.file",
}
"""The media type by file suffix, for parts with a generic Content-Type or none."""
_GENERIC = {"", "application/octet-stream", "text/plain", "application/vnd.ms-excel"}

Reader = Callable[[bytes | bytearray, MediaType, Bounds, ReadingOptions], Table]


@dataclass(slots=True)
class Part:
    """One part of the body."""

    name: str = ""
    filename: str = ""
    content_type: str = ""
    content: bytes | bytearray = b""

    @property
    def media_type(self) -> MediaType:
        """The Content-Type; if generic or absent, by the file's suffix."""
        stated = parsed(self.content_type)
        if stated.name in _GENERIC:
            suffix = self.filename.rpartition(".")[2].lower()
            return MediaType(SUFFIXES.get(suffix, stated.name), stated.params)
        return stated


def read(
    body: bytes | bytearray,
    media_type: MediaType,
    bounds: Bounds,
    readers: Mapping[str, Reader],
    options: ReadingOptions = _DEFAULTS,
) -> Table:
    """The columns of the part `data`, and the request of the part `request`."""
    parts = {part.name: part for part in split(body, media_type)}
    if "data" not in parts:
        raise MalformedBody("there is no part named 'data'; with curl: `-F data=@data.csv`")
    kind = parts["data"].media_type
    if kind.name not in readers:
        raise UnsupportedMediaType(
            f"the part 'data' is of no supported type ({', '.join(readers)}); name its type, "
            "with curl: `-F 'data=@data;type=text/csv'`",
        )
    if "request" not in parts:
        return readers[kind.name](parts["data"].content, kind, bounds, options)
    request = bytes(parts["request"].content) or b"{}"
    inside = reading_options(b"", request)
    options = inside.model_copy(update=options.model_dump(exclude_unset=True))
    table = readers[kind.name](parts["data"].content, kind, bounds, options)
    return replace(table, request=request)


def split(body: bytes | bytearray, media_type: MediaType) -> list[Part]:
    """The parts, `data` and `request` and no others. Raises MalformedBody."""
    boundary = media_type.params.get("boundary", "")
    if not boundary:
        raise MalformedBody("the Content-Type multipart/form-data names no boundary")
    collected = _PartCollector()
    try:
        parser = MultipartParser(boundary.encode("latin-1", "replace"), collected.callbacks())
        parser.write(bytes(body))
        parser.finalize()
    except FormParserError as error:
        raise MalformedBody(f"the body is not valid multipart/form-data: {error}") from None
    if not collected.ended:
        raise MalformedBody("the body ends before its last boundary")
    return collected.parts


class _PartCollector:
    """Collects parts from the parser's callbacks; the parser limits the headers itself."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._field, self._value = b"", b""

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._check_name,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise MalformedBody("the body has more parts than one 'request' and one 'data'")
        self.parts.append(Part())

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        part, name = self.parts[-1], self._field.lower()
        if name == b"content-disposition":
            # Some clients send `filename*`, though RFC 7578 forbids it; only its suffix is used.
            _, stated = parse_options_header(self._value.decode(errors="replace"))
            part.name = stated.get("name", "")
            part.filename = stated.get("filename", "")
        elif name == b"content-type":
            part.content_type = self._value.decode("latin-1")
        self._field = self._value = b""

    def _check_name(self) -> None:
        names = [part.name for part in self.parts]
        if names[-1] not in {"data", "request"}:
            raise MalformedBody(
                f"unknown part '{shortened(names[-1])}'; the parts are 'request' (JSON) and 'data'"
            )
        if len(set(names)) < len(names):
            raise MalformedBody(f"there are two parts named '{names[-1]}'")

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        if not part.content:
            part.content = bytearray(data[start:end])
        else:
            part.content += data[start:end]

    def _end(self) -> None:
        self.ended = True
