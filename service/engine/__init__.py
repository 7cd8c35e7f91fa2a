"""The engine: formulas, losses, gradients, solvers and statistics on torch tensors.

Stateless: no clock, no I/O, no globals. `run_of(task)` returns a run, which the caller steps.
"""

from service.engine.iterate import Run, begin, outcome
from service.engine.problem import Groups, Options, Problem, Task, grouped
from service.engine.result import Best, Ends, GroupedResult, Result, Rows
from service.engine.shared_run import AnyRun, SharedRun, run_of

__all__ = [
    "AnyRun",
    "Best",
    "Ends",
    "GroupedResult",
    "Groups",
    "Options",
    "Problem",
    "Result",
    "Rows",
    "Run",
    "SharedRun",
    "Task",
    "begin",
    "grouped",
    "outcome",
    "run_of",
]
