"""Where a job is done, on which device and with how many threads: decided here, by measurement.

A worker is another core, and what happens there holds up nobody; but to hand a job over and hear of
its end costs both processes about half a millisecond, and the caller a millisecond. So a job that
is over in less than `INLINE_S` is done in this process, on the event loop. What such a job costs is
known beforehand: its epochs are counted, and its rows are few. Where a fit needs more steps than
most, it is handed to a worker after `PATIENCE_S`, and goes on there. docs/performance.md has the
measurements behind the constants; they need be right within a factor of two or three.
"""

from __future__ import annotations

import math

from service.engine.formula import Formula
from service.engine.optimizers.exact import Exact
from service.engine.optimizers.lbfgs import Lbfgs
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
from service.engine.solvers.table import TOGETHER, has_closed_form
from service.engine.start.search import (
    CANDIDATES,
    CHALLENGERS,
    POLISHING,
    SCREENED_ROWS,
    SCREENING,
)
from service.fitting import Plan, has_cuda
from service.jobs.cores import cores

INLINE_S = 4e-3
"""Seconds of the event loop that one job may be expected to take. While they last, nobody else is
answered."""
PATIENCE_S = 4e-3
"""Seconds after which a job that takes longer than expected goes on in a worker."""

INLINE_THREADS = 1
"""Of the arithmetic in this process, which must not wait for a core."""

PARAMS = 16
"""More params than this have matrices worth a worker."""

GPU_ROWS = 2**17
"""Rows, of all groups together, from which on `auto` takes a GPU. Not yet measured on one: there
each operation takes some 5 µs to begin, in which a core has done about 10⁴ numbers."""

_ANSWER_S = 4e-4
"""The statistics, the diagnostics and the answer of a fit, and"""
_LOOKED_AT_S = 2e-7
"""of each row, which is sorted among the others."""
_DRAWN_S = 1e-5
"""An epoch's order of the rows in mini-batches."""
_COST_S = 5e-10
"""A unit of a program's cost, on each row (see `Program.cost`),"""
_PAIR_S = 5e-10
"""and a pair of its columns, reduced to R, on each row."""
_READ_S = 3e-7
"""What a reading takes besides,"""
_STEP_S = 2e-6
"""and a trial step or an update."""
_FEW_STEPS = 40
"""Trial steps in which most fits end,"""
_MOST_STEPS = 4 * _FEW_STEPS
"""and those of the ends of a search."""
_SEARCHED_S = 4e-4
"""What a search takes besides: where the params lie, and the draws."""
_SETTLED_S = 6e-8
"""An epoch of the closed form, for each param."""
_RECORDED_S = 1e-6
"""A number of the history, from the engine to the answer's JSON."""


def runs_inline(plan: Plan) -> bool:
    """Whether a job is begun in this process, where it is expected to end."""
    return expected_s(plan) <= INLINE_S


def surely_ends_inline(plan: Plan) -> bool:
    """Whether it ends there, too, and needs no worker whatever comes: a curve may need profiles."""
    return plan.task.problem.is_linear and seconds(plan) <= PATIENCE_S


def device(plan: Plan, asked: str) -> str:
    """Where a job is done: on the device that the settings name or, for `auto`, where there is a
    GPU, on that if the job has work enough to do at once."""
    if asked != "auto":
        return asked
    return "cuda" if _is_wide(plan) and has_cuda() else "cpu"


def threads(workers: int) -> int:
    """A worker's threads: together the workers have the cores."""
    return max(1, cores() // workers)


def expected_s(plan: Plan) -> float:
    """What the job mostly costs, about; infinite where nothing tells beforehand."""
    options = plan.task.options
    if not isinstance(options.settings, LevenbergMarquardt):
        return seconds(plan)
    steps = min(options.epochs, _FEW_STEPS)
    return _seconds(plan, steps, _MOST_STEPS)


def seconds(plan: Plan) -> float:
    """What the job costs at most, about; infinite where nothing bounds it beforehand."""
    return _seconds(plan, plan.task.options.epochs, POLISHING)


def _seconds(plan: Plan, steps: int, polishing: int) -> float:
    """The same for so many epochs, and trial steps of a search."""
    problem, options = plan.task.problem, plan.task.options
    asked, formula = plan.request, problem.formula
    if asked.group_by is not None or asked.confidence_interval.method == "profile":
        return math.inf
    if not isinstance(formula, Formula) or len(problem.params) > PARAMS:
        return math.inf
    if isinstance(options.settings, Lbfgs) or options.gradient.method != "analytic":
        return math.inf
    reading = _READ_S + problem.rows * _COST_S * formula.full.cost
    reduced = reading + problem.rows * _PAIR_S * (len(problem.params) + 1) ** 2
    recorded = options.epochs / options.record_every * (2 + 2 * len(problem.params))
    answer = _ANSWER_S + problem.rows * _LOOKED_AT_S
    if isinstance(options.settings, Exact):
        return answer + 4 * reduced
    if isinstance(options.settings, LevenbergMarquardt):
        step = _STEP_S + reduced
        rows = min(problem.rows, SCREENED_ROWS)
        screened = SCREENING * (_READ_S + rows * _COST_S * 1.5 * formula.forward.cost)
        searched = _SEARCHED_S + screened + polishing * step if options.search else 0.0
        if options.challenge:
            part = CHALLENGERS / CANDIDATES
            searched += _SEARCHED_S + part * screened + min(polishing, 2 * steps) * step
        return answer + searched + steps * step
    if has_closed_form(plan.task):
        work = options.epochs * _SETTLED_S * len(problem.params)
        return answer + work + _RECORDED_S * recorded
    updated = _STEP_S + reading
    if options.batch_size is not None and options.batch_size < problem.rows:
        batches = 1 + problem.rows // options.batch_size
        updated = batches * (_STEP_S + _READ_S) + 2 * reading + _DRAWN_S
    return answer + options.epochs * updated + _RECORDED_S * recorded


def _is_wide(plan: Plan) -> bool:
    """Whether many rows are worked on at once: not by groups that are fitted one after another."""
    together = plan.task.options.optimizer in TOGETHER
    return plan.task.problem.rows >= GPU_ROWS and (plan.groups is None or together)
