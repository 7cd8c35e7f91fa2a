"""Arrow IPC: float64 columns as views into the body, other numeric types cast to float64."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from service.api.header_values import MediaType
from service.api.reading.arrow_columns import check_exact, labels, load, numbers
from service.api.reading.arrow_sizes import unpacked_size
from service.api.reading.keys import Keys
from service.api.reading.table import Bounds, MalformedBody, Table, check_names
from service.api.validation_messages import clip
from service.errors import InvalidData, shortened
from service.schemas.columns import Data, Labels, Numbers

if TYPE_CHECKING:
    import pyarrow as pa

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
