"""The table of solvers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch

from service.catalogue.optimizers.sgd import Sgd
from service.catalogue.schedules import Constant
from service.engine.problem import Task
from service.engine.solvers.closed_form import ClosedForm
from service.engine.solvers.compressed import Compressed
from service.engine.solvers.contract import Solver
from service.engine.solvers.descent import Descent
from service.engine.solvers.exact import Exact
from service.engine.solvers.first_order import FirstOrder, suits
from service.engine.solvers.lbfgs import QuasiNewton
from service.engine.solvers.marquardt import Marquardt
from service.engine.solvers.single import Sequential, SingleFit


def _alone(single: Callable[[Task], SingleFit], task: Task) -> Solver:
    return single(task) if task.groups is None else Sequential(task, single)


def _descent(task: Task) -> Solver:
    if has_closed_form(task):
        return _alone(_by_closed_form, task)
    return FirstOrder(task) if suits(task) else _alone(Descent, task)


def _by_closed_form(task: Task) -> SingleFit:
    data = Compressed.of(task.problem)
    return ClosedForm(task, data) if data.is_finite else Descent(task)


SOLVERS: Mapping[str, Callable[[Task], Solver]] = {
    "exact": Exact,
    "levenberg_marquardt": Marquardt,
    "lbfgs": partial(_alone, QuasiNewton),
    "first_order": _descent,
}
"""Every solver, by the name that the record of an optimizer gives it."""


def has_closed_form(task: Task) -> bool:
    """Whether a task is plain full-batch gradient descent at a constant rate, in float64 and
    without bounds, on a linear least-squares problem."""
    options, problem = task.options, task.problem
    settings, batch = options.settings, options.batch_size
    return (
        isinstance(settings, Sgd)
        and not settings.momentum
        and not settings.weight_decay
        and isinstance(options.schedule, Constant)
        and options.gradient.method == "analytic"
        and (batch is None or batch >= problem.rows)
        and problem.target.dtype == torch.float64
        and problem.loss.is_least_squares
        and bool(problem.free_params)
        and problem.is_linear
        and not problem.is_bounded
    )


def solver_of(task: Task) -> Solver:
    """The solver of a task."""
    solver = task.options.method.solver
    assert solver is not None, "`auto` stands for another optimizer"
    return SOLVERS[solver](task)
