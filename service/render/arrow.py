"""Tables as an Arrow IPC stream; imported only to write one, since pyarrow is large."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.ipc

from service.render.tables import Column, Table
from service.schemas.series import Gapped


def arrow_stream(columns: Table) -> bytes:
    """One record batch: numbers as float64 or int64, text as utf8, missing values as null."""
    batch = pa.table({name: _array(column) for name, column in columns.items()})
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_table(batch)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def _array(column: Column) -> pa.Array:
    return pa.array(column, from_pandas=isinstance(column, Gapped))
