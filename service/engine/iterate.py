"""A running fit, or the fits of many groups, which the caller steps in slices.

`step(k)` does k epochs and returns the rows recorded in them; `result()` is valid at any time. The
answer does not depend on the slices, bit for bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from service.catalogue.options import NoOptions
from service.engine.fit_options import Options, Tolerance
from service.engine.inference.statistics import Statistics, summarise
from service.engine.problem import Task
from service.engine.result import Ends, GroupedResult, Result, Rows, StopReason, joined
from service.engine.solvers.contract import Progress, Solver
from service.engine.solvers.marquardt import Marquardt
from service.engine.solvers.table import solver_of
from service.engine.start.canonical import canonical
from service.engine.start.feasible import with_feasible_starts
from service.engine.start.groups import (
    Starts,
    advance,
    first_starts,
    lower_of,
    second_starts,
    stopped,
    with_best_starts,
)
from service.engine.start.search import (
    LOWER,
    Search,
    challenge,
    leaves_noise_alone,
    lower,
    may_leave_noise,
    polish,
    rounding,
)
from service.engine.stopping import has_diverged

FOLLOWED = Options(
    "levenberg_marquardt", NoOptions(), epochs=1000, record_every=1000,
    tolerance=Tolerance(params=1e-10),
)  # fmt: skip
"""Options of the fit to the minimum that a challenge leads to."""
History = list[list[Rows]]
"""The recorded rows of each fit, a part for each step."""


@dataclass(eq=False)
class Checkpoint:
    """The state of a run, from which a later run of the same task continues, bit for bit."""

    starts: Starts
    """The search for starts; the solver begins when it is done."""
    state: Any = None
    """State of the solver."""
    groups: Tensor | None = None
    """In a second round, the groups that are fitted again."""
    before: Ends | None = None
    """The ends of all groups in the first round."""
    history_before: History = field(default_factory=list)
    """The history of all groups in the first round."""
    history: History = field(default_factory=list)
    challenge: Search | None = None
    """Once a fit has ended, the search for a lower minimum."""
    lower: Any = None
    """State of the solver on the way to a lower minimum."""


class Run:
    """The running fits of a task.

    Progress is counted in epochs for a single fit, and in finished groups for groups. If no start
    is given, one is searched for first, which does not count as epochs; groups that then end badly
    are fitted again from other starts.
    """

    def __init__(self, task: Task, checkpoint: Checkpoint | None = None) -> None:
        self.task = task
        self.epochs = task.options.epochs if task.groups is None else len(task.groups)
        self._at = checkpoint or Checkpoint(first_starts(task))
        self._solver: Solver | None = None
        self._ended = 0
        self._cached_progress: Progress | None = None
        self._final_ends: Ends | None = None
        self._statistics: Statistics | None = None
        if self._at.starts.done:
            self._begin()

    @property
    def stride(self) -> int:
        """Number of epochs that certainly takes little time, for the first step."""
        return 1 if self._solver is None else self._solver.stride

    @property
    def epoch(self) -> int:
        """Epochs done, or groups that have ended; it never decreases, although some groups are
        fitted again."""
        if self.task.groups is None:
            return self._progress.epoch
        waiting = 0 if self._at.groups is None else len(self.task.groups) - len(self._at.groups)
        return max(self._ended, waiting + self._progress.ended)

    @property
    def left(self) -> int:
        """The maximum number of remaining epochs of a fit."""
        if self.task.groups is not None or self._has_ended:
            return self.task.options.epochs
        return self.task.options.epochs - self.epoch

    @property
    def loss(self) -> float:
        """The loss of the last epoch, before its update."""
        return self._progress.loss if self.task.groups is None else math.nan

    @property
    def best_loss(self) -> float:
        return self._progress.best_loss if self.task.groups is None else math.nan

    @property
    def done(self) -> bool:
        return self._has_ended and not self._is_challenged

    @property
    def _has_ended(self) -> bool:
        return self._solver is not None and self._solver.done(self._at.state)

    @property
    def _is_challenged(self) -> bool:
        """Whether a lower minimum is still being searched for."""
        search = self._at.challenge
        if not self._may_be_challenged:
            return False
        if search is None or not search.done:
            return True
        return lower(search) is not None and not self._followed.done(self._at.lower)

    @cached_property
    def _may_be_challenged(self) -> bool:
        """Whether the minimum is to be compared with those from other starts."""
        options = self.task.options
        if not options.challenge or self.task.groups is not None:
            return False
        ends, problem = self._ends(), self.task.problem
        if ends.reasons[0] == "diverged":
            return False
        if ends.reasons[0] != "converged":
            return True
        if float(ends.best_loss[0]) <= rounding(problem):
            return False
        if not may_leave_noise(problem):
            return True
        self._statistics = summarise(problem, ends.theta[0])
        return not leaves_noise_alone(self._statistics)

    @cached_property
    def _followed(self) -> Marquardt:
        """The solver from the lowest end of a challenge to its minimum, on all rows."""
        assert self._at.challenge is not None
        start = self._at.challenge.best[0].to(self.task.problem.target)
        problem = replace(self.task.problem, initial=start)
        solver = Marquardt(Task(problem, FOLLOWED))
        if self._at.lower is None:
            self._at.lower = solver.init()
        return solver

    def _challenge(self, steps: int) -> None:
        """At most `steps` steps of the challenge."""
        problem, seed = self.task.problem, self.task.options.seed
        while steps > 0 and self._is_challenged:
            search = self._at.challenge
            if search is None:
                self._at.challenge = challenge(problem, self._ends().best[0], seed)
            elif not search.done:
                self._at.challenge = polish(problem, search)
            else:
                self._at.lower, _ = self._followed.step(self._at.lower, steps)
                return
            steps -= 1

    def _lower(self) -> tuple[Tensor, float] | None:
        """The better minimum that a challenge has found."""
        if self._at.challenge is None or self._at.lower is None:
            return None
        ends = self._followed.ends(self._at.lower)
        own, found = self._ends(), (ends.best[0], float(ends.best_loss[0]))
        limit = float(own.best_loss[0]) * (1 - LOWER) - self._at.challenge.rounding
        if not found[1] < limit:
            return None
        problem, where = self.task.problem, self._at.challenge.where
        return canonical(problem, found[0], where, tuple(problem.places.tolist())), found[1]

    def checkpoint(self) -> Checkpoint:
        """A copy of the state, from which a later run continues."""
        return copy.deepcopy(self._at)

    def step(self, epochs: int) -> Rows:
        """Does at most `epochs` steps of the search, while there is one, and then epochs of each
        fit; returns the rows recorded in them."""
        self._cached_progress = None
        while self._solver is None and epochs > 0:
            self._at.starts, epochs = advance(self._current_task, self._at.starts), epochs - 1
            if self._at.starts.done:
                self._begin()
        if self._solver is None or epochs < 1 or self._has_ended:
            if self._has_ended:
                self._challenge(epochs)
            return Rows.none(len(self.task.problem.params))
        self._at.state, recorded = self._solver.step(self._at.state, epochs)
        if self.task.groups is None:
            return recorded[0]
        for fit, rows in recorded.items():
            if len(rows.table):
                self._at.history[fit].append(rows)
        if self._solver.done(self._at.state):
            self._ended = self.epoch
            self._retry_groups()
        return Rows.none(len(self.task.problem.params))

    def result(self, stop_reason: StopReason | None = None) -> Result | GroupedResult:
        """The current result. `stop_reason` is the reason if the caller stops the fits before their
        end. The result of a stopped search is the best start that it found."""
        if self._solver is None:
            at = replace(self._at, starts=stopped(self._current_task, self._at.starts))
            return Run(self.task, at).result(stop_reason)
        if self.task.groups is None:
            return self._ends().one(stop_reason, self._lower(), self._statistics)
        ends, parts = self._joined()
        history = None
        if self.task.groups.history:
            history = [joined(each, len(self.task.problem.params)) for each in parts]
        return GroupedResult(ends, history, None if self.done else stop_reason)

    @property
    def _progress(self) -> Progress:
        if self._cached_progress is None:
            self._cached_progress = self._current_progress()
        return self._cached_progress

    def _current_progress(self) -> Progress:
        if self._solver is not None:
            return self._solver.progress(self._at.state)
        search = self._at.starts.search
        best = search.best[1] if search is not None and search.ends else math.inf
        return Progress(0, math.nan, best, 0)

    @property
    def _current_task(self) -> Task:
        """The task of this round: all fits, or the groups that are fitted again."""
        if self._at.groups is None or self.task.groups is None:
            return self.task
        return replace(self.task, groups=self.task.groups.at(self._at.groups))

    def _begin(self) -> None:
        """Creates the solver, at its start or at the state of the checkpoint."""
        task = with_feasible_starts(with_best_starts(self._current_task, self._at.starts))
        self._solver = solver_of(task)
        if self._at.state is None:
            self._at.state = self._solver.init()
            self._at.history = [[] for _ in range(len(task.fits))]

    def _ends(self) -> Ends:
        assert self._solver is not None
        if self._final_ends is not None:
            return self._final_ends
        ends, search = _with_last(self._solver.ends(self._at.state)), self._at.starts.search
        if self.task.groups is None and search is not None and search.ends:
            ends = replace(ends, searched=(search.agreeing, len(search.ends)))
        if self._has_ended and self.task.groups is None:
            self._final_ends = ends
        return ends

    def _retry_groups(self) -> None:
        """Starts a second round for the groups that ended badly, if starts were searched for or the
        minima are to be challenged."""
        options = self.task.options
        challenged = options.challenge and options.method.challenges
        if not (options.search or challenged) or self._at.groups is not None:
            return
        before = self._ends()
        groups, starts = second_starts(self.task, before, self._at.starts)
        if len(groups):
            places = {group: place for place, group in enumerate(groups.tolist())}
            starts = replace(starts, waiting=tuple(places[group] for group in starts.waiting))
            self._at = Checkpoint(
                starts, groups=groups, before=before, history_before=self._at.history
            )
            self._solver = self._cached_progress = None
            if starts.done:
                self._begin()

    def _joined(self) -> tuple[Ends, History]:
        """The ends and the history of the groups: of the second round, if its loss is lower and no
        start was given."""
        again, before, groups = self._ends(), self._at.before, self._at.groups
        if before is None or groups is None:
            return again, self._at.history
        lower = lower_of(before, groups, again) & (again.epochs > 0)
        if not self.task.options.search:
            limit = before.loss[groups] * (1 - LOWER) - rounding(self.task.problem)
            missed = torch.zeros(len(before), dtype=torch.bool)
            missed[groups] = lower & (again.loss < limit) & before.converged[groups]
            return replace(before, missed=missed), self._at.history_before
        history = list(self._at.history_before)
        for group, place in zip(groups[lower].tolist(), lower.nonzero().flatten(), strict=True):
            history[group] = self._at.history[int(place)]
        return before.with_those(groups[lower], again.at(lower.nonzero().flatten())), history


def _with_last(ends: Ends) -> Ends:
    """The ends, with `diverged` for fits that diverged in the very last update."""
    losses = zip(ends.loss.tolist(), ends.first_loss.tolist(), strict=True)
    bad = [has_diverged(*pair) for pair in losses]
    if not any(bad):
        return ends
    named = zip(ends.reasons, bad, strict=True)
    reasons = ["diverged" if ill and reason == "max_epochs" else reason for reason, ill in named]
    return replace(ends, reasons=tuple(reasons))


def begin(task: Task, checkpoint: Checkpoint | None = None) -> Run:
    """A run of the task, from its start or from a checkpoint of another run of the same task."""
    return Run(task, checkpoint)


def outcome(run: Run, stop_reason: StopReason | None = None) -> Result:
    """The result of the only fit of a run."""
    found = run.result(stop_reason)
    assert isinstance(found, Result)
    return found


__all__: Sequence[str] = ("Checkpoint", "Run", "begin", "outcome")
