"""Which solver drives which optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from service.engine.problem import Task
from service.engine.solvers.contract import Solver
from service.engine.solvers.exact import Exact
from service.engine.solvers.first_order import Descent
from service.engine.solvers.lbfgs import QuasiNewton
from service.engine.solvers.marquardt import Marquardt
from service.engine.solvers.single import InTurn, SingleFit


def _alone(single: Callable[[Task], SingleFit], task: Task) -> Solver:
    return single(task) if task.groups is None else InTurn(task, single)


def _descent(task: Task) -> Solver:
    return _alone(Descent, task)


SOLVERS: Mapping[str, Callable[[Task], Solver]] = {
    "exact": Exact,
    "levenberg_marquardt": Marquardt,
    "lbfgs": partial(_alone, QuasiNewton),
    **dict.fromkeys(("sgd", "adam", "adamw", "rmsprop", "adagrad"), _descent),
}
"""The solver of each optimizer, by name."""


def solver_of(task: Task) -> Solver:
    """The solver of a task."""
    return SOLVERS[task.options.optimizer](task)
