"""The mean square of a small problem and its gradient, by numpy."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from service.engine.formula import Formula
from service.engine.problem import Problem
from service.engine.small import Floats


class SmallProblem:
    """loss(θ) = mean(((f(x; θ) − y)/σ)²) and ∂loss/∂θ, for a formula that numpy reads."""

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

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """The loss and ∂loss/∂θ (params,); zero for the fixed params."""
        loss, gradient = self._read(theta, safe=False)
        if not gradient.dot(gradient) < math.inf:
            loss, gradient = self._read(theta, safe=True)
        for i in self._fixed:
            gradient[i] = 0.0
        return loss, gradient

    def _read(self, theta: Floats, *, safe: bool) -> tuple[float, Floats]:
        z = np.subtract(self._reader.read(theta, safe=safe), self._target, self._z)
        if self._weight is not None:
            np.multiply(z, self._weight, z)
        loss = float(z.dot(z)) / self._rows
        if self._weight is not None:
            np.multiply(z, self._weight, z)
        gradient: Floats = self._reader.slopes.dot(z)
        np.multiply(gradient, self._factor, gradient)
        return loss, gradient


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.numpy()
    return array
