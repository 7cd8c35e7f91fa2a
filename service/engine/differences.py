"""Constraints a ≤ b on the order of params, by other params in which they are bounds.

b is replaced by a + d with d ≥ 0, or a by b − d, along the trees that the constraints form:
θ = Aφ, φ with the same names and places. The fit runs in φ; what it returns is in θ again, and so
are the statistics, which like those at a bound do not take the constraint into account.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from service.engine.derivatives import differentiate
from service.engine.formula import Formula
from service.engine.order import Order
from service.engine.problem import Problem, Task
from service.engine.tape import Builder


def by_differences(task: Task, order: Order) -> Task:
    """The task in the params φ, from starts within the constraints."""
    problem = in_differences(task.problem)
    fits = task.fits
    initial = torch.from_numpy(order.start(fits.initial.double().numpy()))
    return replace(task, problem=problem).starting(initial.to(fits.initial.dtype))


def in_differences(problem: Problem) -> Problem:
    """The problem in the params φ, without constraints."""
    order = problem.order
    if order is None:
        return problem
    assert isinstance(problem.formula, Formula)
    lower, upper = problem.lower.clone(), problem.upper.clone()
    for step in order.steps:
        lower[step.child], upper[step.child] = 0.0, torch.inf
    initial = torch.from_numpy(order.start(problem.initial.double().cpu().numpy()[None]))[0]
    return replace(
        problem,
        formula=formula_of(problem.formula, order),
        initial=initial.to(problem.initial),
        lower=lower,
        upper=upper,
        order=None,
    )


def formula_of(formula: Formula, order: Order) -> Formula:
    """The formula of φ, with the same names."""
    key = tuple(f"{step.parent} {step.sign} {step.child}" for step in order.steps)
    if key not in formula.extended:
        formula.extended[key] = _formula_of(formula, order)
    return formula.extended[key]


def _formula_of(formula: Formula, order: Order) -> Formula:
    builder, names = Builder(), formula.params
    nodes = {name: builder.param(name) for name in names}
    for step in order.steps:
        own = builder.param(names[step.child])
        how = "add" if step.sign > 0 else "subtract"
        nodes[names[step.child]] = builder.apply(how, nodes[names[step.parent]], own)
    (value,) = builder.copy(formula.prediction, {}, nodes)
    slopes = differentiate(builder, value, names)
    return replace(
        formula,
        prediction=builder.tape([value]),
        tape=builder.tape([value, *(slopes[name] for name in names)]),
        ties=(),
        tied_tape=None,
        binned=None,
    )
