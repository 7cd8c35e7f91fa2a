"""Leaves the rows out that a request's condition `rows` is not true of."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from service.engine.condition import Texts, rows_where
from service.engine.kernel.types import Bools
from service.errors import InvalidData, InvalidFormula
from service.fitting.columns import check_shape
from service.schemas.answers import RowsUsed
from service.schemas.base import Request
from service.schemas.columns import Data, Labels
from service.schemas.rows import RowFilter

RequestT = TypeVar("RequestT", bound=Request)


def with_rows(request: RequestT) -> RequestT:
    """The request with the rows of its data that its condition is true of, and the values of
    `sigma` and `weights` in these. Raises InvalidFormula at /rows, and InvalidData where no row is
    left."""
    asked: RowFilter | None = getattr(request, "rows", None)
    data = getattr(request, "data", None)
    if asked is None or asked.is_applied or data is None:
        return request
    count = check_shape(data, 2**62)
    columns = {
        name: Texts(column.codes, column.names) if isinstance(column, Labels) else column
        for name, column in data.items()
    }
    try:
        mask = rows_where(asked.where, columns, count)
    except InvalidFormula as error:
        raise error.at("/rows") from None
    used = int(mask.sum())
    if not used:
        raise InvalidData(
            f"no row satisfies '{asked.where}', of {count:,} in the data", pointer="/rows"
        )
    applied = RowFilter(where=asked.where, mask=np.packbits(mask).tobytes(), of=count, used=used)
    return only(request, mask).model_copy(update={"rows": applied})


def only(request: RequestT, mask: Bools) -> RequestT:
    """The request with some rows of its data, and the values of `sigma` in these. Raises
    InvalidData where `sigma` has another length."""
    data: Data = getattr(request, "data", None) or {}
    changed: dict[str, Any] = {"data": {name: column[mask] for name, column in data.items()}}
    count = len(mask)
    for name in ("sigma", "weights"):
        values = getattr(request, name, None)
        if isinstance(values, list):
            if len(values) != count:
                what = f"{name} has {len(values)} values for {count} rows"
                raise InvalidData(what, pointer=f"/{name}")
            changed[name] = [v for v, kept in zip(values, mask.tolist(), strict=True) if kept]
    return request.model_copy(update=changed)


def rows_used(request: Request) -> RowsUsed | None:
    """How many rows are used; None where all are."""
    asked: RowFilter | None = getattr(request, "rows", None)
    return None if asked is None else RowsUsed(used=asked.used, of=asked.of)
