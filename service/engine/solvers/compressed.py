"""Linear least squares from the R factor of [J | y − f₀] alone, without the data.

With u = R₁θ − c the mean square is (‖u‖² + ρ²)/n and its gradient 2R₁ᵀu/n, in time independent of
the number of rows. The normal equations are avoided because of cancellation. Source: Golub and Van
Loan, Matrix Computations, 4th ed., 5.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.engine.derivatives import differentiate
from service.engine.formula import Formula
from service.engine.kernel import operators
from service.engine.problem import Problem
from service.engine.tape import Builder

Floats = npt.NDArray[np.float64]
Reading = Callable[[Tensor], tuple[float, Tensor]]
"""θ (params,) -> the loss and ∂loss/∂θ, zero for the fixed params."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """A linear problem's sufficient statistics over its free params.

    r (free, free); c (free,) = R₁θ₀ − u₀; rho2 the minimum of the sum of squares; rows n.
    """

    r: Floats
    c: Floats
    rho2: float
    rows: int
    free: npt.NDArray[np.int64]
    params: int

    @classmethod
    def of(cls, problem: Problem) -> Compressed:
        """The statistics of a problem with loss mse that is linear in its free params."""
        free = problem.places
        theta = problem.initial.double().cpu().clone()
        theta[free] = 0.0
        _, factor = _linearised(problem, theta)
        return cls(
            np.ascontiguousarray(factor[:-1, :-1]),
            -factor[:-1, -1],
            float(factor[-1, -1]) * float(factor[-1, -1]),
            problem.rows,
            free,
            len(problem.params),
        )

    @property
    def is_finite(self) -> bool:
        """Whether no sum overflowed."""
        return bool(np.isfinite(self.r).all() and np.isfinite(self.c).all()) and self.rho2 < np.inf


def compressed(problem: Problem) -> Problem | None:
    """A problem with the same loss at every θ, of one row more than there are free params; None if
    a sum of squares overflows."""
    data, names = Compressed.of(problem), problem.free_params
    if not data.is_finite:
        return None
    rows = len(names) + 1
    assert isinstance(problem.formula, Formula)
    formula = _sum_of_products(problem.formula, names)
    square = np.zeros((rows, rows))
    square[:-1, :-1], square[:-1, -1], square[-1, -1] = data.r, data.c, math.sqrt(data.rho2)
    device = problem.target.device
    return replace(
        problem,
        formula=formula,
        columns={
            x: torch.from_numpy(np.ascontiguousarray(square[:, i])).to(device)
            for i, x in enumerate(formula.inputs)
        },
        target=torch.from_numpy(np.ascontiguousarray(square[:, -1])).to(device),
        sigma=torch.full((rows,), math.sqrt(data.rows / rows), dtype=torch.float64, device=device),
    )


def _sum_of_products(of: Formula, free: tuple[str, ...]) -> Formula:
    """Σ θ_j·x_j over the free params, for the params of a formula."""
    builder, total = Builder(), None
    for name in free:
        term = builder.apply("multiply", builder.param(name), builder.column(f"of {name}"))
        total = term if total is None else builder.apply("add", total, term)
    output = builder.constant(0.0) if total is None else total
    slopes = differentiate(builder, output, of.params)
    return replace(
        of,
        inputs=tuple(f"of {name}" for name in free),
        prediction=builder.tape([output]),
        tape=builder.tape([output, *(slopes[name] for name in of.params)]),
    )


def reading(problem: Problem) -> Reading:
    """The function that computes the loss and its gradient from the rows, for a formula with loss
    mse."""

    @np.errstate(all="ignore")
    def read(theta: Tensor) -> tuple[float, Tensor]:
        total, factor = _linearised(problem, theta)
        gradient = torch.zeros_like(theta)
        slope = 2 / problem.rows * (factor[:-1, :-1].T @ factor[:-1, -1])
        gradient[problem.free_index] = torch.from_numpy(slope).to(theta)
        return total / problem.rows, gradient

    return read


def _linearised(problem: Problem, theta: Tensor) -> tuple[float, Floats]:
    """Σz² and R of [J z] over the free params."""
    data = problem.data(problem.whole)
    points, width = theta.double().cpu().unsqueeze(0), torch.zeros(1, dtype=torch.float64)
    sums, r, _ = operators.linearise(
        problem.program, problem.loss_number, problem.loss.delta, data, points, width
    )
    return float(sums[0, 0]), r[0].numpy()
