"""Linear least squares in one step.

With prediction f₀ + Jθ the answer minimises ‖(f₀ + Jθ − y)/σ‖. R of QR [J z] holds all that is
needed; its columns are scaled to unit norm before the singular values say what the rank is, and
where it is short the answer is the one of least norm in those units (Golub and Van Loan, Matrix
Computations, 4th ed., 5.3-5.5). The residuals are then read anew and the step refined once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel import operators
from service.engine.kernel.singular import least_norm
from service.engine.objectives.bound import stacked
from service.engine.problem import Task
from service.engine.result import Ends, Rows, StopReason
from service.engine.solvers.contract import Progress

REFINEMENTS = 2


class State(NamedTuple):
    """Where the fits stand: at the start, or at the answer."""

    theta: Tensor
    """(fits, params)"""
    loss: Tensor
    factor: Tensor
    """R of [J z] at `theta`, (fits, q + 1, q + 1)."""
    first_loss: Tensor
    gradient: Tensor
    """∂loss/∂θ at the start, (fits, params)."""
    solved: bool


class Exact:
    """The one step of each fit."""

    stride = 1

    def __init__(self, task: Task) -> None:
        problem, fits = task.problem, task.fits
        self._task, self._fits = task, fits
        self._data = problem.data(fits.spans)
        self._free = [i for i, free in enumerate(problem.free) if free]
        self._rows = fits.sizes.double()

    def init(self) -> State:
        theta = self._fits.initial.double()
        loss, factor = self._read(theta)
        gradient = torch.zeros_like(theta)
        slope = (factor[:, :-1, :-1].mT @ factor[:, :-1, -1:]).squeeze(-1)
        gradient[:, self._free] = 2 * slope / self._rows.unsqueeze(-1)
        return State(theta, loss, factor, loss, gradient, False)

    def step(self, state: State, epochs: int) -> tuple[State, Sequence[Rows]]:
        if state.solved or epochs < 1:
            return state, ()
        theta, loss, factor = state.theta.clone(), state.loss, state.factor
        if self._free:
            for _ in range(REFINEMENTS):
                steps = least_norm(factor.numpy(), self._rows.numpy())
                theta[:, self._free] += torch.from_numpy(steps)
                theta = self._rounded(theta)
                loss, factor = self._read(theta)
        state = state._replace(theta=theta, loss=loss, factor=factor, solved=True)
        if not self._fits.history:
            return state, ()
        ones = torch.ones_like(loss).unsqueeze(-1)
        table = torch.cat([ones, state.first_loss.unsqueeze(-1), theta, state.gradient], dim=-1)
        return state, [Rows(row.unsqueeze(0)) for row in table]

    def progress(self, state: State) -> Progress:
        first = float(state.first_loss[0])
        done = int(state.solved)
        return Progress(done, first, float(state.loss[0]), done * len(self._fits))

    def done(self, state: State) -> bool:
        return state.solved

    def ends(self, state: State) -> Ends:
        finite = torch.isfinite(state.first_loss).tolist()
        reasons: list[StopReason | None] = [None] * len(finite)
        if state.solved:
            reasons = ["converged" if fine else "diverged" for fine in finite]
        done = torch.full((len(finite),), int(state.solved))
        initial = self._fits.initial.double()
        double = self._task.problem.target.dtype == torch.float64
        return Ends(
            theta=state.theta,
            loss=state.loss,
            epochs=done,
            reasons=tuple(reasons),
            best=initial,
            best_loss=state.first_loss,
            best_epoch=torch.ones_like(done),
            first_loss=state.first_loss,
            first_gradient=state.gradient,
            initial=initial,
            factor=state.factor if double else None,
        )

    def _read(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        problem, width = self._task.problem, torch.zeros(len(theta), dtype=torch.float64)
        sums, factor, _ = operators.linearise(
            problem.program, problem.loss_number, problem.loss.delta, self._data, theta, width
        )
        return sums[:, 0] / self._rows, factor

    def _rounded(self, theta: Tensor) -> Tensor:
        return theta.to(self._task.problem.target.dtype).double()


def least_squares(
    formula: Formula, columns: Mapping[str, Tensor], target: Tensor
) -> list[float] | None:
    """The params of least mean square, where the formula is linear in all of them; else None."""
    if not formula.is_linear_in(formula.params):
        return None
    rows = len(target)
    data = (
        stacked(formula.inputs, columns, rows, target), target, target[:0],
        torch.tensor([[0], [rows]]),
    )  # fmt: skip
    start = torch.zeros((1, len(formula.params)), dtype=torch.float64)
    _, factor, _ = operators.linearise(formula.full.tensors, 0, 1.0, data, start, start[:, 0])
    found: list[float] = least_norm(factor.numpy(), np.array([float(rows)]))[0].tolist()
    return found
