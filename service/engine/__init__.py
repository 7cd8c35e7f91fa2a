"""The engine: formulas, losses, gradients, optimizers and statistics on torch tensors.

Stateless: no clock, no I/O, no globals. `start(task)` hands out a run; whoever steps it owns time.
"""

from service.engine.fitting import start
from service.engine.group_run import GroupedResult, GroupedRun
from service.engine.groups import GroupedTask
from service.engine.problem import Options, Problem, Task
from service.engine.result import Best, Result, Rows
from service.engine.run import Run

__all__ = [
    "Best",
    "GroupedResult",
    "GroupedRun",
    "GroupedTask",
    "Options",
    "Problem",
    "Result",
    "Rows",
    "Run",
    "Task",
    "start",
]
