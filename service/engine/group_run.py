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
from service.engine.group_objective import GroupObjective
from service.engine.group_result import GroupEnds
from service.engine.groups import Batch, GroupedTask
from service.engine.multistart import POLISHED_ROWS, Search, polish, screen, thinned
from service.engine.result import Result, Rows, StopReason
from service.engine.run import Run

STARTS = 4
"""The ends of a search that groups may start from."""


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
    starts: Tensor | None = None
    """What a search found to start from, (starts, params)."""


class GroupedRun:
    """A fit of many groups. What it counts as epochs are groups: those that have ended, of all.

    A start that nobody gives is searched for on the longest group, and each group then sets out
    from the found one that suits it best.
    """

    stride = 1

    def __init__(self, task: GroupedTask, checkpoint: GroupedResult | None = None) -> None:
        self.task, self.epochs = task, task.count
        self.loss = self.best_loss = float("nan")
        self._ended = list(checkpoint.batches) if checkpoint else []
        self._singles = dict(checkpoint.singles) if checkpoint else {}
        self._starts = checkpoint.starts if checkpoint else None
        self._search: Search | None = None
        self._parts, self._alone = _shared_out(task)
        self._batch: BatchRun | None = None
        self._single: Run | None = None
        self._rows: list[Rows] = []

    @property
    def epoch(self) -> int:
        """Groups that have ended."""
        return len(self._singles) + sum(len(ends.at) for ends in self._ended)

    @property
    def done(self) -> bool:
        return self.epoch == self.epochs

    def checkpoint(self) -> GroupedResult:
        """What has ended; a batch that is at work begins anew."""
        return GroupedResult(tuple(self._ended), dict(self._singles), None, self._starts)

    def step(self, epochs: int) -> Rows:
        """So many trial steps of a batch, or epochs of a group."""
        if len(self._ended) == len(self._parts):
            self._step_single(epochs)
        elif self._needs_start:
            self._search_on()
        else:
            self._step_together(epochs)
        return _none(len(self.task.problem.params))

    def result(self, stop_reason: StopReason | None = None) -> GroupedResult:
        """The fits as they stand."""
        ended, singles = list(self._ended), dict(self._singles)
        if self._batch is not None:
            ended.append(self._batch.ends())
        if self._single is not None:
            group = self._alone[len(singles)]
            singles[group] = (self._single.result(stop_reason), _joined(self._rows))
        return GroupedResult(
            tuple(ended), singles, None if self.done else stop_reason, self._starts
        )

    # --- batches ----------------------------------------------------------------------------------

    def _step_together(self, epochs: int) -> None:
        for _ in range(epochs):
            if self._batch is None:
                self._batch = self._begun(self._parts[len(self._ended)])
            if not self._batch.done:
                self._batch.step()
            if self._batch.done:
                self._ended.append(self._batch.ends())
                self._batch = None
                if len(self._ended) == len(self._parts):
                    return

    def _begun(self, groups: Tensor) -> BatchRun:
        batch = self.task.batch(groups)
        if self._starts is not None:
            batch = replace(batch, initial=self._best_start(batch, self._starts))
        return TOGETHER[self.task.options.optimizer](self.task, batch)

    def _best_start(self, batch: Batch, starts: Tensor) -> Tensor:
        """Of the starts that were found, for each group the one of the lowest loss."""
        objective = GroupObjective.of(self.task.problem, batch)
        free = list(objective.free)
        losses = torch.stack(
            [objective.linearise(start[free].expand(len(batch), -1))[0] for start in starts]
        )
        return starts[losses.nan_to_num(nan=torch.inf).argmin(dim=0)]

    @property
    def _needs_start(self) -> bool:
        return bool(self.task.options.search) and self._starts is None

    def _search_on(self) -> None:
        """One candidate more; when there are enough, the ends of the search are the starts."""
        options = self.task.options
        problem = self.task.one(int(self.task.sizes.argmax())).problem
        if self._search is None:
            self._search = screen(problem, options.search, options.seed)
        elif not self._search.done:
            self._search = polish(thinned(problem, POLISHED_ROWS), self._search)
        else:
            ends = sorted(self._search.ends, key=lambda end: end[1])[:STARTS]
            found = [theta for theta, _ in ends] or [problem.initial]
            self._starts = torch.stack(found)

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
