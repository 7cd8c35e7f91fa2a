"""The running fits of a comparison, one after another, which the caller steps in slices."""

from __future__ import annotations

import math
from collections.abc import Sequence

from service.engine import GroupedResult, Rows, run_of
from service.engine.outlier_run import AnyRun
from service.engine.result import StopReason
from service.fitting.answer import to_fit
from service.fitting.comparison.plan import ComparisonPlan, Entry
from service.fitting.grouped_answer import to_grouped_fit
from service.schemas.answers import Fit, History, Timings
from service.schemas.grouped import GroupedFit

Done = Fit | GroupedFit
"""A fit that has ended."""
_NO_TIMINGS = Timings(queued_s=0.0, fit_s=0.0)


class ComparisonRun:
    """The fits of a comparison. Progress is counted in models.

    A fit is explained where it ends, so that its statistics and diagnostics are part of the work
    that is timed and cancelled.
    """

    loss = best_loss = math.nan

    def __init__(self, plan: ComparisonPlan, checkpoint: Sequence[Done] = ()) -> None:
        self._plan = plan
        self._ended: list[Done] = list(checkpoint)
        self._run: AnyRun | None = None
        self.epochs = len(plan.entries)

    @property
    def epoch(self) -> int:
        """Models that have been fitted."""
        return len(self._ended)

    @property
    def stride(self) -> int:
        return 1 if self._run is None else self._run.stride

    @property
    def left(self) -> int:
        """The maximum number of remaining epochs of the current fit."""
        return 2**31 if self._run is None else max(1, self._run.left)

    @property
    def done(self) -> bool:
        return len(self._ended) == len(self._plan.entries)

    def step(self, epochs: int) -> Rows:
        """Begins the next fit, or does at most `epochs` epochs of it, or explains it."""
        if not self.done:
            entry = self._plan.entries[len(self._ended)]
            if self._run is None:
                self._run = run_of(entry.plan.with_guesses().task)
            if not self._run.done:
                self._run.step(epochs)
            else:
                self._ended.append(_explained(entry, self._run, None))
                self._run = None
        return Rows.none(0)

    def result(self, stop_reason: StopReason | None = None) -> Sequence[Done | None]:
        """The fits in the order of the plan's entries; None for those not begun."""
        ended: list[Done | None] = list(self._ended)
        if self._run is not None:
            entry = self._plan.entries[len(ended)]
            ended.append(_explained(entry, self._run, stop_reason))
        return [*ended, *[None] * (len(self._plan.entries) - len(ended))]

    def checkpoint(self) -> Sequence[Done]:
        """The fits that have ended; the current one starts again."""
        return tuple(self._ended)


def _explained(entry: Entry, run: AnyRun, stop_reason: StopReason | None) -> Done:
    result = run.result(stop_reason)
    if isinstance(result, GroupedResult):
        return to_grouped_fit(entry.plan, result, job_id="", timings=_NO_TIMINGS)
    names = entry.problem.params
    history = History.nothing(names)
    # A comparison has no intervals of params, only the verdict to which profiles contribute.
    return to_fit(entry.plan, result, job_id="", history=history, timings=_NO_TIMINGS, exact=False)
