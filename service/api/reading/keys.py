"""The `group_by` column, read so that keys which differ in the body stay distinct.


As float64, 2^60 and 2^60 + 1 are one key, and so are `001` and `1`. So this column is read again:
text is compared by its spelling (`of_texts`), and integers and decimals must be exact in float64
(`refuse_inexact`).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import ConfigDict, PlainValidator

from service.api.validation_errors import pointer
from service.api.validation_messages import clip
from service.errors import InvalidData
from service.schemas.base import Request as Body
from service.schemas.columns import Data, Labels, Name, Numbers
from service.schemas.keys import EXACT_TO, are_numbers, is_exact, is_infinite, is_plain

Kind = Literal["text", "numbers"] | None


class Keys(NamedTuple):
    """The `group_by` column."""

    column: str
    kind: Kind = None
    """The type of the keys of an earlier fit; None if this column decides it."""


def of_texts(name: str, texts: Labels, column: Numbers | Labels, kind: Kind) -> Numbers | Labels:
    """Keys given as text: `column` as it was read if all are numbers, else the texts. Infinity
    stays a number, to be refused like any. Raises InvalidData where numbers are required and one is
    not."""
    if kind == "text":
        return texts
    if any(map(is_infinite, texts.names)):
        return column
    if kind is None:
        return column if are_numbers(texts.names) else texts
    odd = next((i for i, text in enumerate(texts.names) if not is_plain(text)), None)
    if odd is None:
        return column
    row = int(np.flatnonzero(texts.codes == odd)[0])
    raise InvalidData(
        f"the job has no group {clip(texts.names[odd])} ('{clip(name)}', row {row + 1}); its "
        "groups are numbers: write these in plain decimals, such as 12 or 0.5",
        pointer=pointer(("data", name, row)),
    )


def first_inexact(values: Iterable[Any]) -> Any:
    """The first integer or Decimal that float64 cannot represent exactly; None if there is none."""
    return next(
        (value for value in values if type(value) in (int, Decimal) and not is_exact(value)), None
    )


def refuse_inexact(name: str, row: int, value: object) -> InvalidData:
    """The error for a key that float64 cannot represent exactly."""
    return InvalidData(
        f"column '{clip(name)}', row {row + 1} is {clip(str(value))}, a key that float64 does not "
        "hold exactly, so that neighbouring keys would be equal; send such keys as text",
        pointer=pointer(("data", name, row)),
    )


class _Found(NamedTuple):
    row: int
    value: int


def _first_of_list(values: Any) -> _Found | None:
    found = first_inexact(values)
    return None if found is None else _Found(values.index(found), found)


class Inexact(Body):
    """A JSON body, parsed for the first number of each column that float64 cannot represent."""

    model_config = ConfigDict(extra="ignore")

    data: dict[Name, Annotated[_Found | None, PlainValidator(_first_of_list)]]

    def check(self, name: str) -> None:
        """Raises InvalidData if that column has one."""
        if found := self.data.get(name):
            raise refuse_inexact(name, *found)


def may_be_inexact(data: Data, name: str) -> bool:
    """Whether a column of JSON numbers has one that may have been rounded."""
    column = data.get(name)
    return isinstance(column, np.ndarray) and bool((np.abs(column) >= EXACT_TO).any())
