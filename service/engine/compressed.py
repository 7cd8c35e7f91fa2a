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
from torch import Tensor

from service.engine.gradients import Objective
from service.engine.long import LongObjective, is_long
from service.engine.problem import Problem
from service.engine.small_problem import SmallProblem

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
        free = np.flatnonzero(problem.free)
        theta = problem.initial.cpu().numpy().copy()
        theta[free] = 0.0
        if problem.small is not None:
            factor = _small_factor(problem.small, theta, free)
        else:
            factor = _factor(problem, torch.from_numpy(theta).to(problem.target.device))
        square = np.zeros((len(free) + 1, len(free) + 1))
        square[: len(factor)] = factor
        return cls(
            np.ascontiguousarray(square[:-1, :-1]),
            np.ascontiguousarray(square[:-1, -1]),
            float(square[-1, -1]) * float(square[-1, -1]),
            problem.rows,
            free,
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


def _factor(problem: Problem, theta: Tensor) -> Floats:
    """R of [J | y − f], at most one row more than there are free params."""
    free = problem.free_index
    if is_long(problem):
        at = theta[free].unsqueeze(0)
        long: Floats = LongObjective(problem).linearise(at)[1][0].cpu().numpy()
        long[:, -1] *= -1
        return long
    residual, jacobian = Objective(problem).jacobian(theta)
    matrix = torch.cat([jacobian[:, free], -residual.unsqueeze(-1)], dim=-1)
    factor: Floats = torch.linalg.qr(matrix, mode="r")[1].cpu().numpy()
    return factor


def _small_factor(small: SmallProblem, theta: Floats, free: npt.NDArray[np.int64]) -> Floats:
    with np.errstate(all="ignore"):
        residual, slopes = small.jacobian(theta)
        matrix = np.concatenate([slopes[free], -residual[None]])
        return np.asarray(np.linalg.qr(matrix.T, mode="r"))
