"""Groups the rows by the values of a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.errors import BudgetExceeded, UnknownName
from service.fitting.columns import refuse_infinite
from service.schemas.columns import Data, Labels
from service.schemas.options import GroupOptions

Codes = npt.NDArray[np.int64]
Key = float | str | None


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The group of each row, numbered in order of appearance, and the keys of the groups."""

    by: str
    codes: Codes
    """(rows,)"""
    keys: tuple[Key, ...]


def to_groups(asked: GroupOptions, data: Data, most: int) -> Groups:
    """The groups of the rows. Raises BudgetExceeded for too many."""
    column = data[asked.column]
    codes, first = in_order(column.codes if isinstance(column, Labels) else column)
    if len(first) > most:
        raise BudgetExceeded(
            f"column '{asked.column}' makes {len(first):,} groups, more than the {most:,} allowed",
            pointer="/group_by",
        )
    if isinstance(column, Labels):
        keys: list[Key] = list(column[first].tolist())
    else:
        keys = [None if value != value else value for value in column[first].tolist()]
    return Groups(asked.column, codes, tuple(keys))


def check_keys(asked: GroupOptions, data: Data) -> None:
    """Raises UnknownName if there is no such column, InvalidData if a key is infinite."""
    if asked.column not in data:
        raise UnknownName("column", asked.column, data, pointer="/group_by")
    if not isinstance(data[asked.column], Labels):
        refuse_infinite(data, asked.column)


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
