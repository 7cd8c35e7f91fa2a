"""The run of a task with constraints on the order of params: see `engine.differences`."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from service.engine.differences import by_differences
from service.engine.iterate import Checkpoint, Run
from service.engine.problem import Task
from service.engine.result import Best, Ends, GroupedResult, Result, Rows, StopReason
from service.engine.wrapped_run import WrappedRun


class OrderedRun(WrappedRun):
    """The run of a task with constraints on the order of its params."""

    def __init__(self, task: Task, checkpoint: Checkpoint | None = None) -> None:
        order = task.problem.order
        assert order is not None
        self.task, self._order = task, order
        self._run: Run = Run(by_differences(task, order), checkpoint)

    @property
    def epoch(self) -> int:
        return self._run.epoch

    @property
    def epochs(self) -> int:
        return self._run.epochs

    @property
    def done(self) -> bool:
        return self._run.done

    def checkpoint(self) -> Checkpoint:
        """A copy of the state, from which a later run continues."""
        return self._run.checkpoint()

    def step(self, epochs: int) -> Rows:
        """At most `epochs` steps."""
        return self._rows(self._run.step(epochs))

    def result(self, stop_reason: StopReason | None = None) -> Result | GroupedResult:
        """The current result, in the params of the request."""
        found = self._run.result(stop_reason)
        if isinstance(found, Result):
            lower = found.lower
            return replace(
                found,
                params=self._theta(found.params),
                best=Best(found.best.epoch, found.best.loss, self._theta(found.best.params)),
                first_gradient=self._gradient(found.first_gradient),
                initial=self._theta(found.initial),
                factor=None,
                lower=None if lower is None else (self._theta(lower[0]), lower[1]),
                statistics=None,
            )
        history = found.history
        if history is not None:
            history = [self._rows(rows) for rows in history]
        return replace(found, ends=self._ends(found.ends), history=history)

    def _ends(self, ends: Ends) -> Ends:
        return replace(
            ends,
            theta=self._theta(ends.theta),
            best=self._theta(ends.best),
            first_gradient=self._gradient(ends.first_gradient),
            initial=self._theta(ends.initial),
            factor=None,
        )

    def _theta(self, phi: Tensor) -> Tensor:
        return (phi.double() @ torch.from_numpy(self._order.matrix.T).to(phi.device)).to(phi.dtype)

    def _gradient(self, of_phi: Tensor) -> Tensor:
        inverse = torch.from_numpy(self._order.inverse).to(of_phi.device)
        return (of_phi.double() @ inverse).to(of_phi.dtype)

    def _rows(self, rows: Rows) -> Rows:
        if not len(rows.table):
            return rows
        return Rows.of(
            rows.epoch, rows.loss, self._theta(rows.params), self._gradient(rows.gradient)
        )
