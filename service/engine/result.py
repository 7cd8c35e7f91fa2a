"""What a fit hands back, while it runs and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

StopReason = Literal["converged", "max_epochs", "diverged", "stalled", "time_limit", "cancelled"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Recorded epochs: loss and gradient before each epoch's update, params after it.

    Shapes: epoch (k,) int64, loss (k,), params and gradient (k, params).
    """

    epoch: Tensor
    loss: Tensor
    params: Tensor
    gradient: Tensor


@dataclass(frozen=True, slots=True)
class Best:
    """The lowest loss seen and where it was measured; epoch e means before e's update, and the last
    epoch, for the params returned, after it."""

    epoch: int
    loss: float
    params: Tensor


@dataclass(frozen=True, slots=True)
class Result:
    """How a fit ended. A numerical ending is a value, not an error."""

    stop_reason: StopReason
    params: Tensor
    loss: float
    epochs: int
    best: Best
    first_loss: float
    first_gradient: Tensor
    initial: Tensor
    """Where it set out from."""
    factor: Tensor | None = None
    """R of QR [J z] at `params` over the free ones, float64, where the run has it."""
    searched: tuple[int, int] | None = None
    """Of a search for the start: how many ways of how many came to the same loss."""

    @property
    def converged(self) -> bool:
        return self.stop_reason == "converged"

    @property
    def diverged(self) -> bool:
        return self.stop_reason == "diverged"
