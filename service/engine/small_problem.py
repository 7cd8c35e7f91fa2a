"""The mean square of a small problem and its derivatives, by numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from service.engine.bound import is_small
from service.engine.formula import Formula
from service.engine.small import Floats

if TYPE_CHECKING:
    from service.engine.problem import Problem


def is_small_problem(problem: Problem) -> bool:
    """Whether a problem's mean square is read by numpy: few rows, float64, mse."""
    return (
        is_small(problem.target, problem.rows)
        and problem.loss.is_least_squares
        and isinstance(problem.formula, Formula)
        and problem.formula.program.is_readable
    )


class SmallProblem:
    """loss(θ) = mean(((f(x; θ) − y)/σ)²), for a formula that numpy reads; θ (params,).

    Whoever calls it has numpy's warnings off. Not for two threads at once.
    """

    def __init__(self, problem: Problem) -> None:
        assert isinstance(problem.formula, Formula)
        columns = {name: _array(column) for name, column in problem.columns.items()}
        with np.errstate(all="ignore"):
            self._reader = problem.formula.program.bind(columns, problem.rows)
        self._target = _array(problem.target)
        self._weight = None if problem.sigma is None else 1 / _array(problem.sigma)
        self._rows = problem.rows
        self._factor = np.array(2 / problem.rows)
        self._z = np.empty(problem.rows)
        self._fixed = [i for i, free in enumerate(problem.free) if not free]

    def loss(self, theta: Floats) -> float:
        """The loss alone."""
        z = self._residuals(self._reader.predict(theta))
        return float(z.dot(z)) / self._rows

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """The loss and ∂loss/∂θ (params,); zero for the fixed params."""
        loss, gradient = self._read(theta, safe=False)
        if not gradient.dot(gradient) < math.inf:
            loss, gradient = self._read(theta, safe=True)
        for i in self._fixed:
            gradient[i] = 0.0
        return loss, gradient

    def jacobian(self, theta: Floats) -> tuple[Floats, Floats]:
        """z = (f − y)/σ (rows,) and ∂z/∂θ (params, rows), 0·∞ in the chain rule read as 0."""
        prediction = self._reader.read(theta)
        if not math.isfinite(self._reader.slopes.sum()):
            prediction = self._reader.read(theta, safe=True)
        slopes = self._reader.slopes.copy()
        if self._weight is not None:
            slopes *= self._weight
        return self._residuals(prediction).copy(), slopes

    def _residuals(self, prediction: Floats) -> Floats:
        z: Floats = np.subtract(prediction, self._target, self._z)
        return z if self._weight is None else np.multiply(z, self._weight, z)

    def _read(self, theta: Floats, *, safe: bool) -> tuple[float, Floats]:
        z = self._residuals(self._reader.read(theta, safe=safe))
        loss = float(z.dot(z)) / self._rows
        if self._weight is not None:
            np.multiply(z, self._weight, z)
        gradient: Floats = self._reader.slopes.dot(z)
        np.multiply(gradient, self._factor, gradient)
        return loss, gradient


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.numpy()
    return array
