"""Groups of rows as functions of their params, all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.engine.factors import triangles, weights
from service.engine.formula import Formula
from service.engine.groups import Batch
from service.engine.losses import Loss
from service.engine.problem import Problem
from service.engine.tape import Reader

Factors = Callable[[Tensor], Tensor]
"""How columns are reduced: see `factors.triangles`."""


@dataclass(frozen=True, eq=False)
class GroupObjective:
    """z = (f(x; θ) − y)/σ and its Jacobian, for θ (groups, params)."""

    reader: Reader
    target: Tensor
    sigma: Tensor | None
    kept: Tensor | None
    rows: Tensor
    """(groups,), of the target's dtype."""
    initial: Tensor
    """What fixed params keep, (groups, params)."""
    free: tuple[int, ...]
    loss: Loss

    @classmethod
    def of(cls, problem: Problem, batch: Batch) -> GroupObjective:
        """The objective of a batch of groups."""
        formula = problem.formula
        assert isinstance(formula, Formula)
        return cls(
            formula.tape.bind(batch.columns, formula.params, batch.target),
            batch.target,
            batch.sigma,
            batch.kept,
            batch.rows.to(batch.target.dtype),
            batch.initial,
            tuple(i for i, free in enumerate(problem.free) if free),
            problem.loss,
        )

    def on(self, groups: Tensor) -> GroupObjective:
        """The same for some of the groups."""
        return replace(
            self,
            reader=self.reader.of(groups),
            target=self.target[groups],
            sigma=None if self.sigma is None else self.sigma[groups],
            kept=None if self.kept is None else self.kept[groups],
            rows=self.rows[groups],
            initial=self.initial[groups],
        )

    def whole(self, free: Tensor) -> Tensor:
        """θ over all params, of θ over the free ones."""
        if len(self.free) == self.initial.shape[-1]:
            return free
        theta = self.initial.clone()
        theta[:, list(self.free)] = free
        return theta

    def columns(self, theta: Tensor, *, safe: bool = False) -> Tensor:
        """∂z/∂θ over the free params, and z as the last: (free + 1, groups, rows); zero in rows
        that are not kept. `safe` reads the chain rule with 0·∞ = 0."""
        prediction, *slopes = self.reader(theta.unsqueeze(-2).unbind(-1), safe=safe)
        columns = self.target.new_empty((len(self.free) + 1, *self.target.shape))
        for i, at in enumerate(self.free):
            columns[i] = slopes[at]
        torch.sub(prediction, self.target, out=columns[-1])
        if self.sigma is not None:
            columns /= self.sigma
        if self.kept is not None:
            columns = torch.where(self.kept, columns, 0.0)
        return columns

    def residuals(self, theta: Tensor, out: Tensor) -> Tensor:
        """z of whole groups, (groups, rows), written where `out` says."""
        prediction = self.reader(theta.unsqueeze(-2).unbind(-1))[0]
        torch.sub(prediction, self.target, out=out)
        return out if self.sigma is None else out.div_(self.sigma)

    def finite_columns(self, theta: Tensor) -> Tensor:
        """The same, by the chain rule that has them finite where one has."""
        columns = self.columns(theta)
        return columns if bool(torch.isfinite(columns.sum())) else self.columns(theta, safe=True)

    def linearise(self, free: Tensor, factors: Factors = triangles) -> tuple[Tensor, Tensor]:
        """The loss (groups,) and the R factor of [J z], weighted for losses other than mse."""
        total, factor = self.sums(free, factors)
        return total / self.rows, factor

    def sums(self, free: Tensor, factors: Factors = triangles) -> tuple[Tensor, Tensor]:
        """Σρ (groups,), and the same R factor."""
        theta = self.whole(free)
        total, factor = self._reduced(self.columns(theta), factors)
        if not bool(torch.isfinite(factor.sum())):
            total, factor = self._reduced(self.columns(theta, safe=True), factors)
        return total, factor

    def still_loss(self) -> Tensor:
        """The loss of each group's weighted mean, (groups,): what there is to explain."""
        y, sigma, kept = self.target, self.sigma, self.kept
        weight = torch.ones_like(y) if sigma is None else 1 / sigma.square()
        if kept is not None:
            weight = torch.where(kept, weight, 0.0)
        mean = (weight * y).sum(dim=-1, keepdim=True) / weight.sum(dim=-1, keepdim=True)
        rho = weights(self.loss, mean - y if sigma is None else (mean - y) / sigma)[0]
        rho = rho if kept is None else torch.where(kept, rho, 0.0)
        return rho.sum(dim=-1) / self.rows

    def _reduced(self, columns: Tensor, factors: Factors) -> tuple[Tensor, Tensor]:
        rho, root = weights(self.loss, columns[-1])
        if root is not None:
            columns *= root
            rho = rho if self.kept is None else torch.where(self.kept, rho, 0.0)
        return rho.sum(dim=-1), factors(columns)
