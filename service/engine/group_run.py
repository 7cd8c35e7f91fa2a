"""A fit of many groups under way: batches of groups at once where their optimizer can, else one
group after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from service.engine.fitting import start
from service.engine.formula import Formula
from service.engine.group_exact import GroupExact
from service.engine.group_marquardt import GroupMarquardt
from service.engine.group_result import GroupEnds
from service.engine.group_starts import (
    GroupSearch,
    Round,
    first_round,
    lower_of,
    second_round,
    set_out,
)
from service.engine.groups import Batch, GroupedTask
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
    round: Round | None = None
    """Of a checkpoint: what is yet to fit in batches."""


class GroupedRun:
    """A fit of many groups. What it counts as epochs are groups: those that have ended, of all.

    A start that nobody gives is searched for on a few groups; each then sets out from the found one
    that suits it best, and those that end badly have another turn.
    """

    stride = 1

    def __init__(self, task: GroupedTask, checkpoint: GroupedResult | None = None) -> None:
        self.task, self.epochs = task, task.count
        self.loss = self.best_loss = float("nan")
        self._ended = list(checkpoint.batches) if checkpoint else []
        self._singles = dict(checkpoint.singles) if checkpoint else {}
        parts, self._alone = _shared_out(task)
        resumed = checkpoint.round if checkpoint else None
        self._round = resumed or first_round(task, parts)
        self._search: GroupSearch | None = None
        self._batch: BatchRun | None = None
        self._single: Run | None = None
        self._rows: list[Rows] = []
        self.epoch = self._count()
        """Groups that have ended, and have no other turn to come."""

    @property
    def done(self) -> bool:
        return not self._round.left and len(self._singles) == len(self._alone)

    def checkpoint(self) -> GroupedResult:
        """What has ended; a search or a batch that is at work begins anew."""
        return GroupedResult(tuple(self._ended), dict(self._singles), None, self._round)

    def step(self, epochs: int) -> Rows:
        """So many trial steps of a batch, or epochs of a group."""
        if not self._round.left:
            self._step_single(epochs)
        elif self._round.search:
            self._search_on()
        else:
            self._step_together(epochs)
        self.epoch = max(self.epoch, self._count())
        return _none(len(self.task.problem.params))

    def result(self, stop_reason: StopReason | None = None) -> GroupedResult:
        """The fits as they stand."""
        ended, singles = list(self._ended), dict(self._singles)
        if self._batch is not None:
            ended = self._with(self._batch.ends())
        if self._single is not None:
            group = self._alone[len(singles)]
            singles[group] = (self._single.result(stop_reason), _joined(self._rows))
        return GroupedResult(tuple(ended), singles, None if self.done else stop_reason)

    def _count(self) -> int:
        ended = sum(len(ends.at) for ends in self._ended)
        if self._round.again:
            ended -= sum(len(groups) for groups in self._round.left)
        return len(self._singles) + ended

    # --- batches ----------------------------------------------------------------------------------

    def _step_together(self, epochs: int) -> None:
        for _ in range(epochs):
            if self._batch is None:
                self._batch = self._begun(self._round.left[0])
            if not self._batch.done:
                self._batch.step()
            if self._batch.done:
                self._ended = self._with(self._batch.ends())
                self._batch = None
                self._round = replace(self._round, left=self._round.left[1:])
                if not self._round.left:
                    return self._once_more()

    def _begun(self, groups: Tensor) -> BatchRun:
        batch = self.task.batch(groups)
        if self.task.options.search:
            batch = set_out(self.task, batch, self._round)
        return TOGETHER[self.task.options.optimizer](self.task, batch)

    def _with(self, ends: GroupEnds) -> list[GroupEnds]:
        """What has ended, and this."""
        if self._round.again:
            return lower_of(self._ended, ends, self.task.count)
        return [*self._ended, ends]

    def _once_more(self) -> None:
        """Another turn for those groups, of the ones whose start was searched for, that ended
        badly."""
        if self.task.options.search and not self._round.again:
            self._round = second_round(self.task, self._ended, self._round.starts)

    def _search_on(self) -> None:
        """One candidate more; when there are enough, the ends of the search are starts."""
        if self._search is None:
            self._search = GroupSearch(self.task, self._round)
        if self._search.done:
            self._round = replace(self._round, starts=self._search.starts, search=())
            self._search = None
        else:
            self._search.step()

    # --- one group after another ------------------------------------------------------------------

    def _step_single(self, epochs: int) -> None:
        if self.done:
            return
        group = self._alone[len(self._singles)]
        if self._single is None:
            self._single, self._rows = start(self.task.one(group)), []
        rows = self._single.step(epochs)
        if self.task.history:
            self._rows.append(rows)
        if self._single.done:
            self._singles[group] = (self._single.result(), _joined(self._rows))
            self._single = None


def _shared_out(task: GroupedTask) -> tuple[list[Tensor], list[int]]:
    """The groups that are fitted in batches, and those that are fitted alone: long ones, of which
    one is work enough, and all where the optimizer knows no batches."""
    problem, optimizer = task.problem, task.options.optimizer
    if not (
        optimizer in TOGETHER and isinstance(problem.formula, Formula) and problem.loss.is_smooth
    ):
        return [], list(range(task.count))
    batches = task.batches()
    short = [at for at in batches if int(task.sizes[at[0]]) <= task.entries]
    return short, [int(at) for at in batches[len(short) :]]


def _none(params: int) -> Rows:
    empty = torch.empty((0, params), dtype=torch.float64)
    return Rows(empty[:, :0].flatten().long(), empty[:, :0].flatten(), empty, empty)


def _joined(parts: list[Rows]) -> Rows:
    if not parts:
        return _none(0)
    columns = zip(*((p.epoch, p.loss, p.params, p.gradient) for p in parts), strict=True)
    epoch, loss, params, gradient = (torch.cat(list(column)) for column in columns)
    return Rows(epoch, loss, params, gradient)
