"""Small problems on the CPU: the same tape, read by numpy.

An operation on fifty numbers costs torch about a microsecond and numpy a quarter of that, so below
`ROWS` rows a full-batch descent reads its tape here (docs/benchmarks.md has the measurement).
float64 and mse alone; what numpy has no function for stays with torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from service.engine.problem import Problem
from service.engine.tape import Tape

ROWS = 1024

Floats = npt.NDArray[np.float64]
Function = Callable[..., Any]


def _chain(x: Any, y: Any) -> Any:
    return np.where((x == 0) | (y == 0), 0.0, x * y)


def _power_by_exponent(x: Any, y: Any) -> Any:
    power = np.power(x, y)
    return np.where(power == 0, 0.0, power * np.log(x))


FUNCTIONS: Mapping[str, Function] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "chain": np.multiply,
    "divide": np.divide,
    "negative": np.negative,
    "square": np.square,
    "power": np.power,
    "power_by_exponent": _power_by_exponent,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log10": np.log10,
    "log2": np.log2,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "relu": lambda x: np.maximum(x, 0.0),
    "min": np.minimum,
    "max": np.maximum,
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "step": lambda x: np.heaviside(x, 1.0),
    "half_step": lambda x: np.heaviside(x, 0.5),
    "where": np.where,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "equal": np.equal,
    "not_equal": np.not_equal,
}
"""numpy's name for each operation that it has."""

SAFE: Mapping[str, Function] = {**FUNCTIONS, "chain": _chain}


def is_readable(tape: Tape) -> bool:
    """Whether numpy has all of a tape's operations."""
    return all(node.kind != "operation" or node.name in FUNCTIONS for node in tape.nodes)


class NumpyReader:
    """A tape bound to its columns (rows,): called with θ, an array or a number for each output."""

    def __init__(self, tape: Tape, columns: Mapping[str, Floats], params: tuple[str, ...]) -> None:
        position = {name: i for i, name in enumerate(params)}
        self._slots: list[Any] = [None] * len(tape.nodes)
        self._params: list[tuple[int, int]] = []
        self._fast: list[tuple[Function, int, tuple[int, ...]]] = []
        self._safe: list[tuple[Function, int, tuple[int, ...]]] = []
        self._outputs = tape.outputs
        for i, node in enumerate(tape.nodes):
            if node.kind == "constant":
                self._slots[i] = node.value
            elif node.kind == "column":
                self._slots[i] = columns[node.name]
            elif node.kind == "param":
                self._params.append((i, position[node.name]))
            elif all(self._slots[a] is not None for a in node.arguments):
                known = [self._slots[a] for a in node.arguments]
                self._slots[i] = FUNCTIONS[node.name](*known)
            else:
                self._fast.append((FUNCTIONS[node.name], i, node.arguments))
                self._safe.append((SAFE[node.name], i, node.arguments))

    def __call__(self, theta: list[float], *, safe: bool = False) -> list[Any]:
        """One array (rows,) or number an output."""
        slots = self._slots.copy()
        for slot, position in self._params:
            slots[slot] = theta[position]
        for function, slot, arguments in self._safe if safe else self._fast:
            if len(arguments) == 2:
                slots[slot] = function(slots[arguments[0]], slots[arguments[1]])
            elif len(arguments) == 1:
                slots[slot] = function(slots[arguments[0]])
            else:
                slots[slot] = function(*[slots[a] for a in arguments])
        return [slots[output] for output in self._outputs]


class SmallProblem:
    """The mean square of a small problem, and its gradient."""

    def __init__(self, problem: Problem, tape: Tape) -> None:
        columns = {name: _array(column) for name, column in problem.columns.items()}
        self._reader = NumpyReader(tape, columns, problem.params)
        self._target = _array(problem.target)
        self._weight = None if problem.sigma is None else 1 / _array(problem.sigma)
        self._rows = problem.rows
        self._fixed = [i for i, free in enumerate(problem.free) if not free]

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """The loss and ∂loss/∂θ (params,); zero for the fixed params."""
        loss, gradient = self._read(theta.tolist(), safe=False)
        if not np.isfinite(gradient.sum()):
            loss, gradient = self._read(theta.tolist(), safe=True)
        for i in self._fixed:
            gradient[i] = 0.0
        return loss, gradient

    def _read(self, theta: list[float], *, safe: bool) -> tuple[float, Floats]:
        prediction, *slopes = self._reader(theta, safe=safe)
        z = prediction - self._target
        if self._weight is not None:
            z = z * self._weight
        loss = float(z.dot(z)) / self._rows
        slope = (2 / self._rows) * (z if self._weight is None else z * self._weight)
        total = None
        terms = []
        for s in slopes:
            if isinstance(s, np.ndarray) and s.ndim:
                terms.append(slope.dot(s))
            else:
                total = slope.sum() if total is None else total
                terms.append(total * s)
        return loss, np.array(terms)


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.numpy()
    return array
