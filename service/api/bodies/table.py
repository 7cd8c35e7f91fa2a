"""The result of every body reader: named columns, units, options; the limits on them; and the keys
of `group_by`.

As float64, 2^60 and 2^60 + 1 are one key, and so are `001` and `1`. So the `group_by` column is
read again as keys: text is compared by its spelling (`of_texts`), and integers and decimals must be
exact in float64 (`refuse_inexact`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, PlainValidator
from starlette.types import Scope

from service.api.validation_errors import clip, pointer
from service.errors import BudgetExceeded, FieldError, InvalidData, shortened
from service.schemas.base import Request as Body
from service.schemas.columns import Data, Labels, Numbers
from service.schemas.keys import EXACT_TO, are_numbers, is_exact, is_infinite, is_plain
from service.schemas.names import Name
from service.schemas.reading import Reading
from service.schemas.rows import RowFilter
from service.settings import Settings

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


@dataclass(frozen=True, slots=True)
class Lines:
    """The line (counted from 1) of each row (counted from 0)."""

    first: int
    irregular: npt.NDArray[np.int32] | None = None
    """(rows,) if the rows are not consecutive lines."""

    def of(self, row: int) -> int:
        """The line of that row."""
        if self.irregular is None:
            return self.first + row
        at = min(row, len(self.irregular) - 1)
        return int(self.irregular[at]) if at >= 0 else self.first

    def without(self, dropped: npt.NDArray[np.bool_]) -> Lines:
        """The lines of the remaining rows."""
        rows = np.arange(len(dropped), dtype=np.int32)
        lines = self.first + rows if self.irregular is None else self.irregular[: len(dropped)]
        return Lines(self.first, lines[~dropped].astype(np.int32))


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on the data of one request, for every format."""

    rows: int
    columns: int
    nbytes: int
    """Bytes of the columns, unpacked."""
    labels: int = 1_000_000
    """Distinct texts of one column."""

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """The limits of the settings."""
        return cls(
            settings.max_rows, settings.max_columns, settings.max_data_bytes, settings.max_labels
        )

    def check_rows(self, count: int) -> None:
        """Raises InvalidData where there are too many."""
        if count > self.rows:
            raise InvalidData(
                f"{count:,} rows are more than the {self.rows:,} allowed", pointer=_AT
            )

    def check_columns(self, count: int) -> None:
        """Raises InvalidData where there are too many."""
        if count > self.columns:
            raise InvalidData(
                f"{count:,} columns are more than the {self.columns:,} allowed; send those that "
                "the model uses",
                pointer=_AT,
            )

    def check_labels(self, count: int) -> None:
        """Raises InvalidData where one column has too many distinct texts."""
        if count > self.labels:
            raise InvalidData(
                f"{count:,} distinct texts in one column are more than the {self.labels:,} "
                "allowed; leave the column out",
                pointer=_AT,
            )

    def check_nbytes(self, count: int) -> None:
        """Raises InvalidData where the unpacked columns would take too many bytes."""
        if count > self.nbytes:
            raise InvalidData(
                f"unpacked, the data would take {count:,} bytes, more than the {self.nbytes:,} "
                "allowed; send fewer rows or columns",
                pointer=_AT,
            )


def check_counts(asked: Body, settings: Settings) -> None:
    """Raises InvalidData or BudgetExceeded where a request has too many columns, too many distinct
    texts in one of them, or too many params."""
    data: Data = getattr(asked, "data", None) or {}
    if len(data) > settings.max_columns:
        Bounds.of(settings).check_columns(len(data))
    for column in data.values():
        if type(column) is Labels and len(column.names) > settings.max_labels:
            Bounds.of(settings).check_labels(len(column.names))
    params = getattr(asked, "params", None)
    if params and len(params) > settings.max_params:
        raise BudgetExceeded(
            f"{len(params):,} params are more than the {settings.max_params:,} allowed",
            pointer="/params",
        )


def check_nbytes(asked: Body, settings: Settings) -> None:
    """Raises InvalidData where the columns of a request take too many bytes: short JSON such as
    `[0,0]` is longer as float64."""
    data: Data = getattr(asked, "data", None) or {}
    Bounds.of(settings).check_nbytes(sum(column.nbytes for column in data.values()))


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a body."""

    columns: Data
    units: Mapping[str, str] = field(default_factory=dict)
    """Units of the columns whose header has one."""
    request: bytes = b""
    """The options of the request as JSON; empty if the body has none."""
    lines: Lines | None = None
    """The line of each row, in a text format."""
    reading: Reading | None = None
    """What was understood of a text format."""
    reread: Callable[[str, Keys], Numbers | Labels] | None = None
    """Reads a column, by its name here, again as keys: see `with_keys`."""

    def with_keys(self, data: Data, keys: Keys) -> Data:
        """`data` (these columns by their folded names) with the `group_by` column read as keys.
        Raises InvalidData where the keys cannot be kept distinct."""
        own = next((name for name in self.columns if fold(name) == keys.column), None)
        if own is None or self.reread is None:
            return data
        return {**data, keys.column: self.reread(own, keys)}


_AT = "/data"


def fold(name: str) -> str:
    """A name in Unicode's NFKC, as the names of a formula are."""
    return unicodedata.normalize("NFKC", name)


def check_names(names: Iterable[str]) -> None:
    """Raises InvalidData where two columns have the same name."""
    seen: dict[str, str] = {}
    for name in names:
        folded = fold(name)
        if folded in seen:
            raise InvalidData(
                f"two columns are named '{shortened(folded)}'; give each its own name",
                pointer=_AT,
            )
        seen[folded] = name


_LINES = "descent.lines"
"""Key in a request's scope: the lines of its body's rows, if it has lines."""
_FILTER = "descent.rows"
"""Key in a request's scope: the rows that are used, if not all are."""
_ROW = re.compile(r"(/data/[^/]*/)(\d+)")


def keep_lines(scope: Scope, lines: Lines | None) -> None:
    """Keeps the lines of a body for `with_lines`."""
    scope[_LINES] = lines


def keep_filter(scope: Scope, rows: RowFilter | None) -> None:
    """Keeps which rows of a body are used for `with_lines`."""
    scope[_FILTER] = rows


def with_lines(scope: Scope, found: Sequence[FieldError]) -> tuple[FieldError, ...]:
    """The errors; those about a row name it as it was sent, and its line, where the body has
    lines."""
    lines: Lines | None = scope.get(_LINES)
    rows: RowFilter | None = scope.get(_FILTER)
    if rows is not None:
        found = [_as_sent(error, rows) for error in found]
    return tuple(error if lines is None else _with_line(error, lines) for error in found)


def _as_sent(error: FieldError, rows: RowFilter) -> FieldError:
    """The error about a row that is used, with its number among all rows."""
    match = _ROW.fullmatch(error.pointer)
    if match is None:
        return error
    row = int(match[2])
    sent = rows.original(row)
    detail = re.sub(rf"\brow {row + 1}\b", f"row {sent + 1}", error.detail)
    return FieldError(f"{match[1]}{sent}", detail)


def _with_line(error: FieldError, lines: Lines) -> FieldError:
    row = _ROW.fullmatch(error.pointer)
    if row is None:
        return error
    line = lines.of(int(row[2]))
    return FieldError(error.pointer, f"{error.detail} (line {line} of the body)")
