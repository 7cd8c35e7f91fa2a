"""Rows at θ, reduced to the few numbers that their statistics need.

Of QR [J | ψ], J = ∂z/∂θ over the p free params and ψ = ∂ρ/∂z, the R factor holds all that the
covariance, the distance to the minimum and the pull of the bounds are made of, and never squares a
condition number (Golub and Van Loan, Matrix Computations, 4th ed., 5.3). Long data are reduced part
by part and the parts' factors merged (Demmel et al., SIAM J. Sci. Comput. 34 (2012) A206), so that
the Jacobian is never held whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from service.engine.factors import triangles
from service.engine.gradients import Objective
from service.engine.long import PART, LongObjective, is_long, merged
from service.engine.problem import Problem

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TINY, HUGE = 1e-140, 1e140
"""Lengths whose squares are float64's, with their digits."""


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """Groups of rows at their θ, float64, the groups first; one fit's without that dimension."""

    factor: Floats
    """R of QR [J | ψ], (groups, p + 1, p + 1)."""
    total: Any
    """Σz², (groups,)."""
    rows: Any
    """(groups,)"""
    size: Any
    """‖y/σ‖: what the rounding of z is relative to, (groups,)."""
    spread: Any
    """Σ((y − ȳ)/σ)², ȳ the weighted mean, (groups,)."""
    log_sigma: Any
    """Σ ln σ, (groups,)."""
    z: Floats
    """Residuals over σ, (groups, rows of the longest); 0 where `kept` is false."""
    kept: npt.NDArray[np.bool_] | None = None
    """Which of those are rows of the group; None for all."""


def reduce(problem: Problem, theta: Tensor, factor: Tensor | None = None) -> Reduced:
    """A problem at θ (params,); `factor` is its R, if known. Whoever calls it has numpy's warnings
    off."""
    problem, theta = problem.double(), theta.double()
    if factor is not None and is_long(problem) and problem.loss.is_least_squares:
        z = LongObjective(problem).residuals(theta).cpu().numpy()
        found = factor.cpu().numpy()
    else:
        z, found = _factored(problem, theta)
    size, spread, log_sigma = _of_target(problem)
    return Reduced(
        factor=found,
        total=float(z.dot(z)),
        rows=len(z),
        size=size,
        spread=spread,
        log_sigma=log_sigma,
        z=z,
    )


def _of_target(problem: Problem) -> tuple[float, float, float]:
    """‖y/σ‖, Σ((y − ȳ)/σ)² and Σ ln σ."""
    y = problem.target.cpu().numpy()
    if problem.sigma is None:
        mean, spread = np.add.reduce(y) / len(y), 0.0
        for start in range(0, len(y), PART):
            apart = y[start : start + PART] - mean
            spread += float(apart.dot(apart))
        return math.sqrt(y.dot(y)), spread, 0.0
    sigma = problem.sigma.cpu().numpy()
    weights, weighed = 1 / sigma**2, y / sigma
    apart = (y - weights.dot(y) / weights.sum()) / sigma
    return math.sqrt(weighed.dot(weighed)), float(apart.dot(apart)), float(np.log(sigma).sum())


def _factored(problem: Problem, theta: Tensor) -> tuple[Floats, Floats]:
    """z (rows,), and R of [J | ψ]; R is empty where the params have no standard errors."""
    if problem.small is not None:
        few, slopes = problem.small.jacobian(theta.numpy())
        slopes = slopes if all(problem.free) else slopes[list(problem.free)]
        return few, _small_triangle(slopes, few)
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


def _small_triangle(slopes: Floats, z: Floats) -> Floats:
    """R of QR [J | z] for few rows, Jᵀ (params, rows), by the modified Gram–Schmidt method (see
    `factors.triangles`); by Householder's where a square leaves float64's range."""
    columns = np.concatenate((slopes, z[None]))
    factor = np.zeros((len(columns), len(columns)))
    for j, column in enumerate(columns):
        size = math.sqrt(column.dot(column))
        if not TINY < size < HUGE:
            return triangle(np.concatenate((slopes, z[None])).T)
        factor[j, j] = size
        rest = columns[j + 1 :]
        if len(rest):
            unit = column / size
            along = rest.dot(unit)
            factor[j, j + 1 :] = along
            rest -= along[:, None] * unit
    return factor


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
