"""Decides where a job runs (inline or in a worker), on which device and with how many threads.


A worker does not block the event loop, but passing a job to it and back costs both processes about
half a millisecond, and the caller a millisecond. So a job expected to take less than `INLINE_S`
runs in this process, on the event loop. Its cost is estimated from its epochs, rows and operations;
a fit that needs more steps than most is handed over to a worker after `HANDOVER_S`. The constants
are measured (docs/explanation/performance.md), and have to be right within a factor of two or
three."""

from __future__ import annotations

import math

from service.engine.formula import Formula
from service.engine.kernel.sharing import WORTH
from service.engine.solvers.first_order import is_compiled
from service.engine.solvers.table import has_closed_form
from service.engine.start.search import (
    CANDIDATES,
    CHALLENGERS,
    POLISHING,
    SCREENED_ROWS,
    SCREENING,
)
from service.fitting import Plan, has_cuda
from service.jobs.system import cores

INLINE_S = 4e-3
"""The longest expected duration of an inline job in seconds; it blocks the event loop."""
HANDOVER_S = 4e-3
"""Seconds after which an inline job continues in a worker."""

INLINE_THREADS = 1
"""Threads of the arithmetic in this process, which must not wait for a core."""

PARAMS = 16
"""The most params of an inline job: more have matrices worth a worker."""

GPU_ROWS = 2**17
"""Rows, of all groups together, from which `auto` selects a GPU. Not yet measured on one: each
operation takes some 5 µs to launch there, in which a core computes about 10⁴ numbers."""

_ANSWER_S = 4e-4
"""Seconds for the statistics, the diagnostics and the answer of a fit, and"""
_ROW_S = 2e-7
"""for each row, which is sorted."""
_SHUFFLE_S = 1e-5
"""For an epoch's order of the rows in mini-batches."""
_COST_S = 5e-10
"""For a unit of a program's cost, on each row (see `Program.cost`),"""
_PAIR_S = 5e-10
"""and for a pair of its columns, reduced to R, on each row."""
_EVALUATION_S = 3e-7
"""Overhead of an evaluation,"""
_STEP_S = 2e-6
"""and of a trial step or an update."""
_FEW_STEPS = 40
"""Trial steps that most fits need,"""
_MOST_STEPS = 4 * _FEW_STEPS
"""and those of the ends of a search."""
_SEARCH_S = 4e-4
"""Overhead of a search: the params' ranges, and the draws."""
_CLOSED_FORM_S = 6e-8
"""For an epoch of the closed form and a param."""
_HISTORY_S = 1e-6
"""For a number of the history, from the engine to the answer's JSON."""


def runs_inline(plan: Plan) -> bool:
    """Whether a job starts in this process."""
    return expected_s(plan) <= INLINE_S


def device(plan: Plan, asked: str) -> str:
    """The device of a job: the one that the setting names or, for `auto`, a GPU if there is one and
    the job has enough parallel work."""
    if asked != "auto":
        return asked
    return "cuda" if _is_wide(plan) and has_cuda() else "cpu"


def threads(workers: int) -> int:
    """The most threads of a worker: the cores are divided among the workers."""
    return max(1, cores() // workers)


def worth_threads(plan: Plan) -> bool:
    """Whether a job has enough work at a time for several threads. On less they wait for each
    other at each step, and for a time slice where another process has the core of one."""
    problem, options = plan.task.problem, plan.task.options
    times = SCREENING if options.search or plan.resampling is not None else 1
    return times * problem.rows * problem.formula.operations >= WORTH


def expected_s(plan: Plan) -> float:
    """The expected seconds of a job, roughly; infinite where they cannot be estimated."""
    options = plan.task.options
    if options.method.solver != "levenberg_marquardt":
        return seconds(plan)
    steps = min(options.epochs, _FEW_STEPS)
    return _seconds(plan, steps, _MOST_STEPS)


def seconds(plan: Plan) -> float:
    """The most seconds of a job, roughly; infinite where they cannot be estimated."""
    return _seconds(plan, plan.task.options.epochs, POLISHING)


def _seconds(plan: Plan, steps: int, polishing: int) -> float:
    """The same for that number of epochs, and of trial steps of a search."""
    problem, options = plan.task.problem, plan.task.options
    asked, formula = plan.request, problem.formula
    if asked.group_by is not None or asked.confidence_interval.method != "t":
        return math.inf
    if plan.resampling is not None:
        return math.inf
    if problem.sigma_x:
        return math.inf
    if not isinstance(formula, Formula) or len(problem.params) > PARAMS:
        return math.inf
    solver = options.method.solver
    if solver == "lbfgs" or options.gradient.method != "analytic" or not is_compiled(plan.task):
        return math.inf
    reading = _EVALUATION_S + problem.rows * _COST_S * formula.full.cost
    reduced = reading + problem.rows * _PAIR_S * (len(problem.params) + 1) ** 2
    recorded = options.epochs / options.record_every * (2 + 2 * len(problem.params))
    answer = _ANSWER_S + problem.rows * _ROW_S
    if solver == "exact":
        return answer + 4 * reduced
    if solver == "levenberg_marquardt":
        step = _STEP_S + reduced
        rows = min(problem.rows, SCREENED_ROWS)
        screened = SCREENING * (_EVALUATION_S + rows * _COST_S * 1.5 * formula.forward.cost)
        searched = _SEARCH_S + screened + polishing * step if options.search else 0.0
        if options.challenge:
            part = CHALLENGERS / CANDIDATES
            searched += _SEARCH_S + part * screened + min(polishing, 2 * steps) * step
        return answer + searched + steps * step
    if has_closed_form(plan.task):
        work = options.epochs * _CLOSED_FORM_S * len(problem.params)
        return answer + work + _HISTORY_S * recorded
    updated = _STEP_S + reading
    if options.batch_size is not None and options.batch_size < problem.rows:
        batches = 1 + problem.rows // options.batch_size
        updated = batches * (_STEP_S + _EVALUATION_S) + 2 * reading + _SHUFFLE_S
    return answer + options.epochs * updated + _HISTORY_S * recorded


def _is_wide(plan: Plan) -> bool:
    """Whether many rows are processed in parallel; not for groups that are fitted one by one."""
    together = plan.task.options.method.is_grouped
    return plan.task.problem.rows >= GPU_ROWS and (plan.groups is None or together)
