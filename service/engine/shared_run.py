"""The run of a fit of groups that share params: starts, the fit, and its challenge.

Starts come from one fit of all rows, from separate fits of the groups, and from a search; they are
tried on some of the groups (`start.shared`). The fit runs from the best, and the lowest end is
kept. Then each group's own params are challenged from other
starts, with the shared ones fixed; where that lowers the loss, the fit runs once more.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from service.engine.iterate import Checkpoint, Run
from service.engine.problem import Task
from service.engine.result import Ends, GroupedResult, Result, Rows, StopReason
from service.engine.solvers.shared import SharedMarquardt, State
from service.engine.start import shared as starts
from service.engine.start.search import LOWER

Phase = Literal["together", "separate", "trial", "fit", "challenge", "again", "done"]


@dataclass(eq=False)
class SharedCheckpoint:
    """The state of a run, from which a later run of the same task continues, bit for bit."""

    phase: Phase
    part: Checkpoint | None = None
    """Of the run of a phase that is one."""
    whole: Ends | None = None
    """The end of the fit of all rows."""
    known: starts.Known | None = None
    """What the phases before the fit have found."""
    waiting: list[Tensor] = field(default_factory=list)
    """Starts that have not been tried, (groups, params) each."""
    ends: list[tuple[float, Tensor]] = field(default_factory=list)
    """The losses and params at the ends of the trials."""
    points: list[Tensor] = field(default_factory=list)
    """Params from which the fit is yet to run, (params,) each."""
    start: Tensor | None = None
    """The start of `state`."""
    state: Any = None
    """State of the running fit."""
    best: State | None = None
    """The lowest end so far,"""
    best_start: Tensor | None = None
    """and its start."""


class SharedRun:
    """The running fit of a task with `shared` params; progress is counted in its epochs."""

    def __init__(self, task: Task, checkpoint: SharedCheckpoint | None = None) -> None:
        self.task, self.epochs = task, task.options.epochs
        first: Phase = "fit" if task.problem.is_linear else "together"
        self._at = checkpoint or SharedCheckpoint(first)
        self._groups = starts.eligible(task)
        self._part: Run | None = None
        self._solver: SharedMarquardt | None = None
        if checkpoint is None and first == "fit":
            self._at.waiting = [task.fits.initial.double()]
        self._enter()

    @property
    def stride(self) -> int:
        """Number of epochs that certainly takes little time, for the first step."""
        return 1

    @property
    def epoch(self) -> int:
        """Epochs done of the fit; it never decreases."""
        best = 0 if self._at.best is None else self._at.best.epoch
        return max(best, 0 if self._at.state is None else self._at.state.epoch)

    @property
    def left(self) -> int:
        """The maximum number of remaining epochs of one fit."""
        return self.epochs

    @property
    def loss(self) -> float:
        state = self._at.state if self._at.state is not None else self._at.best
        return math.nan if state is None else self._fit.progress(state).loss

    @property
    def best_loss(self) -> float:
        return self.loss if self._at.best is None else self._fit.progress(self._at.best).loss

    @property
    def done(self) -> bool:
        return self._at.phase == "done"

    def checkpoint(self) -> SharedCheckpoint:
        """A copy of the state, from which a later run continues."""
        part = None if self._part is None else self._part.checkpoint()
        kept = copy.deepcopy(self._at)
        kept.part = part
        return kept

    def step(self, epochs: int) -> Rows:
        """At most `epochs` steps of the current phase."""
        if self._part is not None:
            self._part.step(epochs)
            if self._part.done:
                self._leave(self._part)
        elif self._at.phase == "trial":
            self._try()
        elif not self.done:
            self._at.state, _ = self._fit.step(self._at.state, epochs)
            if self._fit.done(self._at.state):
                self._keep()
        return Rows.none(len(self.task.problem.params))

    def result(self, stop_reason: StopReason | None = None) -> GroupedResult:
        """The current result."""
        reason = None if self.done else stop_reason
        kept, running = self._at.best, self._at.state
        state, start = kept, self._at.best_start
        if running is not None and (kept is None or self._is_lower(running, kept, 0.0)):
            state, start = running, self._at.start
        if state is None:
            start = self.task.fits.initial.double()
            solver = SharedMarquardt(self.task)
            return GroupedResult(solver.ends(solver.init()), None, reason or "cancelled")
        return GroupedResult(self._solver_from(start).ends(state), None, reason)

    @property
    def _fit(self) -> SharedMarquardt:
        if self._solver is None:
            start = self._at.start if self._at.start is not None else self._at.best_start
            self._solver = self._solver_from(start)
        return self._solver

    def _solver_from(self, start: Tensor | None) -> SharedMarquardt:
        return SharedMarquardt(self.task if start is None else self.task.starting(start))

    def _enter(self) -> None:
        """Begins the phase, or continues it from the checkpoint; skips what has nothing to do."""
        at = self._at
        if at.phase == "together":
            self._part = Run(starts.together(self.task), at.part)
        elif at.phase == "separate":
            if not len(self._groups):
                self._prepare(None)
                return
            self._part = Run(starts.separate(self.task, self._groups), at.part)
        elif at.phase == "challenge":
            assert at.best is not None
            theta = torch.from_numpy(at.best.theta)
            self._part = Run(starts.locals_of(self.task, theta), at.part)
        elif at.phase in ("fit", "again") and at.state is None:
            self._next()
        at.part = None
        if self._part is not None and self._part.done:
            self._leave(self._part)

    def _leave(self, part: Run) -> None:
        """Takes the result of a phase, and enters the next."""
        found, self._part = part.result(), None
        if self._at.phase == "together":
            assert isinstance(found, Result)
            self._at.whole = _as_ends(found)
            self._at.phase = "separate"
            self._enter()
        elif self._at.phase == "separate":
            assert isinstance(found, GroupedResult)
            self._prepare(found.ends)
        else:
            assert isinstance(found, GroupedResult)
            self._again(found.ends)

    def _prepare(self, apart: Ends | None) -> None:
        """What the fits of all rows and of the groups tell; and the starts to be tried."""
        at, task = self._at, self.task
        at.known = starts.known_of(task, at.whole, self._groups, apart)
        if task.options.challenge is False:
            at.points = [at.known.points[-1]]
            at.phase = "fit"
            self._enter()
            return
        at.phase = "trial"

    def _try(self) -> None:
        """One step of the trials: the screening, or one start; after the last the fit begins."""
        at, (small, groups) = self._at, starts.tried(self.task)
        assert at.known is not None
        if not at.waiting and not at.ends:
            at.waiting = starts.screened(small, at.known.at(groups))
            return
        solver = SharedMarquardt(small.starting(at.waiting.pop(0)))
        state, _ = solver.step(solver.init(), small.options.epochs)
        theta, alive = torch.from_numpy(state.theta), state.alive.any()
        at.ends.append((solver.total(state) if alive else math.inf, theta))
        if not at.waiting:
            at.points = starts.leading(small, at.ends) or [at.known.points[0]]
            at.phase = "fit"
            self._enter()

    def _next(self) -> None:
        """Begins the fit from the next start."""
        at = self._at
        if at.points:
            assert at.known is not None
            point = at.points.pop(0)
            at.start = starts.with_shared(self.task, at.known, point, point)
        else:
            at.start = at.waiting.pop(0)
        self._solver = None
        self._at.state = self._fit.init()

    def _keep(self) -> None:
        """Keeps the end of a fit if it is the lowest, and goes on."""
        at = self._at
        if at.best is None or self._is_lower(at.state, at.best, 1e-9):
            at.best, at.best_start = at.state, at.start
        at.state = at.start = None
        self._solver = None
        if at.waiting or at.points:
            self._next()
        elif at.phase == "fit" and self._may_be_challenged:
            at.phase = "challenge"
            self._enter()
        else:
            at.phase = "done"

    @property
    def _may_be_challenged(self) -> bool:
        task, best = self.task, self._at.best
        if task.options.challenge is False or not len(task.local_places) or best is None:
            return False
        return (
            bool(best.alive.any())
            and not starts.locals_of(task, torch.from_numpy(best.theta)).problem.is_linear
        )

    def _again(self, ends: Ends) -> None:
        """Runs the fit once more where other starts of the groups' own params are lower."""
        at = self._at
        assert at.best is not None
        sums = torch.where(ends.loss <= ends.best_loss, ends.loss, ends.best_loss)
        theta = torch.where((ends.loss <= ends.best_loss).unsqueeze(-1), ends.theta, ends.best)
        sums = sums * self.task.fits.sizes
        own = torch.from_numpy(at.best.sums)
        better = torch.isfinite(sums) & ~(sums >= own * (1 - LOWER))
        before = float(own.nan_to_num(nan=0.0).sum())
        fall = float((own - sums)[better & torch.isfinite(own)].sum())
        revived = bool((better & ~torch.isfinite(own)).any())
        at.phase = "done"
        if revived or fall > LOWER * before / max(1, len(own)):
            start = torch.from_numpy(at.best.theta.copy())
            start[better] = theta[better]
            at.waiting, at.phase = [start], "again"
            self._enter()

    @staticmethod
    def _is_lower(state: State, than: State, slack: float) -> bool:
        """Whether more groups have a finite loss, or the total is lower."""
        alive, before = int(state.alive.sum()), int(than.alive.sum())
        if alive != before:
            return alive > before
        total = float(state.sums[state.alive].sum())
        return total < float(than.sums[than.alive].sum()) * (1 - slack)


def _as_ends(found: Result) -> Ends:
    """The best end of one fit, as the ends of one group."""
    best, loss = found.best.params.double().cpu().unsqueeze(0), torch.tensor([found.best.loss])
    one = torch.ones(1, dtype=torch.int64)
    return Ends(
        theta=best, loss=loss, epochs=one, reasons=(found.stop_reason,), best=best, best_loss=loss,
        best_epoch=one, first_loss=loss, first_gradient=torch.zeros_like(best), initial=best,
    )  # fmt: skip
