"""A fit under way: stepped in slices by whoever owns the time.

`step(k)` does k epochs and hands out the rows recorded in them; `result()` is valid at any moment.
Slicing changes no bit of the answer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from service.engine.problem import Task
from service.engine.result import Best, Result, Rows, StopReason
from service.engine.stopping import has_diverged


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands between two epochs: all that it needs to go on, and nothing else."""

    epoch: int
    theta: Tensor
    state: Any
    """The optimizer's own."""
    loss: float
    first_loss: float
    first_gradient: Tensor
    best: Best
    stop_reason: StopReason | None = None
    generator: Tensor | None = None


class Run(ABC):
    """A fit under way."""

    stride = 1
    """Epochs that are sure to take little time: where whoever steps may begin."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.epochs = task.options.epochs
        self._recorded: list[tuple[int, float, Tensor, Tensor]] = []
        self._progress: Progress
        self.searched: tuple[int, int] | None = None
        """Of a search for the start: how many ways of how many came to the same loss."""

    @property
    def epoch(self) -> int:
        return self._progress.epoch

    @property
    def loss(self) -> float:
        """The loss of the last epoch, before its update."""
        return self._progress.loss

    @property
    def best_loss(self) -> float:
        return self._progress.best.loss

    @property
    def done(self) -> bool:
        return self._progress.stop_reason is not None

    def checkpoint(self) -> Progress:
        """All that a later `start` needs to go on from here, bit for bit."""
        return self._progress

    def step(self, epochs: int) -> Rows:
        """Does that many epochs, or as many as are left; the rows recorded in them."""
        for _ in range(epochs):
            if self.done:
                break
            self._epoch()
        return self._rows()

    @abstractmethod
    def _epoch(self) -> None:
        """One epoch: from progress to progress."""

    @abstractmethod
    def loss_at(self, theta: Tensor) -> float:
        """The loss at any params."""

    def result(self, stop_reason: StopReason | None = None) -> Result:
        """The fit as it stands; `stop_reason` is the reason of whoever stops it before its end."""
        progress = self._progress
        loss = self.loss_at(progress.theta)
        best = progress.best
        if loss < best.loss or (not math.isfinite(best.loss) and math.isfinite(loss)):
            best = Best(progress.epoch, loss, progress.theta)
        reason = progress.stop_reason or stop_reason or "max_epochs"
        if reason == "max_epochs" and has_diverged(loss, progress.first_loss):
            reason = "diverged"
        return Result(
            reason, progress.theta, loss, progress.epoch, best,
            progress.first_loss, progress.first_gradient, self.task.problem.initial,
            self.factor_at(progress.theta), self.searched,
        )  # fmt: skip

    def factor_at(self, theta: Tensor) -> Tensor | None:
        """R of QR [J z] at any params, where it costs no reading of the data."""
        return None

    def _record(
        self, epoch: int, loss: float, params: Tensor, gradient: Tensor, *, last: bool
    ) -> None:
        if epoch == 1 or last or epoch % self.task.options.record_every == 0:
            self._recorded.append((epoch, loss, params, gradient))

    def _rows(self) -> Rows:
        recorded, self._recorded = self._recorded, []
        width = len(self.task.problem.params)
        empty = torch.empty((0, width), dtype=torch.float64)
        return Rows(
            torch.tensor([row[0] for row in recorded], dtype=torch.int64),
            torch.tensor([row[1] for row in recorded], dtype=torch.float64),
            torch.stack([row[2] for row in recorded]).double().cpu() if recorded else empty,
            torch.stack([row[3] for row in recorded]).double().cpu() if recorded else empty,
        )
