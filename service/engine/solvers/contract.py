"""The protocol of solvers: a state is initialized, stepped and read.

A solver processes all fits of a task, independently of each other. A state is data: it can be
pickled and continued by another solver of the same task. Results do not depend on that or on the
sizes of the steps, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from service.engine.result import Ends, Rows


class Recorded(NamedTuple):
    """The epochs recorded in one step: a table (fits, …, 2 + 2·params) of epoch, loss, params and
    gradient, and the number of rows of each fit in it, (fits,)."""

    table: Tensor
    counts: Tensor

    @classmethod
    def room(cls, fits: int, rows: int, params: int) -> Recorded:
        """An empty table for `rows` rows of each fit."""
        table = torch.empty((fits, rows, 2 + 2 * params), dtype=torch.float64)
        return cls(table, torch.zeros(fits, dtype=torch.int64))

    def rows(self) -> dict[int, Rows]:
        """The recorded rows of each fit."""
        table = self.table.numpy()
        counts = self.counts.tolist()
        return {i: Rows(torch.from_numpy(table[i, :count])) for i, count in enumerate(counts)}


class Progress(NamedTuple):
    """Progress of a task: epochs and losses of its only fit, and the number of ended fits."""

    epoch: int
    loss: float
    best_loss: float
    ended: int


class Solver(Protocol):
    """An algorithm applied to a task."""

    stride: int
    """Number of epochs that certainly takes little time, for the first step."""

    def init(self) -> Any:
        """The state before the first epoch."""
        ...

    def step(self, state: Any, epochs: int) -> tuple[Any, Mapping[int, Rows]]:
        """The state after at most `epochs` epochs of each running fit (the given state must not be
        used again), and, if the task has a history, the recorded rows by fit."""
        ...

    def progress(self, state: Any) -> Progress:
        """The current progress."""
        ...

    def done(self, state: Any) -> bool:
        """Whether all fits have ended."""
        ...

    def ends(self, state: Any) -> Ends:
        """The final or current state of the fits."""
        ...


def records(epochs: int, every: int) -> int:
    """The maximum number of rows recorded in `epochs` epochs."""
    return epochs // every + 3
