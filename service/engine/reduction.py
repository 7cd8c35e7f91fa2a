"""Rows at θ, reduced to the few numbers that their statistics need.

Of QR [J | ψ], J = ∂z/∂θ over the p free params and ψ = ∂ρ/∂z, the R factor holds all that the
covariance, the distance to the minimum and the pull of the bounds are made of, and never squares a
condition number (Golub and Van Loan, Matrix Computations, 4th ed., 5.3). Long data are reduced part
by part and the parts' factors merged (Demmel et al., SIAM J. Sci. Comput. 34 (2012) A206), so that
the Jacobian is never held whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from service.engine.factors import triangles
from service.engine.gradients import Objective
from service.engine.long import LongObjective, is_long, merged
from service.engine.problem import Problem

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """Groups of rows at their θ; float64, the groups first."""

    factor: Floats
    """R of QR [J | ψ], (groups, p + 1, p + 1)."""
    total: Floats
    """Σz², (groups,)."""
    rows: Ints
    """(groups,)"""
    size: Floats
    """‖y/σ‖: what the rounding of z is relative to, (groups,)."""
    spread: Floats
    """Σ((y − ȳ)/σ)², ȳ the weighted mean, (groups,)."""
    log_sigma: Floats
    """Σ ln σ, (groups,)."""
    z: Floats
    """Residuals over σ, (groups, rows of the longest); 0 where `kept` is false."""
    kept: npt.NDArray[np.bool_] | None = None
    """Which of those are rows of the group; None for all."""


def reduce(problem: Problem, theta: Tensor) -> Reduced:
    """A problem at θ (params,) as one group."""
    problem, theta = problem.double(), theta.double()
    with np.errstate(all="ignore"):
        return _reduced(problem, theta)


def _reduced(problem: Problem, theta: Tensor) -> Reduced:
    z, factor = _factored(problem, theta)
    y = problem.target.cpu().numpy()
    sigma = None if problem.sigma is None else problem.sigma.cpu().numpy()
    weighed = y if sigma is None else y / sigma
    weights = None if sigma is None else 1 / sigma**2
    mean = y.mean() if weights is None else weights.dot(y) / weights.sum()
    apart = y - mean if sigma is None else (y - mean) / sigma
    return Reduced(
        factor=factor[None],
        total=np.array([z.dot(z)]),
        rows=np.array([len(z)]),
        size=np.array([np.sqrt(weighed.dot(weighed))]),
        spread=np.array([apart.dot(apart)]),
        log_sigma=np.array([0.0 if sigma is None else np.log(sigma).sum()]),
        z=z[None],
    )


def _factored(problem: Problem, theta: Tensor) -> tuple[Floats, Floats]:
    """z (rows,), and R of [J | ψ]; R is empty where the params have no standard errors."""
    if not problem.formula.has_standard_errors:
        return Objective(problem).residuals(theta).cpu().numpy(), np.zeros((1, 1))
    if is_long(problem):
        return _factored_long(problem, theta)
    free = [i for i, is_free in enumerate(problem.free) if is_free]
    z, jacobian = Objective(problem).jacobian(theta)
    matrix = np.empty((len(z), len(free) + 1), order="F")
    matrix[:, :-1] = jacobian.cpu().numpy()[:, free]
    matrix[:, -1] = problem.loss.pull(z).cpu().numpy()
    return z.cpu().numpy(), triangle(matrix)


def _factored_long(problem: Problem, theta: Tensor) -> tuple[Floats, Floats]:
    found, factors = np.empty(problem.rows), []
    at = 0
    for z, columns in LongObjective(problem).columns(theta):
        found[at : at + len(z)] = z.cpu().numpy()
        columns[-1] = problem.loss.pull(columns[-1])
        factors.append(triangles(columns))
        at += len(z)
    return found, merged(factors).cpu().numpy()


def triangle(matrix: Floats) -> Floats:
    """R of matrices (…, rows, columns), (…, columns, columns); NaN where one is not finite."""
    columns = matrix.shape[-1]
    factor: Floats = np.asarray(np.linalg.qr(matrix, mode="r"))
    short = columns - factor.shape[-2]
    if short:
        widths = [(0, 0)] * (factor.ndim - 2) + [(0, short), (0, 0)]
        factor = np.pad(factor, widths)
    return factor
