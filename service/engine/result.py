"""Results of fits, while they run and when they end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from service.engine.inference.statistics import Statistics
from service.engine.kernel.types import Bools, Floats
from service.engine.noise import FittedNoise

StopReason = Literal["converged", "max_epochs", "diverged", "stalled", "time_limit", "cancelled"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Recorded epochs, as a table (k, 2 + 2·params) float64 on the CPU: epoch; loss and gradient
    before each epoch's update, params after it (epoch, loss, params, gradient)."""

    table: Tensor

    @property
    def epoch(self) -> Tensor:
        """(k,) int64"""
        return self.table[:, 0].to(torch.int64)

    @property
    def loss(self) -> Tensor:
        """(k,)"""
        return self.table[:, 1]

    @property
    def params(self) -> Tensor:
        """(k, params)"""
        return self.table[:, 2 : 1 + self.table.shape[1] // 2]

    @property
    def gradient(self) -> Tensor:
        """(k, params)"""
        return self.table[:, 1 + self.table.shape[1] // 2 :]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without the rest of a larger table that it is a part of."""
        return _rows_of, (np.ascontiguousarray(self.table.numpy()),)

    def __deepcopy__(self, memo: object) -> Rows:
        return self

    @classmethod
    def of(cls, epoch: Tensor, loss: Tensor, params: Tensor, gradient: Tensor) -> Rows:
        """The table of the given columns."""
        columns = (epoch.unsqueeze(-1), loss.unsqueeze(-1), params, gradient)
        return cls(torch.cat([column.double().cpu() for column in columns], dim=-1))

    @classmethod
    def none(cls, params: int) -> Rows:
        """No rows."""
        return cls(torch.empty((0, 2 + 2 * params), dtype=torch.float64))


def _rows_of(table: Floats) -> Rows:
    return Rows(torch.from_numpy(table))


def joined(parts: Sequence[Rows], params: int) -> Rows:
    """The concatenation of tables of rows."""
    if len(parts) == 1:
        return parts[0]
    return Rows(torch.cat([part.table for part in parts])) if parts else Rows.none(params)


@dataclass(frozen=True, slots=True)
class Best:
    """The lowest loss, with its epoch and params: before that epoch's update, or, for the final
    params, after the last update."""

    epoch: int
    loss: float
    params: Tensor


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a fit. Divergence is a result, not an error."""

    stop_reason: StopReason
    params: Tensor
    loss: float
    epochs: int
    best: Best
    first_loss: float
    first_gradient: Tensor
    initial: Tensor
    """The start."""
    factor: Tensor | None = None
    """R of QR [J z] at `params` over the free ones, float64, if the solver has it."""
    searched: tuple[int, int] | None = None
    """Of a search for the start: how many of the starts reached the same loss, of how many."""
    lower: tuple[Tensor, float] | None = None
    """Params and loss of a better minimum, if other starts led to one."""
    statistics: Statistics | None = None
    """The statistics at `best.params`, if they were computed already."""
    noise: FittedNoise | None = None
    """The noise by a model of it."""
    outlying: Outlying | None = None

    @property
    def converged(self) -> bool:
        return self.stop_reason == "converged"

    @property
    def diverged(self) -> bool:
        return self.stop_reason == "diverged"


@dataclass(frozen=True, eq=False)
class Ends:
    """The final or current state of fits; the first dimension is the fit, on the CPU."""

    theta: Tensor
    """(fits, params)"""
    loss: Tensor
    """At `theta`, (fits,)."""
    epochs: Tensor
    """(fits,), int64; 0 if a fit was not started."""
    reasons: tuple[StopReason | None, ...]
    """None if a fit has not ended."""
    best: Tensor
    best_loss: Tensor
    best_epoch: Tensor
    first_loss: Tensor
    first_gradient: Tensor
    """(fits, params)"""
    initial: Tensor
    factor: Tensor | None = None
    """R of QR [J z] at `theta`, (fits, q + 1, q + 1), if the solver has it."""
    searched: tuple[int, int] | None = None
    missed: Tensor | None = None
    """For which fits another start led to a better minimum, (fits,); None if none was tried."""

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def converged(self) -> Tensor:
        """Which fits converged, (fits,)."""
        return torch.tensor([reason == "converged" for reason in self.reasons], dtype=torch.bool)

    def at(self, fits: Tensor) -> Ends:
        """Some of the fits."""
        return replace(
            self,
            **{name: getattr(self, name)[fits] for name in _COLUMNS},
            reasons=tuple(self.reasons[i] for i in fits.tolist()),
            factor=None if self.factor is None else self.factor[fits],
        )

    @classmethod
    def joined(cls, parts: Sequence[Ends], initial: Tensor) -> Ends:
        """The concatenation of the ends of the first fits, followed by fits that were not started;
        `initial` (fits, params) are the starts of all."""
        begun = sum(len(part) for part in parts)
        left = len(initial) - begun
        nothing = torch.full((left,), torch.nan, dtype=torch.float64)
        none = torch.full((left, initial.shape[1]), torch.nan, dtype=torch.float64)
        zero = torch.zeros(left, dtype=torch.int64)
        rest = cls(
            none, nothing, zero, (None,) * left, none, nothing, zero, nothing, none,
            initial[begun:].double(),
        )  # fmt: skip
        every = [*parts, rest]
        columns: dict[str, Any] = {
            name: torch.cat([getattr(part, name) for part in every]) for name in _COLUMNS
        }
        return replace(rest, **columns, reasons=tuple(r for part in every for r in part.reasons))

    def with_those(self, fits: Tensor, others: Ends) -> Ends:
        """The ends, with those of some fits replaced by `others`."""
        columns = {name: getattr(self, name).clone() for name in _COLUMNS}
        for name, column in columns.items():
            column[fits] = getattr(others, name)
        reasons = list(self.reasons)
        for fit, reason in zip(fits.tolist(), others.reasons, strict=True):
            reasons[fit] = reason
        return replace(self, **columns, reasons=tuple(reasons), factor=None)

    def one(
        self,
        stop_reason: StopReason | None,
        lower: tuple[Tensor, float] | None = None,
        statistics: Statistics | None = None,
    ) -> Result:
        """The result of the only fit; `stop_reason` is the reason if it was stopped early. See
        `Result` for the others."""
        loss, best_loss = float(self.loss[0]), float(self.best_loss[0])
        best = Best(int(self.best_epoch[0]), best_loss, self.best[0])
        if loss < best_loss or (not math.isfinite(best_loss) and math.isfinite(loss)):
            best = Best(int(self.epochs[0]), loss, self.theta[0])
        return Result(
            self.reasons[0] or stop_reason or "max_epochs",
            self.theta[0],
            loss,
            int(self.epochs[0]),
            best,
            float(self.first_loss[0]),
            self.first_gradient[0],
            self.initial[0],
            None if self.factor is None else self.factor[0],
            self.searched,
            lower,
            statistics,
        )


_COLUMNS = (
    "theta", "loss", "epochs", "best", "best_loss", "best_epoch", "first_loss", "first_gradient",
    "initial",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class GroupedResult:
    """The ends of the fits of groups, their recorded epochs if requested, and the reason if they
    were stopped early."""

    ends: Ends
    history: Sequence[Rows] | None
    stop_reason: StopReason | None
    noise: FittedNoise | None = None
    outlying: Outlying | None = None


@dataclass(frozen=True, eq=False)
class Outlying:
    """What a test for outliers has found."""

    mask: Bools
    """Which rows of the problem are outliers, (rows,)."""
    scale: Floats
    """The robust standard deviation of the residuals of each group, (groups,)."""
    dropped: bool
    """Whether the result is of the rows without them."""
    other: Result | GroupedResult
    """The result without them, or of all rows."""

    def kept(self, begin: int, end: int) -> int:
        """How many outliers among those rows are part of the result."""
        return 0 if self.dropped else int(np.count_nonzero(self.mask[begin:end]))
