"""The loss as a function of the params, and its gradient by three methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from service.engine.problem import GradientMethod, Problem


class Objective:
    """A problem's loss and what is derived from it, at any θ (params,).

    loss(θ) = mean ρ((f(x; θ) − y)/σ). The readers hold what depends on the data alone.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._loss = problem.loss
        self._target = problem.target
        self._sigma = problem.sigma
        formula = problem.formula
        self._prediction = formula.prediction.bind(problem.columns, formula.params, problem.target)
        self._with_jacobian = formula.tape.bind(problem.columns, formula.params, problem.target)
        self.free = torch.tensor(problem.free, dtype=torch.bool, device=problem.target.device)
        self._fixed = [i for i, free in enumerate(problem.free) if not free]

    def on(self, rows: Tensor) -> Objective:
        """The same on some of the rows."""
        part = object.__new__(Objective)
        part.__dict__.update(self.__dict__)
        part._target = self._target[rows]
        part._sigma = None if self._sigma is None else self._sigma[rows]
        part._prediction = self._prediction.on(rows)
        part._with_jacobian = self._with_jacobian.on(rows)
        return part

    def predict(self, theta: Tensor) -> Tensor:
        """f(x; θ): (rows,)."""
        prediction = self._prediction(theta.unbind(-1))[0]
        return prediction.expand(self._target.shape)

    def residuals(self, theta: Tensor) -> Tensor:
        """z = (f(x; θ) − y)/σ: (rows,)."""
        return self._weighed(self.predict(theta))

    def loss(self, theta: Tensor) -> Tensor:
        """The loss: a scalar."""
        return self._loss.value(self.residuals(theta))

    @property
    def target(self) -> Tensor:
        """The target over σ: what the residuals' rounding is relative to."""
        return self._target if self._sigma is None else self._target / self._sigma

    def losses(self, points: Tensor, positions: list[int], chunk: int = 2**20) -> Tensor:
        """The loss at many points, (points, len(positions)): values of the params at those
        positions, the others as in the problem; in chunks of about `chunk` predictions."""
        points = points.reshape(len(points), -1)
        width = max(1, chunk // max(1, self.problem.rows))
        losses = []
        for part in torch.split(points, width):
            params = list(self.problem.initial.unbind())
            for column, position in enumerate(positions):
                params[position] = part[:, column].unsqueeze(-1)
            prediction = self._prediction(params)[0]
            prediction = prediction.expand(len(part), *self._target.shape)
            losses.append(self._loss.value(self._weighed(prediction)))
        return torch.cat(losses)

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """z and ∂z/∂θ: (rows,) and (rows, params), 0·∞ in the chain rule read as 0."""
        outputs = self._read(theta)
        columns = [column.expand(self._target.shape) for column in outputs[1:]]
        jacobian = torch.stack(columns, dim=-1)
        if self._sigma is not None:
            jacobian = jacobian / self._sigma.unsqueeze(-1)
        return self._weighed(outputs[0].expand(self._target.shape)), jacobian

    def gradient(self, theta: Tensor, method: GradientMethod) -> tuple[Tensor, Tensor]:
        """The loss and ∂loss/∂θ (params,); zero for the fixed params."""
        loss, gradient = GRADIENTS[method.method](self, theta, method.delta)
        for i in self._fixed:
            gradient[i] = 0.0
        return loss, gradient

    def _read(self, theta: Tensor) -> list[Tensor]:
        outputs = self._with_jacobian(theta.unbind(-1))
        if all(bool(torch.isfinite(column.sum())) for column in outputs[1:]):
            return outputs
        return self._with_jacobian(theta.unbind(-1), safe=True)

    def _weighed(self, prediction: Tensor) -> Tensor:
        residual = prediction - self._target
        return residual if self._sigma is None else residual / self._sigma

    def _analytic(self, theta: Tensor, delta: float | None) -> tuple[Tensor, Tensor]:
        prediction, *jacobian = self._with_jacobian(theta.unbind(-1))
        loss, gradient = self._chain(prediction, jacobian)
        if bool(torch.isfinite(gradient.sum())):
            return loss, gradient
        prediction, *jacobian = self._with_jacobian(theta.unbind(-1), safe=True)
        return self._chain(prediction, jacobian)

    def _chain(self, prediction: Tensor, jacobian: list[Tensor]) -> tuple[Tensor, Tensor]:
        """∂loss/∂θ = Σ over the rows of ∂loss/∂prediction · ∂prediction/∂θ."""
        z = self._weighed(prediction.expand(self._target.shape))
        slope = self._loss.slope(z)
        if self._sigma is not None:
            slope = slope / self._sigma
        total = slope.sum()
        terms = [torch.dot(slope, j) if j.dim() else total * j for j in jacobian]
        return self._loss.value(z), torch.stack(terms)

    def _autograd(self, theta: Tensor, delta: float | None) -> tuple[Tensor, Tensor]:
        leaf = theta.detach().clone().requires_grad_()
        loss = self.loss(leaf)
        (gradient,) = torch.autograd.grad(loss, leaf)
        return loss.detach(), gradient

    def _numeric(self, theta: Tensor, delta: float | None) -> tuple[Tensor, Tensor]:
        """(loss(θ + δ) − loss(θ − δ))/2δ, a param at a time.

        Default δ = ε^(1/3)·max(1, |θ|), which balances the truncation against the rounding (Nocedal
        and Wright, Numerical Optimization, 2nd ed., 8.1).
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
"""The methods, by name."""
