"""What every form of body comes to: named columns, and what else it had to say."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from service.api.reading.csv_lines import Lines
from service.api.reading.keys import Keys
from service.errors import BudgetExceeded, InvalidData, InvalidRequest, shortened
from service.schemas.base import Request as Body
from service.schemas.columns import Data, Labels, Numbers
from service.settings import Settings


class MalformedBody(InvalidRequest):
    """The body is not what its Content-Type says."""

    type = "malformed-body"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the data of one request may come to, whatever their form."""

    rows: int
    columns: int
    nbytes: int
    """Of the columns, unpacked."""
    labels: int = 1_000_000
    """Distinct texts of one column."""

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """Those of the settings."""
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
        """Raises InvalidData where the columns would take too much, once unpacked."""
        if count > self.nbytes:
            raise InvalidData(
                f"unpacked, the data would take {count:,} bytes, more than the {self.nbytes:,} "
                "allowed; send fewer rows or columns",
                pointer=_AT,
            )


def check_counts(asked: Body, settings: Settings) -> None:
    """Raises InvalidData or BudgetExceeded where a request, whatever its form, has too many
    columns, too many distinct texts in one of them, or too many params."""
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
    """Raises InvalidData where the columns of a request take too much; `[0,0]` is longer as
    float64."""
    data: Data = getattr(asked, "data", None) or {}
    Bounds.of(settings).check_nbytes(sum(column.nbytes for column in data.values()))


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as they were read."""

    columns: Data
    units: Mapping[str, str] = field(default_factory=dict)
    """Of columns whose header has one."""
    request: bytes = b""
    """The rest of the request as JSON, where the body has it too."""
    lines: Lines | None = None
    """Where each row stands, in a body of lines."""
    anew: Callable[[str, Keys], Numbers | Labels] | None = None
    """A column, by its name here, as keys: see `with_keys`."""

    def with_keys(self, data: Data, keys: Keys) -> Data:
        """`data`, which are these columns by their folded names, with the one that tells groups
        apart as the body has it. Raises InvalidData where it cannot be had so."""
        own = next((name for name in self.columns if fold(name) == keys.column), None)
        if own is None or self.anew is None:
            return data
        return {**data, keys.column: self.anew(own, keys)}


_AT = "/data"


def fold(name: str) -> str:
    """A column's name as a formula's names are folded: NFKC."""
    return unicodedata.normalize("NFKC", name)


def check_names(names: Iterable[str]) -> None:
    """Raises InvalidData where two columns go by one name."""
    seen: dict[str, str] = {}
    for name in names:
        folded = fold(name)
        if folded in seen:
            raise InvalidData(
                f"two columns are named '{shortened(folded)}'; give each a name of its own",
                pointer=_AT,
            )
        seen[folded] = name
