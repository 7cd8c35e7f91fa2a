"""The run of a fit with errors in its inputs: the fit with exact inputs, with its search for starts
and its challenge, and from its end the fit with errors."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.engine.iterate import Checkpoint, Run
from service.engine.problem import Task
from service.engine.result import GroupedResult, Result, Rows, StopReason
from service.engine.wrapped_run import WrappedRun


@dataclass(eq=False)
class OrthogonalCheckpoint:
    """The state of a run, from which a later run of the same task continues, bit for bit."""

    part: Checkpoint | None = None
    """Of the run of its phase."""
    start: Tensor | None = None
    """The end of the fit with exact inputs, (groups, params); None before it has ended."""
    searched: tuple[int, int] | None = None
    """See `Result`."""


class OrthogonalRun(WrappedRun):
    """The running fit, or fits of groups, of a task with errors in its inputs."""

    def __init__(self, task: Task, checkpoint: OrthogonalCheckpoint | None = None) -> None:
        self.task = task
        self._at = checkpoint or OrthogonalCheckpoint()
        self._run: Run = self._of_phase(self._at.part)
        self.epochs = self._run.epochs

    @property
    def epoch(self) -> int:
        """Epochs done of the fit with errors, or groups that have ended."""
        return 0 if self._at.start is None else self._run.epoch

    @property
    def done(self) -> bool:
        return self._at.start is not None and self._run.done

    def checkpoint(self) -> OrthogonalCheckpoint:
        """A copy of the state, from which a later run continues."""
        return replace(copy.deepcopy(self._at), part=self._run.checkpoint())

    def step(self, epochs: int) -> Rows:
        """Does at most `epochs` epochs of the phase; returns the recorded rows of the fit with
        errors."""
        if self._at.start is not None:
            return self._run.step(epochs)
        self._run.step(epochs)
        if self._run.done:
            self._at.start, self._at.searched = self._found()
            self._run = self._of_phase(None)
        return Rows.none(len(self.task.problem.params))

    def result(self, stop_reason: StopReason | None = None) -> Result | GroupedResult:
        """The current result; before the fit with errors has begun, at its start."""
        run, searched = self._run, self._at.searched
        if self._at.start is None:
            start, searched = self._found()
            run = Run(self._with_errors(start))
        found = run.result(stop_reason)
        return replace(found, searched=searched) if isinstance(found, Result) else found

    def _of_phase(self, part: Checkpoint | None) -> Run:
        if self._at.start is not None:
            return Run(self._with_errors(self._at.start), part)
        task = replace(self.task, problem=replace(self.task.problem, sigma_x={}))
        if task.groups is not None:
            task = replace(task, groups=replace(task.groups, history=False))
        return Run(task, part)

    def _with_errors(self, start: Tensor) -> Task:
        options = replace(self.task.options, search=(), challenge=None)
        return replace(self.task, options=options).starting(start)

    def _found(self) -> tuple[Tensor, tuple[int, int] | None]:
        """The best params with exact inputs, (groups, params), or the start where there are
        none."""
        found, searched = self._run.result(), None
        if isinstance(found, Result):
            best = found.best.params if found.lower is None else found.lower[0]
            best, searched = best.unsqueeze(0), found.searched
        else:
            best = found.ends.best
        best = best.double().cpu()
        whole = torch.isfinite(best).all(dim=1, keepdim=True)
        return torch.where(whole, best, self.task.fits.initial.double()), searched
