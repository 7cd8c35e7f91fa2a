"""Limits the length of an answer, computed from the request before any of it is made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from service import fitting
from service.api.head import client
from service.api.state import Request
from service.errors import BudgetExceeded
from service.schemas.columns import Data
from service.schemas.names import AnswerFormat

NUMBER_BYTES: Mapping[AnswerFormat, int] = {
    **dict.fromkeys(("json", "csv", "oneline"), fitting.NUMBER_BYTES),
    **dict.fromkeys(("text", "arrow"), 8),
}
"""The most bytes per number. `text` shows few numbers, but all are computed."""
_BESIDE = frozenset({"csv", "arrow"})
"""Formats that repeat the columns of the data beside the result."""
SHORT = 2**20
"""Bytes below which nothing is reserved."""


def hold(
    request: Request, room: ExitStack, form: AnswerFormat, data: Data, columns: int, other: int = 0
) -> int:
    """Reserves bytes for the data and for an answer of `columns` columns of the same length plus
    `other` numbers. Returns the most bytes that the answer may take. Raises BudgetExceeded where
    they are above the limit."""
    rows = len(next(iter(data.values()), ()))
    wide = columns + (len(data) if form in _BESIDE else 0)
    length = (rows * wide + other) * NUMBER_BYTES[form]
    check(request, length, form, rows * wide // max(1, rows), rows)
    held = length + sum(column.nbytes for column in data.values())
    if held > SHORT:
        room.enter_context(request.state["answers"].hold(client(request), held))
    return length


def check(request: Request, length: int, form: AnswerFormat, columns: int, rows: int) -> None:
    """Raises BudgetExceeded where an answer of `length` bytes is too long."""
    most = request.state["settings"].max_answer_bytes
    if length <= most:
        return
    fitting = most // (NUMBER_BYTES[form] * max(1, columns))
    shorter = "" if form == "arrow" else " or ask for ?format=arrow, which is a third as long"
    raise BudgetExceeded(
        f"the answer of {rows:,} rows would have up to {length:,} bytes as {form}, more than the "
        f"{most:,} allowed; ask for at most {fitting:,} rows at a time{shorter}",
        pointer="/data",
    )
