"""What every solver keeps: a state is begun, stepped, and asked how its fits stand.

A solver works on all fits of a task, each by itself. A state is data: it can be pickled and taken
up by another solver of the same task, and neither slicing nor that changes a bit of what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from service.engine.result import Ends, Rows


class Recorded(NamedTuple):
    """The epochs recorded in one step: a table (fits, …, 2 + 2·params) of epoch, loss, params and
    gradient, and how many rows each fit has in it, (fits,)."""

    table: Tensor
    counts: Tensor

    @classmethod
    def room(cls, fits: int, rows: int, params: int) -> Recorded:
        """Room for so many rows of each fit."""
        table = torch.empty((fits, rows, 2 + 2 * params), dtype=torch.float64)
        return cls(table, torch.zeros(fits, dtype=torch.int64))

    def rows(self) -> list[Rows]:
        """Those of each fit."""
        table = self.table.numpy()
        counts = self.counts.tolist()
        return [Rows(torch.from_numpy(table[i, :count])) for i, count in enumerate(counts)]


class Progress(NamedTuple):
    """Where a task stands: epochs done and losses of its only fit, fits that have ended."""

    epoch: int
    loss: float
    best_loss: float
    ended: int


class Solver(Protocol):
    """An algorithm at work on a task."""

    stride: int
    """Epochs that are sure to take little time: where whoever steps may begin."""

    def init(self) -> Any:
        """The state before the first epoch."""
        ...

    def step(self, state: Any, epochs: int) -> tuple[Any, Sequence[Rows]]:
        """The state after at most so many epochs of each fit that goes on (the one given is used
        up), and those that are recorded, of each fit, if the task wants them."""
        ...

    def progress(self, state: Any) -> Progress:
        """Where it stands."""
        ...

    def done(self, state: Any) -> bool:
        """Whether all fits have ended."""
        ...

    def ends(self, state: Any) -> Ends:
        """How the fits ended, or stand."""
        ...


def records(epochs: int, every: int) -> int:
    """The most rows that so many epochs can leave."""
    return epochs // every + 3
