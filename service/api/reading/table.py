"""The result of every body reader: named columns, units, options; and the limits on them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from service.api.reading.csv_lines import Lines
from service.api.reading.keys import Keys
from service.errors import BudgetExceeded, InvalidData, InvalidRequest, shortened
from service.schemas.base import Request as Body
from service.schemas.columns import Data, Labels, Numbers
from service.schemas.reading import Reading
from service.settings import Settings


class MalformedBody(InvalidRequest):
    """The body is not what its Content-Type says."""

    type = "malformed-body"


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
