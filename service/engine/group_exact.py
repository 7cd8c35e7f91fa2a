"""Linear least squares on a batch of groups, in one step each: see `optimizers.exact`."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.factors import norms
from service.engine.group_objective import GroupObjective
from service.engine.group_result import GroupEnds, GroupHistory
from service.engine.groups import Batch, GroupedTask

DOUBTFUL = 2e-4
"""A size of R⁻¹, R with columns of unit norm, above which its singular values are looked at; as a
part of 1/ε, the size at which rounding alone is what R⁻¹ is made of."""


class GroupExact:
    """The one step of each group's linear least squares, refined once in the same R."""

    def __init__(self, task: GroupedTask, batch: Batch) -> None:
        self._task, self._batch = task, batch
        self._objective = GroupObjective.of(task.problem, batch)
        self._free = list(self._objective.free)
        self._start = batch.initial[:, self._free]
        self.first_loss, self._factor = self._objective.linearise(self._start)
        self._theta, self._loss, self.done = self._start, self.first_loss, False

    def step(self) -> None:
        """All of it."""
        p = len(self._free)
        if not p:
            self._loss, self.done = self.first_loss, True
            return
        r, theta, factor = self._factor[:, :p, :p], self._start, self._factor
        peak = r.abs().amax(dim=-2)
        peak = torch.where((peak > 0) & (peak < torch.inf), peak, 1.0)
        size = norms(r / peak.unsqueeze(-2))
        scale = torch.where(size > 0, size, 1.0) * peak
        inverse = _pseudo_inverse(r / scale.unsqueeze(-2), self._objective.rows)
        for _ in range(2):
            # Qᵀz anew: the R of [J z] is that of J but for signs, which go with it.
            right = _along(r, factor[:, :p, :p], factor[:, :p, p])
            theta = theta - (inverse @ right.unsqueeze(-1)).squeeze(-1) / scale
            self._loss, factor = self._objective.linearise(theta)
        self._theta, self.done = theta, True

    def ends(self) -> GroupEnds:
        """How each group ended, or stands."""
        finite = torch.isfinite(self.first_loss).tolist()
        reasons = ["converged" if fine else "diverged" for fine in finite]
        history = None
        if self._task.history:
            history = self._recorded()
        return GroupEnds(
            at=self._batch.at,
            initial=self._batch.initial,
            theta=self._objective.whole(self._theta),
            loss=self._loss,
            first_loss=self.first_loss,
            epochs=torch.full_like(self._batch.at, int(self.done)),
            reasons=reasons if self.done else ["cancelled"] * len(reasons),  # type: ignore[arg-type]
            history=history,
        )

    def _recorded(self) -> GroupHistory:
        p, rows = len(self._free), self._objective.rows.unsqueeze(-1)
        r, c = self._factor[:, :p, :p], self._factor[:, :p, p]
        gradient = torch.zeros_like(self._batch.initial)
        gradient[:, self._free] = 2 * (r.mT @ c.unsqueeze(-1)).squeeze(-1) / rows
        history, groups = (
            GroupHistory(len(self._batch)),
            torch.arange(len(self._batch), device=rows.device),
        )
        theta = self._objective.whole(self._theta)
        history.add(groups, torch.ones_like(groups), self.first_loss, theta, gradient)
        return history


def _along(r: Tensor, other: Tensor, right: Tensor) -> Tensor:
    """Qᵀz by the signs of `r`, of that by the signs of another R of the same matrix."""
    signs = torch.sign(r.diagonal(dim1=-2, dim2=-1) * other.diagonal(dim1=-2, dim2=-1))
    turned: Tensor = torch.where(signs < 0, -right, right)
    return turned


def _pseudo_inverse(r: Tensor, rows: Tensor) -> Tensor:
    """R⁻¹ of R with columns of unit norm; of least norm where R is short of rank."""
    inverse: Tensor
    inverse, singular = torch.linalg.inv_ex(r)
    size = inverse.square().sum(dim=(-2, -1)).sqrt()
    epsilon = torch.finfo(r.dtype).eps
    finite = torch.isfinite(r).flatten(1).all(dim=1)
    doubtful = ((singular != 0) | ~(size < DOUBTFUL / epsilon)) & finite
    if bool(doubtful.any()):
        tolerance = epsilon * rows[doubtful].clamp(min=r.shape[-1])
        inverse[doubtful] = torch.linalg.pinv(r[doubtful], rtol=tolerance)
    return inverse
