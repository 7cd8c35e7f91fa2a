"""A run that first searches for its start, a candidate at a time, and then goes on from there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from service.engine.multistart import POLISHED_ROWS, Search, polish, screen, thinned
from service.engine.problem import Task
from service.engine.result import Result, Rows, StopReason
from service.engine.run import Run


@dataclass(frozen=True, slots=True)
class Found:
    """The start that a search found, how many of how many ways agreed on it, and the run since."""

    start: Tensor
    searched: tuple[int, int]
    inner: Any = None


class Searching(Run):
    """A search, then the run of the task from what it found. The search counts no epochs."""

    def __init__(self, task: Task, begin: Callable[[Task, Any], Run], checkpoint: Any) -> None:
        super().__init__(task)
        self._begin_run = begin
        self._search: Search | None = checkpoint if isinstance(checkpoint, Search) else None
        self._found: Found | None = checkpoint if isinstance(checkpoint, Found) else None
        self._run: Run | None = None
        if self._found is not None:
            self._run = self._from(self._found)

    @property
    def epoch(self) -> int:
        return 0 if self._run is None else self._run.epoch

    @property
    def loss(self) -> float:
        return math.nan if self._run is None else self._run.loss

    @property
    def best_loss(self) -> float:
        if self._run is not None:
            return self._run.best_loss
        return self._search.best[1] if self._search and self._search.ends else math.inf

    @property
    def done(self) -> bool:
        return self._run is not None and self._run.done

    def checkpoint(self) -> Any:
        if self._run is not None and self._found is not None:
            return replace(self._found, inner=self._run.checkpoint())
        return self._search

    def step(self, epochs: int) -> Rows:
        """So many steps: each a candidate, until there is a start, and an epoch from there on."""
        while self._run is None and epochs > 0:
            self._search_on()
            epochs -= 1
        return self._rows() if self._run is None else self._run.step(epochs)

    def _search_on(self) -> None:
        problem, options = self.task.problem, self.task.options
        if self._search is None:
            self._search = screen(problem, options.search, options.seed)
        elif not self._search.done:
            self._search = polish(thinned(problem, POLISHED_ROWS), self._search)
        else:
            self._settle()

    def result(self, stop_reason: StopReason | None = None) -> Result:
        """The fit as it stands; a search that is stopped answers with its best candidate."""
        self._settle()
        assert self._run is not None
        return self._run.result(stop_reason)

    def loss_at(self, theta: Tensor) -> float:
        self._settle()
        assert self._run is not None
        return self._run.loss_at(theta)

    def _epoch(self) -> None:
        self.step(1)

    def _settle(self) -> None:
        """Ends the search, and begins the run from the best that it found."""
        if self._run is not None:
            return
        start, searched = self.task.problem.initial, (0, 0)
        if self._search is not None and self._search.ends:
            start = self._search.best[0]
            searched = (self._search.agreeing, len(self._search.ends))
        elif self._search is not None and self._search.waiting:
            start = self._search.waiting[0]
        self._found = Found(torch.clone(start), searched)
        self._run = self._from(self._found)

    def _from(self, found: Found) -> Run:
        problem = replace(self.task.problem, initial=found.start)
        run = self._begin_run(replace(self.task, problem=problem), found.inner)
        run.searched = found.searched
        return run
