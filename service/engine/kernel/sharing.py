"""Work shared out to threads, and long groups cut into pieces for them.

The cut depends on the rows alone, and pieces are put together in order, so that the number of
threads changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from service.engine.kernel.factors import LANES, pad, triangularise
from service.engine.kernel.types import Floats, Ints

PIECE = 2**16
"""Rows that one thread reduces to an R factor; longer groups are cut into such pieces."""
WORTH = 2**20
"""Entries of programs × rows below which another thread costs more than it does."""


def share_out(work: Callable[[int, int], None], count: int, cost: float) -> None:
    """Does `work(first, until)` for parts of `count` things, on several threads where that pays."""
    threads = min(torch.get_num_threads(), count) if cost > WORTH else 1
    if threads < 2:
        return work(0, count)
    bounds = np.linspace(0, count, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))


def extent(spans: Ints) -> tuple[int, int]:
    """The rows of the longest group, and of all of them."""
    if spans.shape[1] == 1:
        rows = spans.item(1) - spans.item(0)
        return rows, rows
    sizes = spans[1] - spans[0]
    return int(sizes.max(initial=0)), int(sizes.sum())


def pieces_of(spans: Ints) -> tuple[Ints, Ints, Ints | None]:
    """Groups cut into pieces that are no longer than `PIECE`: of which group each is, their spans,
    and how many each group has; None where each has one."""
    of = np.arange(spans.shape[1])
    if extent(spans)[0] <= PIECE:
        return of, spans, None
    sizes = spans[1] - spans[0]
    counts = np.maximum(-(-sizes // PIECE), 1)
    of = np.repeat(of, counts)
    within = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = spans[0, of] + within * PIECE
    return of, np.stack([begin, np.minimum(begin + PIECE, spans[1, of])]), counts


def merged(r: Floats, starts: Ints, counts: Ints) -> Floats:
    """One R of the R factors of each group's pieces."""
    width = r.shape[1]
    found = np.empty((len(starts), width, width))
    for g, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
        tall = count * width
        columns = np.zeros((width, tall + LANES))
        columns[:, :tall] = r[start : start + count].reshape(tall, width).T
        triangularise(columns, width, pad(columns, width, tall), found[g])
    return found
