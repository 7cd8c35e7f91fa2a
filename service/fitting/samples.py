"""Gathers readings into samples: rows of the same curve, name, dilution, nominal value and other
inputs, whose mean is inverted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.engine.inference.standard_curves import Readings
from service.engine.kernel.types import Floats, Ints
from service.errors import InvalidData, UnknownName, token
from service.fitting.columns import numbers, refuse_infinite
from service.fitting.groups import in_order
from service.schemas.columns import Data, Labels, Numbers
from service.schemas.series import Objects, cells, gapped

SAMPLE = "sample"
"""Default column of the samples' names,"""
DILUTION = "dilution"
"""and of their dilutions."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The readings, (rows,) each."""

    reading: Numbers
    """On the scale of the formula's left side."""
    weight: Numbers
    """1/σ², 1 without sigma."""
    curve: Ints
    nominal: Numbers
    """The known value of a calibrator, NaN for an unknown."""
    dilution: Numbers
    others: Mapping[str, Numbers]
    """The inputs besides the one solved for."""
    names: Numbers | Labels | None
    """The names of the samples."""
    number: Ints
    """The row of the data as they were sent, counted from 0."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples in order of appearance, (samples,) each."""

    first: Ints
    """The first row of each."""
    of: Ints
    """The sample of each row, (rows,)."""
    n: Ints
    weight: Floats
    """Σ 1/σ²"""
    mean: Floats
    """Weighted by 1/σ²."""

    @classmethod
    def gathered(cls, rows: Rows) -> Samples:
        """The samples of the rows."""
        of = _codes(rows)
        first = np.full(int(of.max()) + 1, len(of))
        np.minimum.at(first, of, np.arange(len(of)))
        count = len(first)
        weight = np.bincount(of, rows.weight, count)
        # About the first reading, so that equal readings have exactly their value as mean.
        apart = rows.reading - rows.reading[first[of]]
        mean = rows.reading[first] + np.bincount(of, rows.weight * apart, count) / weight
        return cls(first, of, np.bincount(of, minlength=count), weight, mean)

    def readings(self, rows: Rows, noise: Floats, chosen: Ints) -> Readings:
        """The means of some samples; noise: of a reading of unit weight, (curves,)."""
        first = self.first[chosen]
        curve = rows.curve[first]
        others = {name: column[first] for name, column in rows.others.items()}
        return Readings(self.mean[chosen], noise[curve] ** 2 / self.weight[chosen], curve, others)


def single(rows: Rows, chosen: Ints) -> Readings:
    """Some rows as samples of one reading, without noise."""
    others = {name: column[chosen] for name, column in rows.others.items()}
    return Readings(rows.reading[chosen], np.zeros(len(chosen)), rows.curve[chosen], others)


def keys_of(groups: Sequence[Numbers | Labels], rows: Ints) -> Objects:
    """The keys of the groups of some rows, which are tuples for several columns."""
    if len(groups) == 1:
        return labels(groups[0], rows)
    parts = [labels(column, rows).tolist() for column in groups]
    return cells(list(zip(*parts, strict=True)))


def labels(column: Numbers | Labels, rows: Ints) -> Objects:
    """The values of some rows of a column, None where they are missing."""
    if isinstance(column, Labels):
        return cells([*column.names, None])[column.codes[rows]]
    return cells(gapped(column[rows]).tolist())


def named(rows: Rows, first: Ints) -> Objects:
    """The names of samples by their first rows; without names, the numbers of these rows, as they
    were sent."""
    if rows.names is None:
        return cells((rows.number[first] + 1.0).tolist())
    return labels(rows.names, first)


def _codes(rows: Rows) -> Ints:
    """The sample of each row, numbered in order of appearance."""
    count = len(rows.reading)
    code = rows.curve
    is_known = ~np.isnan(rows.nominal)
    parts: list[Numbers | Ints] = [rows.nominal, rows.dilution, *rows.others.values()]
    if rows.names is None:
        own = ~is_known
    elif isinstance(rows.names, Labels):
        parts.append(rows.names.codes)
        own = (rows.names.codes < 0) & ~is_known
    else:
        parts.append(rows.names)
        own = np.isnan(rows.names) & ~is_known
    if own.any():
        # An unknown without a name is a sample of its own.
        parts.append(np.where(own, np.arange(count), -1))
    for part in parts:
        one = in_order(part)[0]
        code = in_order(code * (int(one.max()) + 1) + one)[0]
    return in_order(code)[0]


def dilutions(
    asked: str | float | None, data: Data, nominal: Numbers, used: Sequence[str]
) -> Numbers:
    """The dilution of each row; 1 for a calibrator without one. Raises InvalidData or
    UnknownName."""
    if isinstance(asked, float):
        return np.full(len(nominal), asked)
    name = optional(asked, DILUTION, data, used, "/dilution")
    if name is None:
        return np.ones(len(nominal))
    refuse_infinite(data, name)
    column = numbers(data, name)
    bad = np.flatnonzero(column <= 0)
    if bad.size:
        row = int(bad[0])
        raise InvalidData(
            f"a dilution is above 0, but column '{name}' is {column[row]:g} in row {row + 1}; for "
            "1 part in 10 it is 10",
            pointer=f"/data/{token(name)}/{row}",
        )
    missing = np.isnan(column)
    unclear = np.flatnonzero(missing & np.isnan(nominal))
    if unclear.size:
        row = int(unclear[0])
        raise InvalidData(
            f"column '{name}' has no dilution in row {row + 1}; write 1 for a sample that is not "
            "diluted",
            pointer=f"/data/{token(name)}/{row}",
        )
    return np.where(missing, 1.0, column)


def optional(
    asked: str | None, default: str, data: Data, used: Sequence[str], pointer: str
) -> str | None:
    """The column asked for; or that of the default name, if the data have it and the formula does
    not use it. Raises UnknownName."""
    if asked is not None and asked not in data:
        raise UnknownName("column", asked, data, pointer=pointer)
    if asked is None and default in data and default not in used:
        return default
    return asked
