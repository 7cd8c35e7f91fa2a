"""The engine: formulas, losses, gradients, solvers and statistics on torch tensors.

Stateless: no clock, no I/O, no globals. `begin(task)` returns a run, which the caller steps.
"""

from service.engine.iterate import Run, begin, outcome
from service.engine.problem import Groups, Options, Problem, Task, grouped
from service.engine.result import Best, Ends, GroupedResult, Result, Rows

__all__ = [
    "Best",
    "Ends",
    "GroupedResult",
    "Groups",
    "Options",
    "Problem",
    "Result",
    "Rows",
    "Run",
    "Task",
    "begin",
    "grouped",
    "outcome",
]
