"""A job's history: recorded epochs as columns of bounded length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Epochs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Selection = slice | Indices


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Records of k epochs and P params as columns; immutable."""

    epoch: Epochs
    """(k,), strictly increasing."""
    loss: Floats
    """(k,)"""
    params: Floats
    """(k, P)"""
    gradient: Floats
    """(k, P)"""
    thinned: bool = False
    """Whether recorded rows were dropped."""

    @classmethod
    def empty(cls, capacity: int = 0, params: int = 0) -> Self:
        """`capacity` uninitialized rows."""
        return cls(
            np.empty(capacity, np.int64),
            np.empty(capacity),
            np.empty((capacity, params)),
            np.empty((capacity, params)),
        )

    def __len__(self) -> int:
        return len(self.epoch)

    def __getitem__(self, which: Selection) -> Rows:
        return Rows(
            self.epoch[which],
            self.loss[which],
            self.params[which],
            self.gradient[which],
            self.thinned,
        )

    def __reduce__(self) -> tuple[type[Rows], tuple[Epochs, Floats, Floats, Floats, bool]]:
        """Pickles the columns alone, in a third of a dataclass's time."""
        return Rows, (*self.columns, self.thinned)

    @property
    def columns(self) -> tuple[Epochs, Floats, Floats, Floats]:
        return self.epoch, self.loss, self.params, self.gradient

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in self.columns)

    def after(self, epoch: int | None) -> Rows:
        """The rows of later epochs; all of them for None."""
        return self if epoch is None else self[int(np.searchsorted(self.epoch, epoch, "right")) :]

    def until(self, epoch: int) -> Rows:
        """The rows up to and including `epoch`."""
        return self[: int(np.searchsorted(self.epoch, epoch, "right"))]

    def thin(self, max_points: int, *, aligned: bool = False) -> Rows:
        """At most `max_points` of the rows: see `rows_to_keep`."""
        if len(self) <= max_points:
            return self
        keep = rows_to_keep(self.epoch, self.loss, self.params, max_points, aligned=aligned)
        return replace(self[keep], thinned=True)


class History:
    """A job's rows, at most `max_rows`: a full one is thinned to half before the next row.

    Its content depends on the sequence of rows alone, not on their slices. Rows no later than the
    last one are repeats by a retried job, and are dropped.
    """

    __slots__ = ("_buffer", "_size", "max_rows")

    def __init__(self, max_rows: int, rows: Rows | None = None) -> None:
        self.max_rows = max(max_rows, 8)
        self._buffer = Rows.empty() if rows is None else rows
        self._size = len(self._buffer)

    def __len__(self) -> int:
        return self._size

    @property
    def rows(self) -> Rows:
        """All rows, as views that later appends do not change."""
        every = self._size == len(self._buffer)
        return self._buffer if every else self._buffer[: self._size]

    @property
    def thinned(self) -> bool:
        return self._buffer.thinned

    @property
    def nbytes(self) -> int:
        """Bytes allocated."""
        return self._buffer.nbytes

    @property
    def last_epoch(self) -> int | None:
        return int(self._buffer.epoch[self._size - 1]) if self._size else None

    def append(self, rows: Rows) -> bool:
        """Adds the rows of later epochs. Returns whether earlier rows were thinned."""
        fresh = rows.after(self.last_epoch)
        thinned = False
        while len(fresh):
            if self._size >= self.max_rows:
                self._replace(self.rows.thin(self.max_rows // 2, aligned=True))
                thinned = True
            room = self.max_rows - self._size
            if len(fresh) <= room:
                self._write(fresh)
                break
            self._write(fresh[:room])
            fresh = fresh[room:]
        return thinned

    def page(self, after_epoch: int | None = None, limit: int | None = None) -> Rows:
        """The first `limit` rows later than `after_epoch`."""
        later = self.rows.after(after_epoch)
        return later if limit is None else later[:limit]

    def thin(self, max_points: int) -> Rows:
        """At most `max_points` rows, for plots."""
        return self.rows.thin(max_points)

    def trim(self) -> None:
        """Frees unused capacity after the last append."""
        if self._size < len(self._buffer):
            self._replace(self.rows[np.arange(self._size)])

    def _replace(self, rows: Rows) -> None:
        self._buffer = rows
        self._size = len(rows)

    def _write(self, rows: Rows) -> None:
        if not self._size:
            self._replace(rows)
            return
        start, end = self._size, self._size + len(rows)
        if end > len(self._buffer):
            self._grow(end)
        for column, new in zip(self._buffer.columns, rows.columns, strict=True):
            column[start:end] = new
        self._size = end

    def _grow(self, needed: int) -> None:
        """Doubles, so that appending n rows copies O(n)."""
        capacity, held = min(max(needed, 2 * self._size), self.max_rows), self.rows
        room = Rows.empty(capacity, held.params.shape[1])
        for new, old in zip(room.columns, held.columns, strict=True):
            new[: self._size] = old
        self._buffer = replace(room, thinned=held.thinned)


# --- which rows are kept ------------------------------------------------------------------------


def rows_to_keep(
    epoch: Epochs,
    loss: Floats,
    params: Floats,
    max_points: int,
    *,
    aligned: bool = False,
) -> Indices:
    """Indices, in order, of at most `max_points` of the rows.

    Kept are the first, the last, the best (lowest finite loss, the earliest of equals), both sides
    of every change between finite and non-finite, and the lowest and highest finite loss of each of
    as many buckets as fit. Buckets are equal spans of epochs from the first one. Where the changes
    alone are too many, an evenly spaced selection of them is kept.

    aligned: bucket widths are powers of two, so that wider buckets contain whole narrower ones, and
    thinning repeatedly keeps the true extremes.
    """
    ends = _ends_and_best(loss)[:max_points]
    turns = _turns(np.isfinite(loss) & np.isfinite(params).all(axis=1))
    if ends.size + turns.size > max_points:
        turns = turns[_regular(turns.size, max_points - ends.size)]
    kept = np.union1d(ends, turns)
    buckets = (max_points - kept.size) // 2
    if buckets < 1:
        return kept
    span = int(epoch[-1] - epoch[0]) + 1
    width = -(-span // buckets)
    if aligned:
        width = 1 << (width - 1).bit_length()
    return np.union1d(kept, _extremes((epoch - epoch[0]) // width, loss))


def _ends_and_best(loss: Floats) -> Indices:
    """Last, first, best: in order of importance."""
    best = int(np.where(np.isfinite(loss), loss, np.inf).argmin())
    return np.array(list(dict.fromkeys((loss.size - 1, 0, best))), np.intp)


def _turns(finite: npt.NDArray[np.bool_]) -> Indices:
    """Both sides of each change."""
    before = np.flatnonzero(finite[1:] != finite[:-1])
    return np.union1d(before, before + 1)


def _regular(n: int, wanted: int) -> Indices:
    return np.unique(np.linspace(0, n - 1, max(wanted, 0)).astype(np.intp))


def _extremes(bucket: Epochs, loss: Floats) -> Indices:
    """The first lowest and the first highest finite loss of each bucket; buckets come in order."""
    rows = np.flatnonzero(np.isfinite(loss))
    if not rows.size:
        return rows
    bucket, loss = bucket[rows], loss[rows]
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    sizes = np.diff(starts, append=rows.size)
    found = [_first(extreme, bucket, loss, starts, sizes) for extreme in (np.minimum, np.maximum)]
    return rows[np.concatenate(found)]


def _first(
    extreme: np.ufunc, bucket: npt.NDArray[Any], loss: Floats, starts: Indices, sizes: Indices
) -> Indices:
    attained = np.flatnonzero(loss == np.repeat(extreme.reduceat(loss, starts), sizes))
    leads = np.diff(bucket[attained], prepend=bucket[0] - 1) != 0
    return attained[np.flatnonzero(leads)]
