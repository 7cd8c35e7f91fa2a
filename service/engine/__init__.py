"""The engine: formulas, losses, gradients, solvers and statistics on torch tensors.

Stateless: no clock, no I/O, no globals. `run_of(task)` returns a run, which the caller steps.
"""

from service.engine.fit_options import Options
from service.engine.iterate import Run, begin, outcome
from service.engine.outlier_run import OutlierRun, run_of
from service.engine.problem import Groups, Problem, Task, grouped
from service.engine.resampling.run import Resampled, ResampledRun
from service.engine.result import Best, Ends, GroupedResult, Result, Rows
from service.engine.reweighted_run import ReweightedRun
from service.engine.shared_run import SharedRun

__all__ = [
    "Best",
    "Ends",
    "GroupedResult",
    "Groups",
    "Options",
    "OutlierRun",
    "Problem",
    "Resampled",
    "ResampledRun",
    "Result",
    "ReweightedRun",
    "Rows",
    "Run",
    "SharedRun",
    "Task",
    "begin",
    "grouped",
    "outcome",
    "run_of",
]
