"""Linear least squares in one step: see `kernel.linear`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel import linear, operators
from service.engine.kernel.types import Floats
from service.engine.objectives.bound import stacked
from service.engine.problem import Task
from service.engine.result import Ends, Rows, StopReason
from service.engine.solvers.contract import Progress

STEPS = 2
"""The step and one iterative refinement."""
FAR = 2.0**10
"""How many times as large as a solution a start may be. From farther away the residuals at the
start round off what the solution is made of, and the refinement does not bring it all back."""


class State(NamedTuple):
    """The state of the fits: at the start, or solved."""

    table: Floats
    """See `kernel.linear.Parts`."""
    factor: Tensor
    """R of [J z] at the params, (fits, q + 1, q + 1)."""
    solved: bool


class Exact:
    """Linear least squares of each fit in one step."""

    stride = 1

    def __init__(self, task: Task) -> None:
        self._task, self._fits = task, task.fits
        self._initial = task.fits.initial.double()

    def init(self) -> State | None:
        """None: nothing is computed before the step."""
        return None

    def step(self, state: State | None, epochs: int) -> tuple[State | None, Mapping[int, Rows]]:
        if state is not None or epochs < 1:
            return state, {}
        state = self._solved(STEPS)
        if not self._fits.history:
            return state, {}
        found = linear.parts(state.table)
        table = np.empty((len(found.loss), 2 + 2 * found.theta.shape[1]))
        table[:, 0], table[:, 1] = 1.0, found.first_loss
        table[:, 2:] = np.concatenate([found.theta, found.gradient], axis=1)
        return state, {i: Rows(torch.from_numpy(row)) for i, row in enumerate(table[:, None])}

    def progress(self, state: State | None) -> Progress:
        if state is None:
            state = self._solved(0)
        done = int(state.solved)
        first, loss = state.table[0, linear.FIRST_LOSS], state.table[0, linear.LOSS]
        return Progress(done, float(first), float(loss), done * len(self._fits))

    def done(self, state: State | None) -> bool:
        return state is not None

    def ends(self, state: State | None) -> Ends:
        if state is None:
            state = self._solved(0)
        table, solved = state.table, state.solved
        finite = np.isfinite(table[:, linear.FIRST_LOSS]).tolist()
        reasons: list[StopReason | None] = [None] * len(finite)
        if solved:
            reasons = ["converged" if fine else "diverged" for fine in finite]
        first_loss, loss, gradient, theta = map(torch.from_numpy, linear.parts(table))
        double = self._task.problem.target.dtype == torch.float64
        return Ends(
            theta=theta,
            loss=loss,
            epochs=torch.full((len(finite),), int(solved)),
            reasons=tuple(reasons),
            best=self._initial,
            best_loss=first_loss,
            best_epoch=torch.ones(len(finite), dtype=torch.int64),
            first_loss=first_loss,
            first_gradient=gradient,
            initial=self._initial,
            factor=state.factor if double else None,
        )

    def _solved(self, steps: int) -> State:
        problem, fits = self._task.problem, self._fits
        data = problem.data(fits.spans)
        table, factor = operators.solve(problem.program, data, self._initial, steps)
        state = State(table.numpy(), factor, steps > 0)
        if state.solved:
            self._solve_again(state)
        return state

    def _solve_again(self, state: State) -> None:
        """Solves those fits again whose start is too far away, from 0 in the params that are."""
        found, start = linear.parts(state.table), self._initial
        while True:
            far = np.abs(start.numpy()) / FAR > np.abs(found.theta)
            if not far.any():
                return
            start = start.masked_fill(torch.from_numpy(far), 0.0)
            fits = np.flatnonzero(far.any(axis=1))
            chosen = torch.from_numpy(fits)
            problem, spans = self._task.problem, self._fits.spans[:, chosen]
            table, state.factor[chosen] = operators.solve(
                problem.program, problem.data(spans), start[chosen], STEPS
            )
            again = linear.parts(table.numpy())
            found.loss[fits], found.theta[fits] = again.loss, again.theta


def least_squares(
    formula: Formula, columns: Mapping[str, Tensor], target: Tensor
) -> list[float] | None:
    """The least-squares params, if the formula is linear in all of them; else None."""
    if not formula.is_linear_in(formula.params):
        return None
    rows = len(target)
    data = (
        stacked(formula.inputs, columns, rows, target), target, target[:0],
        torch.tensor([[0], [rows]]),
    )  # fmt: skip
    start = torch.zeros((1, len(formula.params)), dtype=torch.float64)
    table, _ = operators.solve(formula.full.tensors, data, start, 1)
    found: list[float] = linear.parts(table.numpy()).theta[0].tolist()
    return found
