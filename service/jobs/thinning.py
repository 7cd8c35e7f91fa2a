"""Selects rows of a history to keep, so that a plot of them resembles a plot of all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


def rows_to_keep(
    epoch: npt.NDArray[np.int64],
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


def _extremes(bucket: npt.NDArray[np.int64], loss: Floats) -> Indices:
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
