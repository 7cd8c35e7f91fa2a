"""The run of a fit with a test for outliers: the fit of all rows; a robust fit, from its end, with
the residuals that are tested; and the fit of the rows without the outliers, from the robust one
(Motulsky and Brown 2006: see `inference.rout`).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from service.catalogue.losses import LOSSES
from service.catalogue.options import NoOptions
from service.engine.fit_options import Options, Tolerance
from service.engine.inference.rout import outliers
from service.engine.iterate import Run
from service.engine.kernel.types import Bools, Floats
from service.engine.losses import Loss
from service.engine.noise import ResidualScale
from service.engine.ordered_run import OrderedRun
from service.engine.orthogonal_run import OrthogonalRun
from service.engine.prior import of_task
from service.engine.problem import Task
from service.engine.result import GroupedResult, Outlying, Result, Rows, StopReason
from service.engine.reweighted_run import ReweightedRun
from service.engine.reweighting import predictions
from service.engine.shared_run import SharedRun

ROBUST = Options(
    "levenberg_marquardt", NoOptions(), epochs=1000, record_every=1000,
    tolerance=Tolerance(params=1e-10), challenge=False,
)  # fmt: skip
"""Options of the robust fit."""
Phase = Literal["all", "robust", "without", "done"]
Found = Result | GroupedResult


@dataclass(eq=False)
class OutlierCheckpoint:
    """The state of a run, from which a later run of the same task continues, bit for bit."""

    phase: Phase
    part: Any = None
    """Of the run of the present phase."""
    all: Any = None
    """The result of the fit of all rows,"""
    without: Any = None
    """and of that without the outliers; None without outliers."""
    start: Tensor | None = None
    """From which the present phase starts, (groups, params)."""
    mask: Any = None
    """Which rows are outliers, (rows,)."""
    scale: Any = None
    """The robust standard deviation of the residuals of each group, (groups,)."""


class OutlierRun:
    """The fits of a task with a test for outliers; progress is that of the fit of all rows."""

    def __init__(self, task: Task, checkpoint: OutlierCheckpoint | None = None) -> None:
        assert task.outliers is not None
        self.task, self._plain = task, replace(task, outliers=None)
        self._drops = task.outliers.drop
        self._at = checkpoint or OutlierCheckpoint("all")
        self._part: Run | ReweightedRun | None = self._run(self._at.part)
        self._at.part = None

    @property
    def stride(self) -> int:
        """Number of epochs that certainly takes little time, for the first step."""
        return 1 if self._part is None else self._part.stride

    @property
    def epoch(self) -> int:
        """Epochs of the fit of all rows, or groups that have ended in it."""
        if self._part is not None and self._at.phase == "all":
            return self._part.epoch
        found = self._at.all
        return found.epochs if isinstance(found, Result) else len(self.task.fits)

    @property
    def epochs(self) -> int:
        """The most epochs of that fit, or the number of groups."""
        return self.task.options.epochs if self.task.groups is None else len(self.task.fits)

    @property
    def left(self) -> int:
        """The maximum number of remaining epochs of the phase."""
        return 1 if self._part is None else max(1, self._part.left)

    @property
    def loss(self) -> float:
        if self._part is not None and self._at.phase == "all":
            return self._part.loss
        found = self._at.all
        return found.loss if isinstance(found, Result) else math.nan

    @property
    def best_loss(self) -> float:
        if self._part is not None and self._at.phase == "all":
            return self._part.best_loss
        found = self._at.all
        return found.best.loss if isinstance(found, Result) else math.nan

    @property
    def done(self) -> bool:
        return self._part is None

    def checkpoint(self) -> OutlierCheckpoint:
        """A copy of the state, from which a later run continues."""
        kept = copy.deepcopy(self._at)
        kept.part = None if self._part is None else self._part.checkpoint()
        return kept

    def step(self, epochs: int) -> Rows:
        """At most `epochs` steps of the present phase; the rows of the fit of all rows."""
        none = Rows.none(len(self.task.problem.params))
        if self._part is None:
            return none
        phase, rows = self._at.phase, self._part.step(epochs)
        if self._part.done:
            self._next(self._part.result())
        return rows if phase == "all" else none

    def result(self, stop_reason: StopReason | None = None) -> Found:
        """The current result: of all rows, or of those without outliers, as the task says, with the
        other beside it. Before the test has ended, that of all rows alone."""
        at = self._at
        if self._part is not None and at.phase == "all":
            return self._part.result(stop_reason)
        if self._part is not None:
            return _stopped(at.all, stop_reason)
        without = at.all if at.without is None else at.without
        shown, other = (without, at.all) if self._drops else (at.all, without)
        found: Found = replace(shown, outlying=Outlying(at.mask, at.scale, self._drops, other))
        return found

    def _run(self, checkpoint: Any) -> Run | ReweightedRun | None:
        """The run of the present phase."""
        at, task = self._at, self._plain
        if at.phase == "done":
            return None
        if at.phase == "all":
            return Run(task, checkpoint)
        assert at.start is not None
        start = at.start.to(task.problem.initial.dtype).cpu()
        if at.phase == "robust":
            loss, noise = Loss(LOSSES["cauchy"], 1.0), ResidualScale("rsdr")
            problem = replace(task.problem, loss=loss, noise=noise)
            task = replace(task, problem=problem, options=ROBUST)
            if task.groups is not None:
                task = replace(task, groups=replace(task.groups, history=False))
            return ReweightedRun(task.starting(start), checkpoint)
        task = replace(task, options=replace(task.options, search=()))
        task = without_rows(task.starting(start), at.mask)
        if task.groups is not None:
            task = replace(task, groups=task.groups.at(self._touched))
        return Run(task, checkpoint)

    @property
    def _touched(self) -> Tensor:
        """The groups that have outliers."""
        sizes = self.task.fits.sizes.numpy()
        first = np.cumsum(sizes) - sizes
        found: Bools = np.logical_or.reduceat(self._at.mask, first)
        return torch.from_numpy(np.flatnonzero(found))

    def _next(self, found: Found) -> None:
        """Ends a phase and begins the next."""
        at = self._at
        if at.phase == "all":
            at.all = replace(found, statistics=None) if isinstance(found, Result) else found
            at.phase, at.start = "robust", _theta(found)
        elif at.phase == "robust":
            at.start = _theta(found)
            at.mask, at.scale = self._tested(found)
            at.phase = "without" if at.mask.any() else "done"
        else:
            at.without, at.phase = self._merged(found), "done"
        self._part = self._run(None)

    def _tested(self, found: Found) -> tuple[Bools, Floats]:
        """Which rows are outliers, and the scale of each group, by the end of the robust fit."""
        assert self.task.outliers is not None
        assert found.noise is not None
        problem, fits = self.task.problem, self.task.fits
        target = problem.target.double().cpu().numpy()
        sigma = found.noise.sigma.double().cpu().numpy()
        sizes = np.abs(predictions(problem, fits, _theta(found)) - target) / sigma
        mask, free = np.zeros(problem.rows, dtype=np.bool_), len(problem.places)
        for begin, end in fits.spans.T.tolist():
            mask[begin:end] = outliers(sizes[begin:end], free, self.task.outliers.q)
        return mask, found.noise.values[:, 0]

    def _merged(self, found: Found) -> Found:
        """The result without outliers, of all groups."""
        if isinstance(found, Result):
            return replace(found, statistics=None)
        ends = self._at.all.ends.with_those(self._touched, found.ends)
        merged: GroupedResult = replace(self._at.all, ends=ends)
        return merged


def without_rows(task: Task, mask: Bools) -> Task:
    """The task without some of its rows, (rows,)."""
    kept = torch.from_numpy(np.flatnonzero(~mask))
    problem = task.problem
    problem = problem.on(kept.to(problem.target.device), problem.initial)
    if task.groups is None:
        return replace(task, problem=problem)
    sizes = task.fits.sizes.numpy()
    left = torch.from_numpy(np.add.reduceat(~mask, np.cumsum(sizes) - sizes, dtype=np.int64))
    end = torch.cumsum(left, 0)
    return replace(
        task, problem=problem, groups=replace(task.groups, spans=torch.stack([end - left, end]))
    )


def _theta(found: Found) -> Tensor:
    """The params at the end, (groups, params), the best where they are not finite."""
    if isinstance(found, GroupedResult):
        ends = found.ends
        return torch.where(torch.isfinite(ends.theta), ends.theta, ends.best)
    finite = bool(torch.isfinite(found.params).all())
    own = found.params if finite else found.best.params
    return own.double().cpu().unsqueeze(0)


def _stopped(found: Found, stop_reason: StopReason | None) -> Found:
    """The fit of all rows, where the test was stopped before its end."""
    return found if stop_reason is None else replace(found, stop_reason=stop_reason)


AnyRun = Run | OrderedRun | SharedRun | ReweightedRun | OutlierRun | OrthogonalRun


def run_of(task: Task, checkpoint: Any = None) -> AnyRun:
    """A run of the task, from its start or from a checkpoint of another run of the same task."""
    if task.problem.sigma_x:
        return OrthogonalRun(task, checkpoint)
    if task.outliers is not None:
        return OutlierRun(task, checkpoint)
    if task.problem.noise is not None:
        return ReweightedRun(task, checkpoint)
    task = of_task(task)
    if task.shared:
        return SharedRun(task, checkpoint)
    return Run(task, checkpoint) if task.problem.order is None else OrderedRun(task, checkpoint)
