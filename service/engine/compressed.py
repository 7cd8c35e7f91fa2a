"""Linear least squares without its data: the R factor of [J | y − f₀] holds all that is needed.

With u = R₁θ − c the mean square is (‖u‖² + ρ²)/n and its gradient 2R₁ᵀu/n, in time that does not
depend on the rows. Never the normal equations, which cancel. Source: Golub and Van Loan, Matrix
Computations, 4th ed., 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from service.engine.gradients import Objective
from service.engine.problem import Problem

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Compressed:
    """A linear problem's sufficient statistics over its free params, at θ₀: the rest is fixed.

    r (free, free); c (free,) = R₁θ₀ − u₀; rho2 the sum of squares that no θ removes; rows n.
    """

    r: Floats
    c: Floats
    rho2: float
    rows: int
    free: npt.NDArray[np.int64]
    params: int

    @classmethod
    def of(cls, problem: Problem) -> Compressed:
        """Those of a problem whose prediction is linear in its free params, with loss mse."""
        theta = torch.where(
            torch.tensor(problem.free), torch.zeros_like(problem.initial), problem.initial
        )
        residual, jacobian = Objective(problem).jacobian(theta)
        free = problem.free_index
        matrix = torch.cat([jacobian[:, free], -residual.unsqueeze(-1)], dim=-1)
        factor = torch.linalg.qr(matrix, mode="r")[1]
        width = matrix.shape[-1]
        factor = torch.nn.functional.pad(factor, (0, 0, 0, width - factor.shape[0]))
        square = factor.numpy()
        return cls(
            np.ascontiguousarray(square[:-1, :-1]),
            np.ascontiguousarray(square[:-1, -1]),
            float(square[-1, -1] ** 2),
            problem.rows,
            free.numpy(),
            len(problem.params),
        )

    @property
    def is_finite(self) -> bool:
        """Whether nothing overflowed on the way."""
        return bool(np.isfinite(self.r).all() and np.isfinite(self.c).all()) and self.rho2 < np.inf

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """The loss and ∂loss/∂θ (params,); zero for the fixed params."""
        every = len(self.free) == self.params
        u = self.r.dot(theta if every else theta[self.free]) - self.c
        slope = (2 / self.rows) * u.dot(self.r)
        loss = float(u.dot(u) + self.rho2) / self.rows
        if every:
            return loss, slope
        gradient = np.zeros(self.params)
        gradient[self.free] = slope
        return loss, gradient
