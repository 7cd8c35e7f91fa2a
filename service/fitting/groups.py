"""Groups the rows by the values of a column, or of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.errors import BudgetExceeded, InvalidRequest, UnknownName
from service.fitting.columns import refuse_infinite
from service.schemas.columns import Data, Labels, Numbers
from service.schemas.options import GroupOptions

Codes = npt.NDArray[np.int64]
Value = float | str | None
Key = Value | tuple[Value, ...]
"""A value of the grouping column, or one of each column."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The group of each row, numbered in order of appearance, and the keys of the groups."""

    by: tuple[str, ...]
    codes: Codes
    """(rows,)"""
    keys: tuple[Key, ...]

    def written(self) -> dict[str, Any]:
        """`by` and `key` of an answer: those of several columns as lists."""
        keys = [list(key) if isinstance(key, tuple) else key for key in self.keys]
        return {"by": self.by[0] if len(self.by) == 1 else list(self.by), "key": keys}


def to_groups(asked: GroupOptions, data: Data, most: int) -> Groups:
    """The groups of the rows. Raises BudgetExceeded for too many."""
    names = asked.columns
    codes, first = _numbered(data[names[0]])
    for name in names[1:]:
        more, _ = _numbered(data[name])
        codes, first = in_order(codes * (int(more.max()) + 1) + more)
    if len(first) > most:
        many = f"columns {', '.join(names)} make" if names[1:] else f"column '{names[0]}' makes"
        raise BudgetExceeded(
            f"{many} {len(first):,} groups, more than the {most:,} allowed",
            pointer="/group_by",
        )
    values = [_values(data[name], first) for name in names]
    keys: list[Key] = list(zip(*values, strict=True)) if names[1:] else list(values[0])
    return Groups(names, codes, tuple(keys))


def _numbered(column: Numbers | Labels) -> tuple[Codes, npt.NDArray[np.intp]]:
    return in_order(column.codes if isinstance(column, Labels) else column)


def _values(column: Numbers | Labels, rows: npt.NDArray[np.intp]) -> list[Value]:
    """The values in some rows, None where there is none."""
    some: Numbers | Labels = column[rows]
    found: list[Value] = list(some.tolist())
    return [None if value != value else value for value in found]


def check_keys(asked: GroupOptions, data: Data) -> None:
    """Raises UnknownName if there is no such column, InvalidData if a key is infinite."""
    for name in asked.columns:
        if name not in data:
            raise UnknownName("column", name, data, pointer="/group_by")
        if not isinstance(data[name], Labels):
            refuse_infinite(data, name)
    if len(set(asked.columns)) < len(asked.columns):
        raise InvalidRequest("a column is named twice", pointer="/group_by/column")


def in_order(values: npt.NDArray[np.generic]) -> tuple[Codes, npt.NDArray[np.intp]]:
    """The rank of each value in order of first appearance, and the first row of each.

    Equal values mostly follow each other, so runs of a value are found first.
    """
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    _, first, inverse = np.unique(values[starts], return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    lengths = np.diff(np.append(starts, len(values)))
    return np.repeat(rank[inverse.reshape(-1)], lengths), starts[first[order]]
