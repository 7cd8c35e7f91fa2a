"""NumPy's `.npz`: a zip of arrays, one a column. Nothing is unpickled.


The sizes in the zip's directory are checked before anything is inflated, and no more than those
sizes is inflated.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from service.api.bodies.table import Bounds, Keys, Table, check_names, refuse_inexact
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.api.validation_errors import clip
from service.errors import InvalidData, shortened
from service.schemas.columns import Labels, Numbers
from service.schemas.keys import EXACT_TO, is_exact

MAGIC = b"PK\x03\x04"
_LAST_POINT = 0x10FFFF
_ENTRY = b"PK\x01\x02"

_Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
_HEADERS: Mapping[tuple[int, int], Callable[..., _Header]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Version 3.0 only adds non-ASCII field names; structured arrays are not supported."""
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Those that numpy writes; zipfile inflates the others without a limit."""


def read(body: bytes | bytearray, media_type: MediaType, bounds: Bounds) -> Table:
    """The columns of an `.npz`. Raises MalformedBody or InvalidData."""
    if not body.startswith(MAGIC):
        raise MalformedBody(
            "the body is not an .npz (a zip of arrays, as numpy.savez writes it); the other binary "
            "format supported is Arrow IPC"
        )
    # zipfile keeps half a kilobyte for each entry of the directory, of 46 bytes or more.
    bounds.check_columns(body.count(_ENTRY))
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            table = _read(archive, bounds)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise MalformedBody(f"the body cannot be read as .npz: {clip(str(error))}") from None

    def as_keys(name: str, wanted: Keys) -> Numbers | Labels:
        if isinstance(table.columns[name], Labels):
            return table.columns[name]
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            member = next(each for each in archive.infolist() if _name(each) == name)
            _check_exact(_array_of(archive, member, bounds), name)
        return table.columns[name]

    return replace(table, reread=as_keys)


def _read(archive: zipfile.ZipFile, bounds: Bounds) -> Table:
    members = archive.infolist()
    bounds.check_columns(len(members))
    bounds.check_nbytes(sum(member.file_size for member in members))
    check_names(_name(member) for member in members)
    return Table({_name(member): _column(archive, member, bounds) for member in members})


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _column(archive: zipfile.ZipFile, member: zipfile.ZipInfo, bounds: Bounds) -> Numbers | Labels:
    return _values(_array_of(archive, member, bounds), shortened(_name(member)), bounds)


def _array_of(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, bounds: Bounds
) -> npt.NDArray[Any]:
    name = shortened(_name(member))
    if member.compress_type not in _METHODS or member.flag_bits & 1:
        raise MalformedBody(f"'{name}' is compressed in a way that numpy.savez does not use")
    with archive.open(member) as file:
        raw = file.read(member.file_size)
    return _array(raw, name, bounds)


def _array(raw: bytes, name: str, bounds: Bounds) -> npt.NDArray[Any]:
    """The one-dimensional array of an `.npy`, whose length must match its bytes."""
    stream = io.BytesIO(raw)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise MalformedBody(f"'{name}' has an unsupported version of .npy")
    shape, _, dtype = _header(stream, _HEADERS[version], name)
    if dtype.hasobject:
        raise InvalidData(
            f"'{name}' holds Python objects, which are never unpickled; make it float64, or text "
            "of a fixed width",
            pointer="/data",
        )
    if len(shape) != 1:
        raise InvalidData(
            f"'{name}' has the shape {shape}; send one-dimensional arrays, one a column, as in "
            "numpy.savez(file, x1=X[:, 0], x2=X[:, 1])",
            pointer="/data",
        )
    bounds.check_rows(shape[0])
    start = stream.tell()
    if dtype.itemsize * shape[0] != len(raw) - start:
        raise MalformedBody(f"'{name}' is shorter or longer than its header says")
    if not dtype.itemsize:
        return np.zeros(shape, dtype)
    return np.frombuffer(raw, dtype, shape[0], start)


def _header(stream: io.BytesIO, read: Callable[..., _Header], name: str) -> _Header:
    try:
        return read(stream)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, TokenError):
        raise MalformedBody(f"'{name}' has no valid .npy header") from None


def _values(array: npt.NDArray[Any], name: str, bounds: Bounds) -> Numbers | Labels:
    kind = array.dtype.kind
    if kind in "fiub":
        return np.ascontiguousarray(array, dtype=np.float64)
    if kind in "US":
        return _labels(array, bounds)
    mend = "send numbers, or text for a group_by column"
    if kind in "mM":
        mend = "send it as numbers, such as seconds since the first row"
    raise InvalidData(f"'{name}' has the NumPy type {array.dtype}; {mend}", pointer="/data")


def _check_exact(array: npt.NDArray[Any], name: str) -> None:
    """Raises InvalidData where a column of keys has a number that is not exact in float64."""
    if array.dtype.kind in "iu":
        rows = np.flatnonzero((array > EXACT_TO) | (array < -EXACT_TO))
    elif array.dtype.itemsize > np.dtype(np.float64).itemsize:
        rows = np.flatnonzero(array.astype(np.float64) != array)
        rows = rows[~np.isnan(array[rows])]
    else:
        return
    values, firsts = np.unique(array[rows], return_index=True)
    for value, first in zip(values.tolist(), firsts.tolist(), strict=True):
        if not isinstance(value, int) or not is_exact(value):
            raise refuse_inexact(name, int(rows[first]), value)


def _labels(array: npt.NDArray[Any], bounds: Bounds) -> Labels:
    """A column of text, its values in order of appearance. Raises ValueError for invalid code
    points."""
    if array.dtype.kind == "U":
        array = array.astype(array.dtype.newbyteorder("="))
        points = np.frombuffer(array.tobytes(), np.uint32)
        if np.any((points > _LAST_POINT) | ((points >= 0xD800) & (points <= 0xDFFF))):
            raise ValueError("a text has an invalid code point")
    texts, firsts, codes = np.unique(array, return_index=True, return_inverse=True)
    bounds.check_labels(len(texts))
    order = np.argsort(firsts)
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return Labels(places[codes], tuple(_text(text) for text in texts[order].tolist()))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
