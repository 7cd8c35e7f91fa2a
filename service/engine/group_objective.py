"""Groups of rows as functions of their params, all at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.engine.factors import triangle, weighed
from service.engine.formula import Formula
from service.engine.groups import Batch
from service.engine.losses import Loss
from service.engine.problem import Problem
from service.engine.tape import Reader


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

    def residuals(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """z (groups, rows) and ∂z/∂θ over the free params (groups, rows, free); zero in rows that
        are not kept."""
        prediction, *slopes = self._read(theta)
        z = prediction - self.target
        if self.sigma is not None:
            z = z / self.sigma
        if self.kept is not None:
            z = torch.where(self.kept, z, 0.0)
        jacobian = z.new_empty((*z.shape, len(self.free)))
        for column, at in enumerate(self.free):
            jacobian[..., column] = slopes[at]
        if self.sigma is not None:
            jacobian /= self.sigma.unsqueeze(-1)
        if self.kept is not None:
            jacobian = torch.where(self.kept.unsqueeze(-1), jacobian, 0.0)
        return z, jacobian

    def linearise(self, free: Tensor) -> tuple[Tensor, Tensor]:
        """The loss (groups,) and the R factor of [J z], weighted for losses other than mse."""
        z, jacobian = self.residuals(self.whole(free))
        rho, matrix = weighed(self.loss, z, jacobian)
        if self.kept is not None and not self.loss.is_least_squares:
            rho = torch.where(self.kept, rho, 0.0)
        return rho.sum(dim=-1) / self.rows, triangle(matrix)

    def _read(self, theta: Tensor) -> list[Tensor]:
        params = theta.unsqueeze(-2).unbind(-1)
        outputs = self.reader(params)
        if not all(bool(torch.isfinite(slope.sum())) for slope in outputs[1:]):
            outputs = self.reader(params, safe=True)
        return outputs
