"""The run of a fit whose σ follows from the fit itself: rounds of fits, each with the σ of the
params before it (Carroll and Ruppert, Transformation and Weighting in Regression, 1988, 2.1 and
3.2).

The first round has the σ that is given, or none; its start is searched for. A group has settled
when its params move by less than `SETTLED`, and is then left alone, so its fit does not depend on
the others. A last round compares the minima with others, by the final σ. Params are never
differentiated through σ: this is not the minimum of Σ(residual/σ(prediction))².
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from service.engine.iterate import Run
from service.engine.kernel.types import Bools, Floats
from service.engine.noise import FittedNoise, ResidualScale
from service.engine.ordered_run import OrderedRun
from service.engine.problem import Task
from service.engine.result import Ends, GroupedResult, Result, Rows, StopReason, joined
from service.engine.reweighted_state import (
    DAMPED,
    LATER_EPOCHS,
    ROUGH_ROUNDS,
    ROUNDS,
    SETTLED,
    SETTLED_FLOAT32,
    SETTLED_ROUGHLY,
    ReweightedCheckpoint,
    as_ends,
    first_problem,
    later,
    most_epochs,
)
from service.engine.reweighting import Reweighted, must_be_positive, reweighted
from service.engine.shared_run import SharedCheckpoint, SharedRun

Reason = TypeVar("Reason", bound=StopReason | None)


class ReweightedRun:
    """The rounds of a task with a model of the noise; progress is counted as by `Run`, in groups
    that have settled, or in the epochs of a single fit."""

    def __init__(
        self, task: Task, checkpoint: ReweightedCheckpoint | None = None, *, roughly: bool = False
    ) -> None:
        """`roughly`: the fits are replicates, whose end need not be known to all digits."""
        self.task, self._roughly = task, roughly
        groups = len(task.fits)
        self._at = checkpoint or ReweightedCheckpoint(
            None, 1, False, torch.arange(groups), None, history=[[] for _ in range(groups)],
            epochs=torch.zeros(groups, dtype=torch.int64),
            rounds=torch.zeros(groups, dtype=torch.int64),
            unsettled=torch.zeros(groups, dtype=torch.bool),
        )  # fmt: skip
        self._part: Run | OrderedRun | SharedRun = self._run(self._at.part)
        self._at.part = None
        self._counts_groups = task.groups is not None and not task.shared

    @property
    def stride(self) -> int:
        """Number of epochs that certainly takes little time, for the first step."""
        return self._part.stride

    @property
    def epoch(self) -> int:
        """Epochs done, or groups that have settled; it never decreases."""
        if self._counts_groups:
            many = len(self.task.fits)
            if self._at.last:
                return many if self._part.done else many - 1
            return many - len(self._at.active)
        assert self._at.epochs is not None
        return int(self._at.epochs.max()) + self._part.epoch

    @property
    def epochs(self) -> int:
        """The most epochs of the fit, or the number of groups."""
        if self._counts_groups:
            return len(self.task.fits)
        return most_epochs(self.task)

    @property
    def left(self) -> int:
        """The maximum number of remaining epochs of the round."""
        return max(1, self._part.left)

    @property
    def loss(self) -> float:
        return self._part.loss

    @property
    def best_loss(self) -> float:
        return self._part.best_loss

    @property
    def done(self) -> bool:
        return self._at.last and self._part.done

    def checkpoint(self) -> ReweightedCheckpoint:
        """A copy of the state, from which a later run continues."""
        kept = copy.deepcopy(self._at)
        kept.part = self._part.checkpoint()
        return kept

    def step(self, epochs: int) -> Rows:
        """At most `epochs` steps of the present round."""
        if self.done:
            return Rows.none(len(self.task.problem.params))
        rows = self._shifted(self._part.step(epochs))
        if self._part.done and not self._at.last:
            self._next()
        return rows

    def result(self, stop_reason: StopReason | None = None) -> Result | GroupedResult:
        """The current result, with the σ of the present round."""
        found = self._part.result(stop_reason)
        noise = self._noise()
        if isinstance(found, Result):
            return self._of_one(found, noise)
        ends, history = self._merged(found.ends), None
        if self.task.groups is not None and self.task.groups.history:
            parts = self._with_history(found)
            history = [joined(each, len(self.task.problem.params)) for each in parts]
        return GroupedResult(ends, history, None if self.done else stop_reason, noise)

    def _run(self, checkpoint: Any) -> Run | OrderedRun | SharedRun:
        """The run of the present round."""
        task = self._round()
        if not task.shared:
            run = Run if task.problem.order is None else OrderedRun
            return run(task, checkpoint)
        if checkpoint is None and self._at.round > 1:
            checkpoint = SharedCheckpoint("fit", waiting=[task.fits.initial.double()])
        return SharedRun(task, checkpoint)

    def _round(self) -> Task:
        """The task of the present round: its groups, from the params before, with its σ."""
        at, task, problem = self._at, self.task, self.task.problem
        problem = replace(problem, noise=None)
        if at.sigma is not None:
            problem = replace(problem, sigma=at.sigma)
        if at.round == 1:
            options = task.options if task.shared else replace(task.options, challenge=False)
            if problem.is_linear:
                options = replace(options, search=())
            return replace(task, problem=first_problem(task), options=options)
        options = replace(task.options, search=(), challenge=False)
        if at.last:
            options = replace(options, challenge=task.options.challenge)
        else:
            options = replace(options, epochs=min(options.epochs, LATER_EPOCHS))
        options = replace(options, record_every=min(options.record_every, options.epochs))
        assert at.theta is not None
        task = replace(task, problem=problem, options=options)
        task = task.starting(at.theta.to(problem.initial.dtype).cpu())
        if len(at.active) == len(self.task.fits) or task.groups is None:
            return task
        return replace(task, groups=task.groups.at(at.active))

    def _next(self) -> None:
        """Ends a round: computes σ anew, and begins the next round, or the last."""
        at, many = self._at, len(self.task.fits)
        found = self._part.result()
        if isinstance(found, Result):
            ends, at.searched = as_ends(found), at.searched or found.searched
        else:
            ends = found.ends
            if self.task.groups is not None and self.task.groups.history:
                at.history = self._with_history(found)
        assert at.epochs is not None
        assert at.rounds is not None
        at.first = at.first or ends
        before, at.ends = at.theta, self._merged(ends)
        theta = torch.where(torch.isfinite(ends.theta), ends.theta, ends.best)
        at.theta = theta if before is None else before.index_copy(0, at.active, theta)
        at.epochs = at.epochs.index_add(0, at.active, ends.epochs)
        at.rounds[at.active] += 1
        fits = self.task.fits if len(at.active) == many else self.task.fits.at(at.active)
        new = reweighted(self.task, fits, theta, self._known(), roughly=self._roughly)
        if self.task.groups is None:
            must_be_positive(new, self.task.problem.noise)
        moves = self._moves(new, None if before is None else before[at.active], theta)
        self._take(self._damped(new), moves)
        at.active = at.active[torch.from_numpy(moves)]
        at.round += 1
        if not len(at.active) or at.round > (ROUGH_ROUNDS if self._roughly else ROUNDS):
            assert at.unsettled is not None
            at.unsettled[at.active] = True
            at.last, at.active = True, torch.arange(many)
        self._part = self._run(None)

    def _known(self) -> Floats | None:
        values: Floats | None = self._at.values
        if values is None:
            return None
        if self.task.shared is not None:
            return values
        known: Floats = values[self._at.active.numpy()]
        return known

    def _moves(self, new: Reweighted, before: Tensor | None, theta: Tensor) -> Bools:
        """Which of the groups of the round have not settled; all or none of groups with one
        noise. A group without a σ has no other round."""
        sizes = self.task.fits.sizes[self._at.active].numpy()
        first = np.cumsum(sizes) - sizes
        lost: Bools = np.isnan(np.add.reduceat(new.sigma, first))
        double = self.task.problem.target.dtype == torch.float64
        slack = SETTLED if double else SETTLED_FLOAT32
        noise = self.task.problem.noise
        is_test = isinstance(noise, ResidualScale) and noise.estimator == "rsdr"
        if double and (is_test or self._roughly):
            slack = SETTLED_ROUGHLY
        moves = ~lost
        if before is not None:
            apart = (theta - before).abs() > slack * theta.abs()
            moved: Bools = apart.any(dim=1).numpy()
            now = self._at.sigma
            assert now is not None
            old = now[torch.from_numpy(new.rows)].double().cpu().numpy()
            changed = np.abs(new.sigma - old) > slack * new.sigma
            moves = moves & moved & np.logical_or.reduceat(changed, first)
        if self.task.shared is not None and moves.any():
            return np.ones_like(moves)
        return moves

    def _damped(self, new: Reweighted) -> Reweighted:
        """A scale of residuals that may swing between rows goes part of the way, on the log scale,
        the less the longer it takes."""
        at = self._at
        part = 0.5 ** (at.round // DAMPED)
        if not isinstance(self.task.problem.noise, ResidualScale) or part == 1.0:
            return new
        assert at.sigma is not None
        before = at.sigma[torch.from_numpy(new.rows)].double().cpu().numpy()
        known = self._known()
        assert known is not None
        values = known ** (1 - part) * new.params.values**part
        sigma = before ** (1 - part) * new.sigma**part
        return replace(new, sigma=sigma, params=new.params._replace(values=values))

    def _take(self, new: Reweighted, moves: Bools) -> None:
        """Takes over the new σ of the groups that move, and of those without one; the others keep
        that of the round that has ended."""
        at, problem = self._at, self.task.problem
        sizes = self.task.fits.sizes[at.active].numpy()
        chosen = np.repeat(moves, sizes) | np.isnan(new.sigma)
        if at.sigma is None:
            at.sigma, chosen = torch.ones_like(problem.target), np.ones_like(chosen)
        sigma = at.sigma.clone()
        rows = torch.from_numpy(new.rows[chosen])
        sigma[rows.to(sigma.device)] = torch.from_numpy(new.sigma[chosen]).to(sigma)
        at.sigma = sigma
        given = new.params
        if at.values is None or self.task.shared is not None:
            at.values, at.stderr, at.extra = given.values, given.stderr, given.extra
            return
        own = at.active.numpy()[moves]
        for kept, found in zip((at.values, at.stderr, at.extra), given, strict=True):
            kept[own] = found[moves]

    def _merged(self, ends: Ends) -> Ends:
        """The ends of all groups, with the starts of their first rounds and all epochs."""
        at = self._at
        assert at.epochs is not None
        assert at.unsettled is not None
        if at.first is None:
            return ends
        if len(ends) < len(self.task.fits):
            assert at.ends is not None
            total = at.epochs.index_add(0, at.active, ends.epochs)
            found = replace(at.ends.with_those(at.active, ends), epochs=total)
        else:
            found = replace(
                ends, epochs=at.epochs + ends.epochs, best_epoch=at.epochs + ends.best_epoch
            )
        each = zip(found.reasons, at.unsettled.tolist(), strict=True)
        reasons = tuple(self._reason(reason, bad=bad) for reason, bad in each)
        first = at.first
        return replace(
            found, reasons=reasons, initial=first.initial, first_loss=first.first_loss,
            first_gradient=first.first_gradient,
        )  # fmt: skip

    def _reason(self, reason: Reason, *, bad: bool) -> Reason:
        """`stalled` for rounds that have not settled; a last round, which begins at its minimum,
        has converged where no step lowers the loss."""
        if self._at.last and reason in ("converged", "stalled"):
            return cast("Reason", "stalled" if bad else "converged")
        return reason

    def _of_one(self, found: Result, noise: FittedNoise | None) -> Result:
        at = self._at
        if at.first is None:
            return replace(found, noise=noise)
        assert at.epochs is not None
        assert at.unsettled is not None
        done, first = int(at.epochs[0]), at.first
        return replace(
            found,
            stop_reason=self._reason(found.stop_reason, bad=bool(at.unsettled[0])),
            epochs=found.epochs + done,
            best=replace(found.best, epoch=found.best.epoch + done),
            first_loss=float(first.first_loss[0]),
            first_gradient=first.first_gradient[0],
            initial=first.initial[0],
            searched=at.searched,
            noise=noise,
        )

    def _noise(self) -> FittedNoise | None:
        """The noise of the present round; None in the first."""
        at = self._at
        if at.sigma is None:
            return None
        assert at.rounds is not None
        return FittedNoise(at.sigma, at.rounds, at.values, at.stderr, at.extra)

    def _with_history(self, found: GroupedResult) -> list[list[Rows]]:
        """The history of each group, with that of the present round."""
        at = self._at
        parts = [list(each) for each in at.history]
        assert at.epochs is not None
        for group, rows in zip(at.active.tolist(), found.history or (), strict=False):
            parts[group].append(later(rows, int(at.epochs[group])))
        return parts

    def _shifted(self, rows: Rows) -> Rows:
        """The rows of a single fit, with the epochs of the rounds before."""
        assert self._at.epochs is not None
        if self.task.groups is not None or not len(rows.table):
            return rows
        return later(rows, int(self._at.epochs[0]))
