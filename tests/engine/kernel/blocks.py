"""Single operations, read by the kernel."""

from __future__ import annotations

import numpy as np

from service.engine.kernel.evaluation import BLOCK, COLUMN, read_rows
from service.engine.kernel.program import NUMBERS
from service.engine.kernel.types import Floats


def evaluated(name: str, *arguments: Floats) -> Floats:
    """An operation of the table on arrays of one length and dtype, block by block."""
    arity, rows = len(arguments), len(arguments[0])
    codes = np.zeros((arity + 1, 4), dtype=np.int32)
    codes[:arity, 0], codes[:arity, 1] = COLUMN, range(arity)
    codes[arity, 0], codes[arity, 1 : arity + 1] = NUMBERS[name], range(arity)
    columns, found = np.stack(arguments), np.empty_like(arguments[0])
    values = np.full((arity + 1, BLOCK), np.nan, dtype=columns.dtype)
    for at in range(0, rows, BLOCK):
        count = min(BLOCK, rows - at)
        read_rows(codes, 0, arity + 1, columns, at, count, values)
        found[at : at + count] = values[arity, :count]
    return found
