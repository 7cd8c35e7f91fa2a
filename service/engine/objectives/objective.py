"""The loss as a function of the params, and its gradient by three methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from service.engine.fit_options import GradientMethod
from service.engine.formula import Formula
from service.engine.objectives.bound import Bound
from service.engine.problem import Problem
from service.engine.slices import at_once, slices


class Objective:
    """A problem's loss, residuals, Jacobian and gradient as functions of θ (params,).

    loss(θ) = mean ρ((f(x; θ) − y)/σ), or the mean deviance of a likelihood.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._loss = problem.loss
        self._target = problem.target
        self._sigma = problem.sigma
        self._bound: Bound = problem.formula.bind(problem.columns, problem.rows, problem.target)
        self.free = torch.tensor(problem.free, dtype=torch.bool, device=problem.target.device)
        self._fixed = [i for i, free in enumerate(problem.free) if not free]

    def on(self, rows: Tensor | slice) -> Objective:
        """The objective on some of the rows; for a slice, a view."""
        part = object.__new__(Objective)
        part.__dict__.update(self.__dict__)
        part._target = self._target[rows]
        part._sigma = None if self._sigma is None else self._sigma[rows]
        part._bound = self._bound.on(rows)
        return part

    def predict(self, theta: Tensor) -> Tensor:
        """f(x; θ): (rows,). Networks are evaluated in slices unless a gradient is required."""
        if self._is_formula or theta.dim() > 1 or theta.requires_grad or self._is_short:
            return self._bound.predict(theta)
        return torch.cat([self._bound.on(rows).predict(theta) for rows in self._slices()])

    def residuals(self, theta: Tensor) -> Tensor:
        """z = (f(x; θ) − y)/σ, of a likelihood divided by √V(f): (rows,)."""
        return self._loss.residuals(self.predict(theta), self._target, self._sigma)

    def loss(self, theta: Tensor) -> Tensor:
        """The loss: a scalar."""
        return self._loss.mean(self.predict(theta), self._target, self._sigma)

    @property
    def target(self) -> Tensor:
        """The target divided by σ, to which the rounding of the residuals is relative."""
        return self._target if self._sigma is None else self._target / self._sigma

    def losses(self, points: Tensor, positions: list[int], chunk: int = 2**20) -> Tensor:
        """The loss at many points, (points, len(positions)): values of the params at those
        positions, the others as in the problem. Computed in chunks of about `chunk` numbers: the
        params of each point, its predictions and the intermediate values of a large model."""
        points = points.reshape(len(points), -1)
        problem = self.problem
        kept = max(1, problem.formula.operations // 128)
        width = max(1, chunk // (len(problem.params) + problem.rows * kept))
        losses = []
        for part in torch.split(points, width):
            theta = self.problem.initial.expand(len(part), -1).clone()
            theta[:, positions] = part
            losses.append(self.loss(theta))
        return torch.cat(losses)

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """z and ∂z/∂θ: (rows,) and (rows, params), with 0·∞ = 0 in the chain rule."""
        prediction, jacobian = self._bound.jacobian(theta)
        if self._sigma is not None:
            jacobian = jacobian / self._sigma.unsqueeze(-1)
        return self._weighed(prediction), jacobian

    def gradient(self, theta: Tensor, method: GradientMethod) -> tuple[Tensor, Tensor]:
        """The loss and ∂loss/∂θ (params,); zero for the fixed params."""
        loss, gradient = self._gradient(theta, method)
        for i in self._fixed:
            gradient[i] = 0.0
        return loss, gradient

    def _gradient(self, theta: Tensor, method: GradientMethod) -> tuple[Tensor, Tensor]:
        """The loss and ∂loss/∂θ for all params. Long data are processed in slices if the method
        keeps intermediate values: autograd those of each operation, a network those of its
        layers."""
        found = GRADIENTS[method.method]
        is_lean = method.method == "numeric" or (self._is_formula and method.method == "analytic")
        if is_lean or self._is_short:
            return found(self, theta, method.delta)
        loss, gradient = theta.new_zeros(()), torch.zeros_like(theta)
        for rows in self._slices():
            share = (rows.stop - rows.start) / len(self._target)
            own_loss, own_gradient = found(self.on(rows), theta, method.delta)
            loss += share * own_loss
            gradient += share * own_gradient
        return loss, gradient

    @property
    def _is_formula(self) -> bool:
        """Whether the kernel evaluates it, which keeps intermediate values of one block only."""
        return isinstance(self.problem.formula, Formula)

    @property
    def _is_short(self) -> bool:
        return len(self._target) <= at_once(self.problem.formula)

    def _slices(self) -> Iterator[slice]:
        return slices(len(self._target), at_once(self.problem.formula))

    def _weighed(self, prediction: Tensor) -> Tensor:
        residual = prediction - self._target
        return residual if self._sigma is None else residual / self._sigma

    def _analytic(self, theta: Tensor, delta: float | None) -> tuple[Tensor, Tensor]:
        """Σ over the rows of ∂loss/∂prediction · ∂prediction/∂θ."""
        return self._bound.gradient(theta, self._target, self._sigma, self._loss)

    def _autograd(self, theta: Tensor, delta: float | None) -> tuple[Tensor, Tensor]:
        leaf = theta.detach().clone().requires_grad_()
        loss = self.loss(leaf)
        if not loss.requires_grad:
            return loss, torch.zeros_like(theta)
        (gradient,) = torch.autograd.grad(loss, leaf, materialize_grads=True)
        return loss.detach(), gradient

    def _numeric(self, theta: Tensor, delta: float | None) -> tuple[Tensor, Tensor]:
        """(loss(θ + δ) − loss(θ − δ))/2δ, one param at a time.

        Default δ = ε^(1/3)·max(1, |θ|), which balances truncation and rounding errors (Nocedal and
        Wright, Numerical Optimization, 2nd ed., 8.1).
        """
        gradient = torch.empty_like(theta)
        epsilon = torch.finfo(theta.dtype).eps
        for i, value in enumerate(theta.tolist()):
            step = delta if delta is not None else epsilon ** (1 / 3) * max(1.0, abs(value))
            above, below = theta.clone(), theta.clone()
            above[i] += step
            below[i] -= step
            gradient[i] = (self.loss(above) - self.loss(below)) / (above[i] - below[i])
        return self.loss(theta), gradient


GRADIENTS: Mapping[str, Callable[[Objective, Tensor, float | None], tuple[Tensor, Tensor]]] = {
    "analytic": Objective._analytic,
    "autograd": Objective._autograd,
    "numeric": Objective._numeric,
}
"""The gradient methods, by name."""
