"""Where a job is done, on which device and with how many threads: decided here, by measurement.

A worker is another core, and what happens there holds up nobody; but to hand a job over and hear of
its end costs both processes about half a millisecond, and the caller a millisecond. So a job that
is surely over in less than `HERE_S` is done in this process, on the event loop. What such a job
costs is known beforehand: its epochs are counted, and its rows are few. docs/performance.md has the
measurements behind the constants; they need be right within a factor of two or three.
"""

from __future__ import annotations

import math

from service.engine.descent import has_closed_form, has_short_way
from service.engine.group_run import TOGETHER
from service.engine.optimizers.exact import Exact
from service.engine.problem import Problem
from service.jobs.cores import cores
from service.translate import Plan, has_cuda

HERE_S = 2e-3
"""Seconds of the event loop that one job may take. While they last, nobody else is answered."""

HERE_THREADS = 1
"""Of the arithmetic in this process, which must not wait for a core."""

PARAMS = 8
"""More params than this have matrices worth a worker."""
NUMBERS = 8192
"""Rows × params: beyond, the linear algebra takes threads, and how many is the process's."""

GPU_ROWS = 2**17
"""Rows, of all groups together, from which on `auto` takes a GPU. Not yet measured on one: there
each operation takes some 5 µs to begin, in which a core has done about 10⁴ numbers."""

_ANSWER_S = 5e-4
"""The statistics, the diagnostics and the answer of a fit."""
_EPOCH_S = 4e-6
"""One update of a first-order descent, without its gradient,"""
_MOMENTS_S = 6e-6
"""by a rule that is not sgd's,"""
_TOLERANCE_S = 1.5e-5
"""and a look whether a tolerance is met."""
_OPERATION_S = 3e-7
"""One operation of a formula, and"""
_ROW_S = 2e-9
"""on each row."""
_CLOSED_S = 1.5e-8
"""An epoch of the closed form, for each param,"""
_SETTLED_S = 6e-8
"""and where its params or its gradient are looked at for a tolerance."""
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
    asked = plan.request
    if asked.group_by is not None or asked.confidence_interval.method == "profile":
        return math.inf
    if not _is_small(problem):
        return math.inf
    if isinstance(options.settings, Exact):
        return _ANSWER_S
    tolerance = options.tolerance
    if has_closed_form(plan.task):
        looked = bool(tolerance.params or tolerance.gradient)
        epoch = (_SETTLED_S if looked else _CLOSED_S) * len(problem.params)
    elif has_short_way(plan.task):
        operations = problem.formula.operations
        epoch = _EPOCH_S + operations * (_OPERATION_S + _ROW_S * problem.rows)
        epoch += _MOMENTS_S * (options.optimizer != "sgd") + _TOLERANCE_S * tolerance.any
    else:
        return math.inf
    recorded = options.epochs / options.record_every * (2 + 2 * len(problem.params))
    return _ANSWER_S + options.epochs * epoch + _RECORDED_S * recorded


def _is_wide(plan: Plan) -> bool:
    """Whether many rows are worked on at once: not by groups that are fitted one after another."""
    alone = plan.grouped is not None and plan.task.options.optimizer not in TOGETHER
    return plan.task.problem.rows >= GPU_ROWS and not alone


def _is_small(problem: Problem) -> bool:
    width = len(problem.params)
    return problem.small is not None and width <= PARAMS and problem.rows * width <= NUMBERS
