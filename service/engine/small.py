"""A tape read by numpy: small problems on the CPU, in float64.

An operation on fifty numbers costs torch about a microsecond, and numpy a fifth of that where its
result has a place already. So a reader that is asked again and again makes room for every value,
and from then on writes over them; a param is a number that lies in an array of no dimensions, which
numpy takes in half the time of a float. docs/performance.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from service.engine.tape import Tape

ROWS = 1024
"""Up to so many rows numpy is the faster reader."""
FEW_READS = 4
"""Reads that take room of their own: to find a place for every value costs two or three of them."""

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
Function = Callable[..., Any]
"""A ufunc, or what is called as one: arguments, then where to write, if anywhere."""


def _written(result: Any, out: Array | None) -> Any:
    if out is None:
        return result
    np.copyto(out, result)
    return out


def _chain(x: Any, y: Any, out: Array | None = None) -> Any:
    return _written(np.where((x == 0) | (y == 0), 0.0, np.multiply(x, y)), out)


def _sigmoid(x: Any, out: Array | None = None) -> Any:
    return np.divide(1.0, np.add(1.0, np.exp(np.negative(x))), out)


def _softplus(x: Any, out: Array | None = None) -> Any:
    return np.logaddexp(x, 0.0, out)


def _relu(x: Any, out: Array | None = None) -> Any:
    return np.maximum(x, 0.0, out=out)


def _min(x: Any, y: Any, out: Array | None = None) -> Any:
    return np.minimum(x, y, out=out)


def _max(x: Any, y: Any, out: Array | None = None) -> Any:
    return np.maximum(x, y, out=out)


def _clip(x: Any, low: Any, high: Any, out: Array | None = None) -> Any:
    return np.minimum(np.maximum(x, low), high, out=out)


def _step(x: Any, out: Array | None = None) -> Any:
    return np.heaviside(x, 1.0, out)


def _half_step(x: Any, out: Array | None = None) -> Any:
    return np.heaviside(x, 0.5, out)


def _where(condition: Any, x: Any, y: Any, out: Array | None = None) -> Any:
    return _written(np.where(condition, x, y), out)


FUNCTIONS: Mapping[str, Function] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "chain": np.multiply,
    "divide": np.divide,
    "negative": np.negative,
    "square": np.square,
    "power": np.power,
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
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "relu": _relu,
    "min": _min,
    "max": _max,
    "clip": _clip,
    "step": _step,
    "half_step": _half_step,
    "where": _where,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "equal": np.equal,
    "not_equal": np.not_equal,
}
"""numpy's name for each operation that it has; what it has not stays with torch."""

SAFE: Mapping[str, Function] = {**FUNCTIONS, "chain": _chain}
"""The same with 0·∞ = 0 in the chain rule."""


Operation = tuple[str, int, tuple[int, ...]]
"""An operation's name, the place of its value and those of its arguments."""


class Program:
    """What of a tape depends on no data: worked out once for a formula."""

    def __init__(self, tape: Tape, params: Sequence[str]) -> None:
        position = {name: i for i, name in enumerate(params)}
        self.tape, self.width = tape, len(params)
        self.slots: list[Array | None] = [None] * len(tape.nodes)
        """The constants in their places."""
        self.columns: list[tuple[int, str]] = []
        self.params: list[tuple[int, int]] = []
        self.early: list[Operation] = []
        """Operations on columns and constants alone."""
        self.late: list[Operation] = []
        moving: set[int] = set()
        for i, node in enumerate(tape.nodes):
            if node.kind == "constant":
                self.slots[i] = np.array(node.value)
            elif node.kind == "column":
                self.columns.append((i, node.name))
            elif node.kind == "param":
                self.params.append((i, position[node.name]))
                moving.add(i)
            elif moving.isdisjoint(node.arguments):
                self.early.append((node.name, i, node.arguments))
            else:
                self.late.append((node.name, i, node.arguments))
                moving.add(i)
        self.moving = frozenset(moving)
        """What depends on a param."""
        self.needed = self._needed(tape.outputs[0])
        """What f needs."""
        self.forwards = [step for step in self.late if step[1] in self.needed]

        self.is_readable = all(name in FUNCTIONS for name, _, _ in (*self.early, *self.late))
        """Whether numpy has all of the tape's operations."""

    def bind(self, columns: Mapping[str, Floats], rows: int) -> NumpyReader:
        """A reader of so many rows."""
        return NumpyReader(self, columns, rows)

    def _needed(self, output: int) -> frozenset[int]:
        needed = {output}
        for i in range(output, -1, -1):
            if i in needed:
                needed.update(self.tape.nodes[i].arguments)
        return frozenset(needed)


Step = tuple[Function, tuple[Array, ...]]
"""A function; its arguments and, last, where it writes."""


class Steps(NamedTuple):
    """A program with room for every value."""

    forwards: list[Step]
    """To f alone."""
    fast: list[Step]
    safe: list[Step]


class NumpyReader:
    """A tape of f and ∂f/∂θ, bound to its columns (rows,). Not for two threads at once.

    What `predict` and `read` hand out is the reader's own room, written over at the next call.
    """

    def __init__(self, program: Program, columns: Mapping[str, Floats], rows: int) -> None:
        self._program, self._rows = program, rows
        self._output = program.tape.outputs[0]
        self._reads = 0
        self._slots: list[Any] = program.slots.copy()
        for i, name in program.columns:
            self._slots[i] = columns[name]
        for name, i, arguments in program.early:
            known = SAFE[name](*[self._slots[a] for a in arguments])
            self._slots[i] = np.asarray(known)

    def predict(self, theta: Floats) -> Array:
        """f (rows,), or () where no column is in it; `theta` (params,)."""
        if self._is_early():
            slots = self._evaluated(theta, self._program.forwards, FUNCTIONS)
            return np.asarray(slots[self._output])
        for function, arguments in self._placed(theta).forwards:
            function(*arguments)
        prediction: Array = self._slots[self._output]
        return prediction

    def read(self, theta: Floats, *, safe: bool = False) -> Array:
        """f as `predict` has it; its slopes are then in `slopes`."""
        if self._is_early():
            slots = self._evaluated(theta, self._program.late, SAFE if safe else FUNCTIONS)
            for row, node in enumerate(self._program.tape.outputs[1:]):
                self.slopes[row] = slots[node]
            return np.asarray(slots[self._output])
        steps = self._placed(theta)
        for function, arguments in steps.safe if safe else steps.fast:
            function(*arguments)
        prediction: Array = self._slots[self._output]
        return prediction

    def _is_early(self) -> bool:
        """Whether it has not been read so often that room to write over pays."""
        self._reads += 1
        return self._reads <= FEW_READS

    def spread(self, points: Floats) -> Floats:
        """f at many points, (points, params) -> (points, rows), in room of its own."""
        columns = points.T[:, :, None]
        prediction = self._evaluated(columns, self._program.forwards, FUNCTIONS)[self._output]
        return np.array(np.broadcast_to(prediction, (len(points), self._rows)))

    def _evaluated(
        self, theta: Floats, program: Sequence[Operation], functions: Mapping[str, Function]
    ) -> list[Any]:
        """Every value in room of its own: the first times, which may be the only ones."""
        slots = self._slots.copy()
        for i, position in self._program.params:
            slots[i] = theta[position]
        for name, i, arguments in program:
            slots[i] = functions[name](*[slots[a] for a in arguments])
        return slots

    def _placed(self, theta: Floats) -> Steps:
        steps = self._steps
        self._theta[:] = theta
        return steps

    @cached_property
    def _theta(self) -> Floats:
        return np.empty(self._program.width)

    @cached_property
    def slopes(self) -> Floats:
        """∂f/∂θ as last read, (params, rows)."""
        return np.empty((self._program.width, self._rows))

    @cached_property
    def _steps(self) -> Steps:
        """Reads once, and keeps every value's array to write over. A slope that changes with θ lies
        in its row of `slopes`."""
        program, slots, steps = self._program, self._slots, Steps([], [], [])
        self._theta[:] = 1.0
        for i, position in program.params:
            slots[i] = self._theta[position : position + 1].reshape(())
        outputs = program.tape.outputs[1:]
        row_of = {node: row for row, node in reversed(list(enumerate(outputs)))}
        laid = set()
        for name, i, arguments in program.late:
            given = tuple(slots[a] for a in arguments)
            slots[i] = np.asarray(FUNCTIONS[name](*given))
            if i in row_of and slots[i].ndim:
                slots[i] = self.slopes[row_of[i]]
                laid.add(row_of[i])
            steps.fast.append((FUNCTIONS[name], (*given, slots[i])))
            steps.safe.append((SAFE[name], (*given, slots[i])))
            if i in program.needed:
                steps.forwards.append(steps.fast[-1])
        for row, node in enumerate(outputs):
            if row in laid:
                continue
            self.slopes[row] = slots[node]
            if node in program.moving:
                copy = (np.positive, (slots[node], self.slopes[row]))
                steps.fast.append(copy)
                steps.safe.append(copy)
        return steps
