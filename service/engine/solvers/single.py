"""The base class of algorithms for a single fit. Groups are fitted one after another
(`Sequential`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from service.engine.problem import Task
from service.engine.result import Best, Ends, Rows, StopReason
from service.engine.solvers.contract import Progress


@dataclass(frozen=True, slots=True)
class At:
    """The state of a fit between two epochs."""

    epoch: int
    theta: Tensor
    state: Any
    """State of the algorithm."""
    loss: float
    """Loss of the last epoch, before its update."""
    first_loss: float
    first_gradient: Tensor
    best: Best
    reason: StopReason | None = None


class SingleFit(ABC):
    """An algorithm applied to one fit."""

    stride = 1

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def init(self) -> At: ...

    @abstractmethod
    def slice(self, at: At, epochs: int) -> tuple[At, Rows]:
        """The state after at most `epochs` epochs, and the recorded rows."""

    @abstractmethod
    def loss_at(self, theta: Tensor) -> float:
        """The loss at θ."""

    def step(self, state: At, epochs: int) -> tuple[At, Mapping[int, Rows]]:
        if state.reason is not None:
            return state, {}
        left = self.task.options.epochs - state.epoch
        state, rows = self.slice(state, min(epochs, left))
        return state, {0: rows}

    def progress(self, state: At) -> Progress:
        return Progress(state.epoch, state.loss, state.best.loss, int(state.reason is not None))

    def done(self, state: At) -> bool:
        return state.reason is not None

    def ends(self, state: At) -> Ends:
        def alone(value: float | int) -> Tensor:
            kind = torch.int64 if isinstance(value, int) else torch.float64
            return torch.tensor([value], dtype=kind)

        def row(vector: Tensor) -> Tensor:
            return vector.double().cpu().unsqueeze(0)

        return Ends(
            theta=row(state.theta),
            loss=alone(self.loss_at(state.theta)),
            epochs=alone(state.epoch),
            reasons=(state.reason,),
            best=row(state.best.params),
            best_loss=alone(state.best.loss),
            best_epoch=alone(state.best.epoch),
            first_loss=alone(state.first_loss),
            first_gradient=row(state.first_gradient),
            initial=row(self.task.problem.initial),
        )


class Recorder:
    """Records the rows of a slice: the first epoch, the last, and the multiples of `every`."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._rows: list[tuple[int, float, Tensor, Tensor]] = []

    def add(self, epoch: int, loss: float, theta: Tensor, gradient: Tensor, *, last: bool) -> None:
        """Adds an epoch: loss and gradient before its update, params after it."""
        if epoch == 1 or last or epoch % self._every == 0:
            self._rows.append((epoch, loss, theta, gradient))

    def rows(self, params: int) -> Rows:
        """The recorded rows."""
        if not self._rows:
            return Rows.none(params)
        epochs, losses, thetas, gradients = zip(*self._rows, strict=True)
        return Rows.of(
            torch.tensor(epochs, dtype=torch.int64),
            torch.tensor(losses, dtype=torch.float64),
            torch.stack(thetas).double().cpu(),
            torch.stack(gradients).double().cpu(),
        )


@dataclass(slots=True)
class SequentialState:
    """The ends of the groups that are done, and the state of the current one."""

    ended: list[Ends] = field(default_factory=list)
    """In order; each of as many groups as a power of two, so that they are few."""
    at: At | None = None

    @property
    def count(self) -> int:
        """The number of groups that are done."""
        return sum(map(len, self.ended))

    def add(self, ends: Ends) -> None:
        """The current group is done."""
        self.at = None
        while self.ended and len(self.ended[-1]) == len(ends):
            before = self.ended.pop()
            ends = Ends.joined([before, ends], torch.cat([before.initial, ends.initial]))
        self.ended.append(ends)


class Sequential:
    """The fits of groups, one after another, by an algorithm for a single fit."""

    stride = 1

    def __init__(self, task: Task, single: Callable[[Task], SingleFit]) -> None:
        self._task, self._make = task, single
        self._solver: SingleFit | None = None
        self._number = -1

    def init(self) -> SequentialState:
        return SequentialState()

    def step(
        self, state: SequentialState, epochs: int
    ) -> tuple[SequentialState, Mapping[int, Rows]]:
        group = state.count
        solver = self._solver_of(group)
        state.at, recorded = solver.step(state.at or solver.init(), epochs)
        if solver.done(state.at):
            state.add(solver.ends(state.at))
        return state, {group: recorded[0]} if self._task.fits.history else {}

    def progress(self, state: SequentialState) -> Progress:
        return Progress(0, float("nan"), float("nan"), state.count)

    def done(self, state: SequentialState) -> bool:
        return state.count == len(self._task.fits)

    def ends(self, state: SequentialState) -> Ends:
        ended = list(state.ended)
        if state.at is not None:
            ended.append(self._solver_of(state.count).ends(state.at))
        return Ends.joined(ended, self._task.fits.initial)

    def _solver_of(self, group: int) -> SingleFit:
        if self._solver is None or self._number != group:
            self._solver, self._number = self._make(self._task.one(group)), group
        return self._solver
