"""The kernel's machine code, all of it: loaded from disk, or compiled.

Every function that the engine calls is called once here, for the types of arguments that it calls
it with: float64 or float32, arrays in C order. What the engine calls through an operator is called
through it here. The data are a line through three points, and where long data take another way,
through as many points as that needs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from service.engine.kernel import (
    cache,
    first_order,
    fitting,
    marquardt,
    operators,
    residuals,
    statistics,
    updates,
)
from service.engine.kernel.marquardt_state import room_of_state
from service.engine.kernel.program import Program
from service.engine.kernel.sharing import PIECE
from service.engine.kernel.singular import least_norm
from service.engine.kernel.types import Floats, Ints
from service.engine.tape import Builder

MSE, DELTA = 0, 1.0
"""The loss by its number, and its width."""
FREE = 2
"""The params of a line."""


class NotOnDisk(Exception):
    """A function would have to be compiled."""


def load() -> bool:
    """Loads the machine code from disk; False where some of it is not there."""

    def stop(name: str) -> None:
        raise NotOnDisk(name)

    try:
        with cache.watched(stop):
            call_all()
    except NotOnDisk:
        return False
    return True


def call_all() -> int:
    """Loads the machine code, and compiles what is not on disk: how many functions that was, each
    counted once for each of its signatures."""
    missed: list[str] = []
    with cache.watched(missed.append):
        for half in HALVES:
            half()
    return len(missed)


def _first() -> None:
    """What reads float64, beginning with what the other half needs last."""
    _read(np.float64)


def _second() -> None:
    """The rest. Where each half is called by a process of its own, at the same time, this one finds
    on disk what both of them need of `marquardt`."""
    _summarise()
    _read(np.float32)
    _drive()


HALVES: tuple[Callable[[], None], ...] = (_first, _second)
"""All calls, in two parts that take about as long to compile."""


def _read(dtype: type[np.floating[Any]]) -> None:
    """All that reads data."""
    program, theta = _line(), torch.zeros((1, FREE), dtype=torch.float64)
    for data in _data(3, dtype), _data(PIECE + 1, dtype):
        columns, width = data[0], torch.zeros(1, dtype=torch.float64)
        like = theta.to(columns.dtype)
        operators.read(program, columns, like)
        operators.losses(program, MSE, DELTA, data[:3], theta)
        operators.linearise(program, MSE, DELTA, data, theta, width)
        operators.gradient(program, MSE, DELTA, data, like)
        operators.constant_losses(MSE, DELTA, data)
        operators.solve(program, data, theta, 1)
        if dtype is np.float64:
            operators.assess(program, MSE, DELTA, data, theta, _limits(), [True] * 4)
        _descend(program, data, like)
        _fit(program, data, theta)


def _line() -> tuple[Tensor, ...]:
    """a·x + b and its slopes."""
    builder = Builder()
    a, b, x = builder.param("a"), builder.param("b"), builder.column("x")
    line = builder.apply("add", builder.apply("multiply", a, x), b)
    tape = builder.tape([line, x, builder.constant(1.0)])
    return Program.of(tape, ("a", "b"), ("x",), range(FREE)).tensors


def _data(rows: int, dtype: type[np.floating[Any]]) -> tuple[Tensor, ...]:
    """By numpy, which starts no threads: a process that has some cannot be forked safely."""
    x = np.linspace(0, 1, rows)
    columns, target = (torch.from_numpy(each.astype(dtype)) for each in (x[None], 2 * x + 1))
    return columns, target, target[:0], torch.tensor([[0], [rows]])


def _limits() -> Tensor:
    infinite = torch.full((FREE,), torch.inf, dtype=torch.float64)
    return torch.stack([-infinite, infinite])


def _history() -> tuple[Tensor, Tensor]:
    """No room, so that nothing is recorded."""
    return torch.empty((1, 0, 2 + 2 * FREE), dtype=torch.float64), torch.zeros(1, dtype=torch.int64)


def _descend(program: tuple[Tensor, ...], data: tuple[Tensor, ...], theta: Tensor) -> None:
    update = updates.Update(updates.SGD, 0.0)
    rules = (
        _limits().to(theta.dtype),
        torch.tensor([float(option) for option in update], dtype=torch.float64),
        torch.zeros(3, dtype=torch.float64),
    )
    sums, each = theta.new_zeros((1, 3, FREE)), theta.new_zeros((1, FREE))
    state = (
        theta.clone(), sums, each, theta.clone(), torch.zeros((1, 3), dtype=torch.float64),
        torch.zeros((1, first_order.UPDATES + 1), dtype=torch.int64),
    )  # fmt: skip
    rates, orders = torch.ones(1, dtype=torch.float64), torch.empty((0, 0), dtype=torch.int64)
    operators.descend(
        program, MSE, DELTA, data, rules, 1, 0, True, state, _history(), 0, rates, orders, 1
    )


def _marquardt_state() -> tuple[Tensor, Tensor]:
    numbers, counts = room_of_state(1, FREE, FREE)
    return torch.zeros(numbers, dtype=torch.float64), torch.zeros(counts, dtype=torch.int64)


def _rules() -> tuple[Tensor, Tensor, Tensor]:
    return _limits(), torch.ones(FREE, dtype=torch.bool), torch.zeros(4, dtype=torch.float64)


def _fit(program: tuple[Tensor, ...], data: tuple[Tensor, ...], theta: Tensor) -> None:
    state = _marquardt_state()
    operators.marquardt_slice(
        program, MSE, DELTA, data, _rules(), 1, theta, state, _history(), 1, 1
    )


def _drive() -> None:
    """Levenberg-Marquardt by readings made elsewhere, as of a network."""
    limits, linear, tolerances = (each.numpy() for each in _rules())
    numbers, counts = (each.numpy() for each in _marquardt_state())
    table, recorded = (each.numpy() for each in _history())
    machine = fitting.Machine(
        limits, np.arange(FREE), linear, tolerances, 1, False, np.zeros((1, FREE)), np.ones(1),
        numbers, counts, table, recorded,
    )  # fmt: skip

    def read(groups: Ints, theta: Floats, width: Floats) -> tuple[Floats, Floats, Floats]:
        return np.ones((1, 3)), np.eye(FREE + 1)[None], np.zeros((1, FREE))

    fitting.drive(read, machine, np.zeros(1, dtype=np.int64), np.array([3.0]), 1, 1)
    marquardt.ends_of(numbers, counts, machine.free, 1, FREE)


def _summarise() -> None:
    """What no operator calls."""
    least_norm(np.eye(FREE + 1)[None], np.array([3.0]))
    _, target, _, spans = (each.numpy() for each in _data(3, np.float64))
    residuals.sizes(target, spans)
    square = np.eye(FREE)
    statistics.probes(square[0], square, square[0], np.arange(FREE), _limits().numpy(), 2.0)


if __name__ == "__main__":
    HALVES[int(sys.argv[1])]()
