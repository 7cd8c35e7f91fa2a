"""Where a job is done, on which device and with how many threads: decided here, by measurement.

A worker is another core, and what happens there holds up nobody; but to hand a job over and hear of
its end costs both processes about half a millisecond, and the caller a millisecond. So a job that
is surely over in less than `HERE_S` is done in this process, on the event loop. What such a job
costs is known beforehand: its epochs are counted, and its rows are few. docs/performance.md has the
measurements behind the constants; they need be right within a factor of two or three.
"""

from __future__ import annotations

import math

from service.engine.formula import Formula
from service.engine.optimizers.exact import Exact
from service.engine.optimizers.lbfgs import Lbfgs
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
from service.engine.solvers.table import TOGETHER, has_closed_form
from service.engine.start.search import STEPS
from service.jobs.cores import cores
from service.translate import Plan, has_cuda

HERE_S = 4e-3
"""Seconds of the event loop that one job may take at the very most. While they last, nobody else is
answered; the usual fit takes a twentieth of that."""

HERE_THREADS = 1
"""Of the arithmetic in this process, which must not wait for a core."""

PARAMS = 16
"""More params than this have matrices worth a worker."""

GPU_ROWS = 2**17
"""Rows, of all groups together, from which on `auto` takes a GPU. Not yet measured on one: there
each operation takes some 5 µs to begin, in which a core has done about 10⁴ numbers."""

_ANSWER_S = 4e-4
"""The statistics, the diagnostics and the answer of a fit."""
_COST_S = 1.5e-9
"""A unit of a program's cost, on each row (see `Program.cost`),"""
_PAIR_S = 1e-9
"""and a pair of its columns, reduced to R, on each row."""
_STEP_S = 2e-6
"""What a trial step, an update or a candidate takes besides."""
_SETTLED_S = 6e-8
"""An epoch of the closed form, for each param."""
_RECORDED_S = 1e-6
"""A number of the history, from the engine to the answer's JSON."""


def is_here(plan: Plan) -> bool:
    """Whether a job is done in this process."""
    return seconds(plan) <= HERE_S


def device(plan: Plan, asked: str) -> str:
    """Where a job is done: on the device that the settings name or, for `auto`, where there is a
    GPU, on that if the job has work enough to do at once."""
    if asked != "auto":
        return asked
    return "cuda" if _is_wide(plan) and has_cuda() else "cpu"


def threads(workers: int) -> int:
    """A worker's threads: together the workers have the cores."""
    return max(1, cores() // workers)


def seconds(plan: Plan) -> float:
    """What the job costs at most, about; infinite where nothing bounds it beforehand."""
    problem, options = plan.task.problem, plan.task.options
    asked, formula = plan.request, problem.formula
    if asked.group_by is not None or asked.confidence_interval.method == "profile":
        return math.inf
    if not isinstance(formula, Formula) or len(problem.params) > PARAMS:
        return math.inf
    reading = _STEP_S + problem.rows * _COST_S * formula.full.cost
    reduced = reading + problem.rows * _PAIR_S * (len(problem.params) + 1) ** 2
    recorded = options.epochs / options.record_every * (2 + 2 * len(problem.params))
    match options.settings:
        case Exact():
            return _ANSWER_S + 4 * reduced
        case LevenbergMarquardt():
            steps = options.epochs + bool(options.search) * STEPS
            # Of a search that is over soon, and a fit, few steps are kept: their histories are.
            return _ANSWER_S + steps * reduced
        case Lbfgs():
            return math.inf
        case _ if options.gradient.method != "analytic":
            return math.inf
        case _ if has_closed_form(plan.task):
            work = options.epochs * _SETTLED_S * len(problem.params)
            return _ANSWER_S + work + _RECORDED_S * recorded
    return _ANSWER_S + options.epochs * reading + _RECORDED_S * recorded


def _is_wide(plan: Plan) -> bool:
    """Whether many rows are worked on at once: not by groups that are fitted one after another."""
    together = plan.task.options.optimizer in TOGETHER
    return plan.task.problem.rows >= GPU_ROWS and (plan.groups is None or together)
