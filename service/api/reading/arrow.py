"""Arrow IPC: columns as they lie in the body, cast only where they are no float64.

pyarrow is loaded by the first body that needs it: it takes a tenth of a second and 60 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from service.api.reading.arrow_sizes import unpacked_size
from service.api.reading.media_type import MediaType
from service.api.reading.table import Bounds, MalformedBody, Table, check_names
from service.api.sentences import clip
from service.errors import InvalidData, shortened
from service.schemas.columns import Labels, Numbers

if TYPE_CHECKING:
    import pyarrow as pa

REQUEST_KEY = b"descent"
"""Of the schema's metadata: the rest of the request, as JSON."""
UNIT_KEY = b"unit"
"""Of a field's metadata."""
MAX_BATCHES = 65_536
"""Each costs some microseconds, an empty one too."""
_FILE_MAGIC = b"ARROW1\0\0"
"""Before the stream that an IPC file is, but for its footer."""


def read(body: bytes | bytearray, media_type: MediaType, bounds: Bounds) -> Table:
    """The columns of an IPC stream or file. Raises MalformedBody and InvalidData."""
    import pyarrow as pa

    if not body:
        raise MalformedBody("the body is empty; send an Arrow IPC stream")
    whole = pa.py_buffer(body)
    source = whole.slice(len(_FILE_MAGIC)) if body[:8] == _FILE_MAGIC else whole
    try:
        return _read(source, body, bounds)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        reason = clip(str(error).partition("\n")[0])
        raise MalformedBody(f"the body is no Arrow IPC stream that can be read: {reason}") from None


def _read(source: pa.Buffer, body: bytes | bytearray, bounds: Bounds) -> Table:
    from pyarrow import ipc

    options = ipc.IpcReadOptions(use_threads=False)
    with ipc.open_stream(source, options=options) as stream:
        schema = stream.schema
        bounds.check_columns(len(schema))
        check_names(schema.names)
        kinds = [_kind(field) for field in schema]
        bounds.check_nbytes(sum(_unpacked(source)))
        batches = []
        rows = 0
        for batch in stream:
            rows += batch.num_rows
            bounds.check_rows(rows)
            batches.append(batch)
    bounds.check_nbytes(8 * rows * kinds.count("cast"))
    columns = {}
    for i, (field, kind) in enumerate(zip(schema, kinds, strict=True)):
        chunks = [batch.column(i) for batch in batches]
        columns[field.name] = (
            _labels(chunks, bounds) if kind == "text" else _numbers(chunks, kind, body)
        )
    metadata = schema.metadata or {}
    return Table(columns, _units(schema), metadata.get(REQUEST_KEY, b""))


def _unpacked(source: pa.Buffer) -> Iterator[int]:
    """What each compressed message comes to."""
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
    """How a column is read: as it is (`plain`), by `cast`, or as `text`. Raises InvalidData."""
    from pyarrow import types

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    if kind is field.type and types.is_float64(kind):
        return "plain"
    numbers = (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal)
    if any(is_so(kind) for is_so in (*numbers, types.is_null)):
        return "cast"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    mend = "send numbers, or text to tell groups apart"
    if types.is_temporal(kind):
        mend = "send it as numbers, such as seconds since the first row"
    raise InvalidData(
        f"column '{shortened(field.name)}' is of Arrow's type {clip(str(field.type))}; {mend}",
        pointer="/data",
    )


def _units(schema: pa.Schema) -> dict[str, str]:
    told = {field.name: (field.metadata or {}).get(UNIT_KEY, b"") for field in schema}
    return {name: unit.decode(errors="replace") for name, unit in told.items() if unit}


def _numbers(chunks: Sequence[pa.Array], kind: str, body: bytes | bytearray) -> Numbers:
    import pyarrow as pa

    parts: list[Numbers] = []
    for chunk in chunks:
        chunk.validate(full=kind == "cast" and pa.types.is_dictionary(chunk.type))
        if kind == "plain" and not chunk.null_count:
            parts.append(_as_it_lies(chunk, body))
        else:
            cast = chunk.cast(pa.float64(), safe=False)  # integers above 2^53 are rounded
            parts.append(cast.to_numpy(zero_copy_only=False))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0)


def _as_it_lies(chunk: pa.Array, body: bytes | bytearray) -> Numbers:
    """A view of the numbers. One into the body itself, where they lie there: that is writeable, as
    torch wants it, and pyarrow's never is."""
    values = chunk.to_numpy()
    start = values.ctypes.data - np.frombuffer(body, np.uint8).ctypes.data
    if isinstance(body, bytearray) and 0 <= start <= len(body) - values.nbytes:
        return np.frombuffer(body, np.float64, len(values), start)
    return values  # type: ignore[no-any-return]


def _labels(chunks: Sequence[pa.Array], bounds: Bounds) -> Labels:
    """A column of text: its distinct values, in order of appearance, and each row's place."""
    import pyarrow as pa

    if not chunks:
        return Labels.of([])
    for chunk in chunks:
        chunk.validate(full=True)
    column: Any = pa.chunked_array([_without_views(chunk, bounds) for chunk in chunks])
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    # A dictionary may hold what no row has, hold it twice, or in another order: told apart anew.
    known = whole.dictionary.dictionary_encode()
    places = known.indices.take(whole.indices).dictionary_encode()
    bounds.check_labels(len(places.dictionary))
    names = known.dictionary.take(places.dictionary).to_pylist()
    codes = places.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Labels(codes.astype(np.int32, copy=False), tuple(names))


def _without_views(text: pa.Array, bounds: Bounds) -> pa.Array:
    """The same, but for string views, which few kernels take. Views may share their characters, so
    these are counted before they are laid out."""
    import pyarrow as pa

    if pa.types.is_dictionary(text.type):
        plain = _without_views(text.dictionary, bounds)
        return pa.DictionaryArray.from_arrays(text.indices, plain)
    if not pa.types.is_string_view(text.type):
        return text
    views = np.frombuffer(text.buffers()[1], np.int32).reshape(-1, 4)[text.offset :][: len(text)]
    bounds.check_nbytes(int(views[:, 0].sum(dtype=np.int64)))
    return text.cast(pa.large_string())
