"""A fit of many groups under way: batches of groups at once where their optimizer can, else one
group after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from service.engine.fitting import start
from service.engine.formula import Formula
from service.engine.group_exact import GroupExact
from service.engine.group_marquardt import GroupMarquardt
from service.engine.group_result import GroupEnds
from service.engine.groups import Batch, GroupedTask
from service.engine.problem import Task
from service.engine.result import Result, Rows, StopReason
from service.engine.run import Run


class BatchRun(Protocol):
    """A batch of groups under way."""

    @property
    def done(self) -> bool: ...
    def step(self) -> None: ...
    def ends(self) -> GroupEnds: ...


TOGETHER: Mapping[str, Callable[[GroupedTask, Batch], BatchRun]] = {
    "exact": GroupExact,
    "levenberg_marquardt": GroupMarquardt,
}
"""The optimizers that fit a batch of groups at once."""


@dataclass(frozen=True, eq=False)
class GroupedResult:
    """How the groups ended: batches of them, or single fits by group; what is in neither was not
    begun."""

    batches: tuple[GroupEnds, ...]
    singles: Mapping[int, tuple[Result, Rows]]
    stop_reason: StopReason | None
    """Of whoever stopped it before its end."""


class GroupedRun:
    """A fit of many groups. What it counts as epochs are groups: those that have ended, of all."""

    def __init__(self, task: GroupedTask, checkpoint: GroupedResult | None = None) -> None:
        self.task = task
        self.epochs = task.count
        self.loss = self.best_loss = float("nan")
        self._finished = list(checkpoint.batches) if checkpoint else []
        self._singles = dict(checkpoint.singles) if checkpoint else {}
        self._together = is_together(task)
        if self._together:
            self._groups = task.batches()[len(self._finished) :]
        else:
            self._groups = [torch.tensor([i]) for i in range(len(self._singles), task.count)]
        self._batch: BatchRun | None = None
        self._single: Run | None = None
        self._rows: list[Rows] = []

    @property
    def epoch(self) -> int:
        """Groups that have ended."""
        return len(self._singles) + sum(len(ends.at) for ends in self._finished)

    @property
    def done(self) -> bool:
        return self.epoch == self.epochs

    def checkpoint(self) -> GroupedResult:
        """What has ended; a batch that is at work begins anew."""
        return GroupedResult(tuple(self._finished), dict(self._singles), None)

    def step(self, epochs: int) -> Rows:
        """So many trial steps of a batch, or epochs of a group."""
        for _ in range(epochs):
            if self.done:
                break
            if self._together:
                self._step_together()
            else:
                self._step_single()
        return _none(len(self.task.problem.params))

    def result(self, stop_reason: StopReason | None = None) -> GroupedResult:
        """The fits as they stand."""
        batches, singles = list(self._finished), dict(self._singles)
        if self._batch is not None:
            batches.append(self._batch.ends())
        if self._single is not None:
            singles[len(singles)] = (self._single.result(stop_reason), _joined(self._rows))
        return GroupedResult(tuple(batches), singles, None if self.done else stop_reason)

    def _step_together(self) -> None:
        if self._batch is None:
            make = TOGETHER[self.task.options.optimizer]
            self._batch = make(self.task, self.task.batch(self._groups[0]))
        if not self._batch.done:
            self._batch.step()
        if self._batch.done:
            self._finished.append(self._batch.ends())
            self._groups.pop(0)
            self._batch = None

    def _step_single(self) -> None:
        if self._single is None:
            self._single, self._rows = start(self._alone(int(self._groups[0]))), []
        rows = self._single.step(1)
        if self.task.history:
            self._rows.append(rows)
        if self._single.done:
            self._singles[len(self._singles)] = (self._single.result(), _joined(self._rows))
            self._groups.pop(0)
            self._single = None

    def _alone(self, group: int) -> Task:
        return self.task.one(group)


def is_together(task: GroupedTask) -> bool:
    """Whether the groups are fitted in batches."""
    problem, options = task.problem, task.options
    return (
        options.optimizer in TOGETHER
        and isinstance(problem.formula, Formula)
        and problem.loss.is_smooth
        and not options.search
    )


def _none(params: int) -> Rows:
    empty = torch.empty((0, params), dtype=torch.float64)
    return Rows(
        torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.float64), empty, empty
    )


def _joined(parts: list[Rows]) -> Rows:
    if not parts:
        return _none(0)
    columns = zip(*((p.epoch, p.loss, p.params, p.gradient) for p in parts), strict=True)
    epoch, loss, params, gradient = (torch.cat(list(column)) for column in columns)
    return Rows(epoch, loss, params, gradient)
