"""The rows of `data` that a request is about."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticKnownError

from service.schemas.base import Request


class RowFilter(Request):
    """A condition on the rows, and which of them satisfy it, once it has been applied."""

    where: Annotated[str, Field(min_length=1, max_length=512)]
    mask: bytes = b""
    """Which rows are used, packed bits; empty before it is applied."""
    of: int = 0
    """Rows of the data as they were sent."""
    used: int = 0

    @property
    def is_applied(self) -> bool:
        return self.of > 0

    def original(self, row: int) -> int:
        """The row of the data as they were sent, counted from 0, of a row that is used."""
        kept = self.kept
        return int(kept[row]) if row < len(kept) else row

    @property
    def kept(self) -> npt.NDArray[np.int64]:
        """The same of all rows that are used."""
        packed = np.frombuffer(self.mask, dtype=np.uint8)
        return np.flatnonzero(np.unpackbits(packed, count=self.of))


def _condition(value: Any) -> Any:
    if isinstance(value, RowFilter):
        return value
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    return {"where": value}


Rows = Annotated[RowFilter, BeforeValidator(_condition, json_schema_input_type=str)]
"""A condition on columns, such as `x > 2 and x < 10` or `state == 'treated'`, with `and`, `or` and
`not`. The other rows are left out, and those in which a value of it is missing."""
