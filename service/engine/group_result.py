"""How groups ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from service.engine.result import Rows, StopReason

REASONS: Sequence[StopReason] = ("cancelled", "converged", "stalled", "diverged", "max_epochs")
"""By number; a group that has not ended was cut short, and whoever did it says how."""


class GroupHistory:
    """What each group recorded, gathered a trial step at a time."""

    def __init__(self, groups: int) -> None:
        self._groups = groups
        self._parts: list[tuple[Tensor, ...]] = []

    def add(self, *columns: Tensor) -> None:
        """Rows of groups: which, their epochs, losses, params and gradients."""
        self._parts.append(columns)

    def on(self, groups: Tensor) -> GroupHistory:
        """That of some of the groups, by a mask."""
        found = GroupHistory(int(groups.sum()))
        place = torch.cumsum(groups, 0) - 1
        for at, *columns in self._parts:
            kept = groups[at]
            found.add(place[at[kept]], *(column[kept] for column in columns))
        return found

    def rows(self) -> list[Rows]:
        """Each group's, in order of its epochs."""
        if not self._parts:
            return []
        at, *columns = (torch.cat(parts) for parts in zip(*self._parts, strict=True))
        order = torch.argsort(at, stable=True)
        sizes = torch.bincount(at, minlength=self._groups).tolist()
        split = [torch.split(column[order].cpu(), sizes) for column in columns]
        epoch, loss, params, gradient = split
        return [
            Rows(e, lo.double(), p.double(), g.double())
            for e, lo, p, g in zip(epoch, loss, params, gradient, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class GroupEnds:
    """How some groups ended; the groups first."""

    at: Tensor
    """Which groups they are."""
    initial: Tensor
    """Where they set out from, (groups, params)."""
    theta: Tensor
    loss: Tensor
    first_loss: Tensor
    epochs: Tensor
    reasons: Sequence[StopReason]
    history: GroupHistory | None = None

    @property
    def converged(self) -> Tensor:
        """Which of them, (groups,)."""
        told = [reason == "converged" for reason in self.reasons]
        return torch.tensor(told, dtype=torch.bool, device=self.at.device)

    def on(self, groups: Tensor) -> GroupEnds:
        """Those of some of the groups, by a mask."""
        if bool(groups.all()):
            return self
        return GroupEnds(
            at=self.at[groups],
            initial=self.initial[groups],
            theta=self.theta[groups],
            loss=self.loss[groups],
            first_loss=self.first_loss[groups],
            epochs=self.epochs[groups],
            reasons=[r for r, on in zip(self.reasons, groups.tolist(), strict=True) if on],
            history=None if self.history is None else self.history.on(groups),
        )
