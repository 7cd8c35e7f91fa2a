"""Levenberg-Marquardt: the kernel's state machine (`kernel.marquardt`) on the fits of a task.

A formula's whole slice is one call of the kernel; a network is evaluated by torch at each trial
step. Fits that have ended are not evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel import composite, fitting, marquardt, operators
from service.engine.kernel.marquardt_state import COUNTS, PHASE, REASON, RUNNING, room_of_state
from service.engine.kernel.types import Floats, Ints
from service.engine.objectives.objective import Objective
from service.engine.objectives.orthogonal import nearest
from service.engine.problem import Task
from service.engine.result import Ends, Rows, StopReason
from service.engine.solvers.contract import Progress, Recorded, records

REASONS: tuple[StopReason | None, ...] = (
    None, "converged", "stalled", "diverged", "max_epochs",
)  # fmt: skip
"""Stop reasons by the kernel's codes."""
QUICK = 2**18
"""Operations × rows that certainly take little time."""


class State(NamedTuple):
    """The kernel's state: see `kernel.marquardt_state.unpack`."""

    numbers: Tensor
    counts: Tensor


class Marquardt:
    """Levenberg-Marquardt on all fits of a task. An epoch is one trial step, accepted or not."""

    def __init__(self, task: Task) -> None:
        problem, fits = task.problem, task.fits
        self._task, self._fits, self._params = task, fits, len(problem.params)
        self._free = problem.places
        self._data = problem.data(fits.spans)
        self._initial = fits.initial.double()
        self._alone = task.groups is None
        asked, epsilon = task.options.tolerance, torch.finfo(problem.target.dtype).eps
        tolerances = np.array([asked.loss, asked.params, asked.gradient, epsilon])
        self._rules = (problem.limits, problem.linear, torch.from_numpy(tolerances))
        rows = problem.rows if self._alone else int(fits.sizes.sum())
        self.stride = max(1, QUICK // (rows * problem.formula.operations))
        is_formula = isinstance(problem.formula, Formula)
        self._objective = None if is_formula else Objective(problem)

    def init(self) -> State:
        numbers, counts = room_of_state(len(self._fits), self._params, len(self._free))
        return State(
            torch.from_numpy(np.zeros(numbers)),
            torch.from_numpy(np.zeros(counts, dtype=np.int64)),
        )

    def step(self, state: State, epochs: int) -> tuple[State, Mapping[int, Rows]]:
        options, fits = self._task.options, self._fits
        rows = records(min(epochs, options.epochs), options.record_every) if fits.history else 0
        recorded = Recorded.room(len(fits), rows, self._params)
        problem = self._task.problem
        if problem.sigma_x:
            self._drive(self._read_distances, state, recorded, epochs)
        elif self._objective is None:
            operators.marquardt_slice(
                problem.program, problem.loss_number, problem.loss.delta, self._data, self._rules,
                options.epochs, self._initial, state, recorded, epochs, options.record_every,
            )  # fmt: skip
        else:
            self._drive(self._read_network, state, recorded, epochs)
        return state, recorded.rows() if fits.history else {}

    def progress(self, state: State) -> Progress:
        table, counts, _ = self._standing(state)
        ended = np.count_nonzero(counts[:, 1] != RUNNING)
        return Progress(int(counts[0, 0]), float(table[0, 3]), float(table[0, 2]), int(ended))

    def done(self, state: State) -> bool:
        counts = state.counts.numpy()
        if self._alone:
            return bool(counts[REASON - COUNTS] != RUNNING)
        return bool((counts[-COUNTS * len(self._fits) :][REASON::COUNTS] != RUNNING).all())

    def ends(self, state: State) -> Ends:
        if not int(state.counts[-COUNTS + PHASE]):
            state, _ = self.step(state, 0)
        problem, p = self._task.problem, self._params
        table, counts, factor = self._standing(state)
        exact = problem.loss.has_likelihood and problem.target.dtype == torch.float64
        tensor = torch.from_numpy
        return Ends(
            theta=tensor(table[:, 4 : 4 + p]),
            loss=tensor(table[:, 0]),
            epochs=tensor(counts[:, 0]),
            reasons=tuple([REASONS[code] for code in counts[:, 1].tolist()]),
            best=tensor(table[:, 4 + p : 4 + 2 * p]),
            best_loss=tensor(table[:, 2]),
            best_epoch=tensor(counts[:, 2]),
            first_loss=tensor(table[:, 1]),
            first_gradient=tensor(table[:, 4 + 2 * p :]),
            initial=self._initial,
            factor=tensor(factor) if exact else None,
        )

    def _standing(self, state: State) -> tuple[Floats, Ints, Floats]:
        """See `kernel.marquardt.ends_of`."""
        numbers, counts = state.numbers.numpy(), state.counts.numpy()
        found: tuple[Floats, Ints, Floats] = marquardt.ends_of(
            numbers, counts, self._free, len(self._fits), self._params
        )
        return found

    def _drive(self, read: fitting.Readings, state: State, recorded: Recorded, epochs: int) -> None:
        """A slice of the fits that are not read by the kernel's own loop."""
        problem, options = self._task.problem, self._task.options
        limits, linear, tolerances = (each.numpy() for each in self._rules)
        constant = operators.constant_losses(problem.loss_number, problem.loss.delta, self._data)
        machine = fitting.Machine(
            limits, self._free, linear, tolerances, options.epochs, not problem.loss.is_smooth,
            self._initial.numpy(), constant.numpy(), state.numbers.numpy(), state.counts.numpy(),
            recorded.table.numpy(), recorded.counts.numpy(),
        )  # fmt: skip
        every, sizes = np.arange(len(self._fits)), self._fits.sizes.double().numpy()
        fitting.drive(read, machine, every, sizes, epochs, options.record_every)

    def _read_network(
        self, groups: Ints, theta: Floats, width: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """The single fit of a network, evaluated by torch."""
        problem, objective = self._task.problem, self._objective
        assert objective is not None
        z, jacobian = objective.jacobian(torch.from_numpy(theta[0]).to(problem.target))
        matrix = torch.cat([jacobian[:, self._free], z.unsqueeze(-1)], dim=-1).unsqueeze(0)
        widths = torch.from_numpy(width).to(matrix.device)
        means = (z + problem.target, problem.target)  # only a likelihood looks at them
        found = composite.reduced(matrix, None, None, problem.loss, widths, means)
        sums, r, slopes = (each.numpy() for each in found)
        return sums, r, slopes

    def _read_distances(
        self, groups: Ints, theta: Floats, width: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Groups with errors in their inputs, by the distances of their rows to the curve."""
        problem, points = self._task.problem, torch.from_numpy(theta)
        data = nearest(problem, self._fits.spans[:, torch.from_numpy(groups)], points)[1]
        found = operators.linearise(
            problem.program, problem.loss_number, problem.loss.delta, data, points,
            torch.from_numpy(width),
        )  # fmt: skip
        sums, r, slopes = (each.numpy() for each in found)
        return sums, r, slopes
