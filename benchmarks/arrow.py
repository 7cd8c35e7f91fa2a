"""Columns as an Arrow stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def stream(
    columns: Mapping[str, npt.NDArray[np.float64]], asked: Mapping[str, Any] | None = None
) -> bytes:
    """The columns in one batch; the rest of the request in the schema's metadata."""
    table = pa.table(columns)
    if asked is not None:
        table = table.replace_schema_metadata({"descent": json.dumps(asked)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=len(table))
    return bytes(sink.getvalue())
