"""Which run drives which optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from service.engine.descent import descend
from service.engine.linear import solve_exactly
from service.engine.marquardt import Marquardt
from service.engine.problem import Task
from service.engine.quasi_newton import QuasiNewton
from service.engine.run import Progress, Run
from service.engine.searching import Searching

Starter = Callable[[Task, "Progress | None"], Run]

RUNS: Mapping[str, Starter] = {
    "exact": solve_exactly,
    "levenberg_marquardt": Marquardt,
    "lbfgs": QuasiNewton,
    **dict.fromkeys(("sgd", "adam", "adamw", "rmsprop", "adagrad"), descend),
}
"""The run that drives each optimizer."""


def start(task: Task, checkpoint: Progress | None = None) -> Run:
    """A run of the task, from its start or from a checkpoint of another run of the same task."""
    begin = RUNS[task.options.optimizer]
    if task.options.search:
        return Searching(task, begin, checkpoint)
    return begin(task, checkpoint)
