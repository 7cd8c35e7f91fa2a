"""Arrow IPC: float64 columns as views into the body, other numeric types cast to float64.

pyarrow is imported for the first body that needs it: it takes a tenth of a second and 60 MB. It
unpacks while it reads, and allocates the size that each buffer declares. So the declared sizes are
summed first, from the message's flatbuffer (Arrow's `Message.fbs`) and the eight bytes at the start
of each compressed buffer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from service.api.bodies import table
from service.api.bodies.table import Bounds, Keys, Table, check_names
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.api.validation_errors import clip
from service.errors import InvalidData, shortened
from service.schemas.columns import Data, Labels, Numbers
from service.schemas.keys import EXACT_TO

if TYPE_CHECKING:
    import pyarrow as pa

_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
"""Kinds of `MessageHeader`."""
_HEADER_KIND, _HEADER = 1, 2
"""Fields of `Message`: the union's kind and its value."""
_DICTIONARY_DATA = 1
"""Field of `DictionaryBatch`: its record batch."""
_BUFFERS, _COMPRESSION = 2, 3
"""Fields of `RecordBatch`."""
_LENGTH_PREFIX = 8
_NOT_COMPRESSED = -1
"""The declared length of a buffer that is not compressed."""


class Message(Protocol):
    """A pyarrow IPC message."""

    @property
    def metadata(self) -> memoryview: ...
    @property
    def body(self) -> memoryview | None: ...


def unpacked_size(message: Message) -> int:
    """Bytes of the message's buffers once unpacked; 0 if none is compressed.


    Raises MalformedBody.
    """
    try:
        return _unpacked_size(bytes(message.metadata), memoryview(message.body or b""))
    except struct.error:
        raise MalformedBody("an Arrow message is truncated or damaged") from None


def _unpacked_size(metadata: bytes, body: memoryview) -> int:
    root = _follow(metadata, 0)
    kind_at = _field(metadata, root, _HEADER_KIND)
    header_at = _field(metadata, root, _HEADER)
    if not kind_at or not header_at:
        return 0
    kind: int = struct.unpack_from("<B", metadata, kind_at)[0]
    batch = _follow(metadata, header_at)
    if kind == _DICTIONARY_BATCH:
        data_at = _field(metadata, batch, _DICTIONARY_DATA)
        if not data_at:
            return 0
        batch = _follow(metadata, data_at)
    elif kind != _RECORD_BATCH:
        return 0
    buffers_at = _field(metadata, batch, _BUFFERS)
    if not buffers_at or not _field(metadata, batch, _COMPRESSION):
        return 0
    return _sum(metadata, _follow(metadata, buffers_at), body)


def _sum(metadata: bytes, vector: int, body: memoryview) -> int:
    """The sum of the declared lengths of the compressed buffers."""
    total = 0
    (count,) = struct.unpack_from("<I", metadata, vector)
    for i in range(count):
        offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * i)
        if length < _LENGTH_PREFIX:
            continue
        if offset < 0:
            raise struct.error
        (unpacked,) = struct.unpack_from("<q", body, offset)
        total += length if unpacked == _NOT_COMPRESSED else abs(unpacked)
    return total


def _follow(metadata: bytes, at: int) -> int:
    """The target of the offset at `at`; offsets are relative to their own position."""
    (offset,) = struct.unpack_from("<I", metadata, at)
    return at + int(offset)


def _field(metadata: bytes, table: int, number: int) -> int:
    """The position of a table's field; 0 if it is absent."""
    (back,) = struct.unpack_from("<i", metadata, table)
    vtable = table - back
    if vtable < 0:
        raise struct.error
    (size,) = struct.unpack_from("<H", metadata, vtable)
    entry = 4 + 2 * number
    if entry + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", metadata, vtable + entry)
    return table + int(offset) if offset else 0


@cache
def load() -> None:
    """Imports pyarrow and sets it to the system's allocator, which returns memory (`jobs.system`);
    its own would retain the memory of a large body."""
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


def numbers(chunks: Sequence[pa.Array], body: bytes | bytearray = b"") -> Numbers:
    """A column of numbers, null as NaN; a view into `body` where no cast is needed."""
    import pyarrow as pa

    parts: list[Numbers] = []
    for chunk in chunks:
        # Indices may be outside the dictionary, decimals longer than their declared precision.
        chunk.validate(full=pa.types.is_dictionary(chunk.type) or pa.types.is_decimal(chunk.type))
        if pa.types.is_float64(chunk.type) and not chunk.null_count:
            parts.append(_view(chunk, body))
        else:
            cast = chunk.cast(pa.float64(), safe=False)  # above 2^53 rounded: see `check_exact`
            parts.append(cast.to_numpy(zero_copy_only=False))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0)


def check_exact(name: str, chunks: Sequence[pa.Array]) -> None:
    """Raises InvalidData where a column of keys has a number that is not exact in float64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    before = 0
    for chunk in chunks:
        plain = chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk
        if pa.types.is_decimal(plain.type) or _is_long(plain):
            found = table.first_inexact(plain.unique().to_pylist())
            if found is not None:
                row = pc.index(plain, pa.scalar(found, plain.type)).as_py()
                raise table.refuse_inexact(name, before + row, found)
        before += len(chunk)


def _is_long(numbers: pa.Array) -> bool:
    """Whether integers exceed the range that is exact in float64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(numbers.type) or numbers.type.bit_width < 64:
        return False
    ends = pc.min_max(numbers).as_py().values()
    return any(end is not None and abs(end) > EXACT_TO for end in ends)


def _view(chunk: pa.Array, body: bytes | bytearray) -> Numbers:
    """A view of the numbers, made from `body` itself where they are in it: that one is writeable,
    as torch requires, while pyarrow's is not."""
    values = chunk.to_numpy()
    start = values.ctypes.data - np.frombuffer(body, np.uint8).ctypes.data
    if isinstance(body, bytearray) and 0 <= start <= len(body) - values.nbytes:
        return np.frombuffer(body, np.float64, len(values), start)
    return values  # type: ignore[no-any-return]


def labels(chunks: Sequence[pa.Array], bounds: Bounds) -> Labels:
    """A column of text: its distinct values in order of appearance, and each row's code."""
    import pyarrow as pa

    if not chunks:
        return Labels.of([])
    for chunk in chunks:
        chunk.validate(full=True)
    column: Any = pa.chunked_array([_without_views(chunk, bounds) for chunk in chunks])
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    # A dictionary may have unused values, duplicates, or another order: encode it again.
    known = whole.dictionary.dictionary_encode()
    places = known.indices.take(whole.indices).dictionary_encode()
    bounds.check_labels(len(places.dictionary))
    names = known.dictionary.take(places.dictionary).to_pylist()
    codes = places.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Labels(codes.astype(np.int32, copy=False), tuple(names))


def _without_views(text: pa.Array, bounds: Bounds) -> pa.Array:
    """String views as plain strings, since few Arrow functions accept views. Views may share
    characters, so the unpacked size is checked first."""
    import pyarrow as pa

    if pa.types.is_dictionary(text.type):
        plain = _without_views(text.dictionary, bounds)
        return pa.DictionaryArray.from_arrays(text.indices, plain)
    if not pa.types.is_string_view(text.type):
        return text
    views = np.frombuffer(text.buffers()[1], np.int32).reshape(-1, 4)[text.offset :][: len(text)]
    bounds.check_nbytes(int(views[:, 0].sum(dtype=np.int64)))
    return text.cast(pa.large_string())


REQUEST_KEY = b"descent"
"""Key of the schema's metadata: the options of the request, as JSON."""
UNIT_KEY = b"unit"
"""Key of a field's metadata: its unit."""
MAX_BATCHES = 65_536
"""The most record batches: each costs some microseconds, also an empty one."""
_FILE_MAGIC = b"ARROW1\0\0"
"""An IPC file is this, a stream, and a footer."""
MAGICS = (_FILE_MAGIC, b"\xff\xff\xff\xff")
"""The first bytes of a file and of a stream."""


def read(body: bytes | bytearray, media_type: MediaType, bounds: Bounds) -> Table:
    """The columns of an IPC stream or file. Raises MalformedBody or InvalidData."""
    load()
    import pyarrow as pa

    if not body:
        raise MalformedBody("the body is empty; send an Arrow IPC stream")
    whole = pa.py_buffer(body)
    source = whole.slice(len(_FILE_MAGIC)) if body.startswith(_FILE_MAGIC) else whole
    try:
        return _read(source, body, bounds)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        reason = clip(str(error).partition("\n")[0])
        raise MalformedBody(f"the body cannot be read as an Arrow IPC stream: {reason}") from None


def _read(source: pa.Buffer, body: bytes | bytearray, bounds: Bounds) -> Table:
    from pyarrow import ipc

    options = ipc.IpcReadOptions(use_threads=False)
    with ipc.open_stream(source, options=options) as stream:
        schema = stream.schema
        bounds.check_columns(len(schema))
        check_names(schema.names)
        kinds = [_kind(field) for field in schema]
        bounds.check_nbytes(sum(_unpacked_sizes(source)))
        batches = []
        rows = 0
        for batch in stream:
            rows += batch.num_rows
            bounds.check_rows(rows)
            batches.append(batch)
    bounds.check_nbytes(8 * rows * kinds.count("cast"))
    columns: Data = {}
    chunks_of: dict[str, Sequence[pa.Array]] = {}
    for i, (field, kind) in enumerate(zip(schema, kinds, strict=True)):
        chunks = [batch.column(i) for batch in batches]
        chunks_of[field.name] = chunks
        is_text = kind == "text"
        columns[field.name] = labels(chunks, bounds) if is_text else numbers(chunks, body)

    def as_keys(name: str, wanted: Keys) -> Numbers | Labels:
        if not isinstance(columns[name], Labels):
            check_exact(name, chunks_of[name])
        return columns[name]

    metadata = schema.metadata or {}
    return Table(columns, _units(schema), metadata.get(REQUEST_KEY, b""), reread=as_keys)


def _unpacked_sizes(source: pa.Buffer) -> Iterator[int]:
    """The unpacked size of each message in bytes."""
    from pyarrow import ipc

    messages = ipc.MessageReader.open_stream(source)
    for count, message in enumerate(messages):
        if count > MAX_BATCHES:
            raise InvalidData(
                f"the stream has more than {MAX_BATCHES:,} batches; send longer ones",
                pointer="/data",
            )
        yield unpacked_size(message)


def _kind(field: pa.Field) -> str:
    """The kind of a column: `plain` float64, numbers to `cast`, or `text`. Raises InvalidData."""
    from pyarrow import types

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    if kind is field.type and types.is_float64(kind):
        return "plain"
    numbers = (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal)
    if any(is_so(kind) for is_so in (*numbers, types.is_null)):
        return "cast"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    mend = "send numbers, or text for a group_by column"
    if types.is_temporal(kind):
        mend = "send it as numbers, such as seconds since the first row"
    raise InvalidData(
        f"column '{shortened(field.name)}' has the Arrow type {clip(str(field.type))}; {mend}",
        pointer="/data",
    )


def _units(schema: pa.Schema) -> dict[str, str]:
    units = {field.name: (field.metadata or {}).get(UNIT_KEY, b"") for field in schema}
    return {name: unit.decode(errors="replace") for name, unit in units.items() if unit}
