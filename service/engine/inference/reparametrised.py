"""Profile intervals of derived quantities, by making the quantity a param of the formula.

h(θ) = φ is solved for a param that occurs once in h, such as e in h = e·9^(1/b): it is φ/9^(1/b).
With e tied so, φ is a param of the formula, and its profile is that of h. Source: Bates and Watts,
Nonlinear Regression Analysis (1988), 6.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.engine.expressions import read_expression
from service.engine.formula import Formula, with_tie
from service.engine.inference.profile import WORK, profiles
from service.engine.inference.reports import Estimates, Quantity
from service.engine.inference.statistics import Figures
from service.engine.kernel.types import Bools, Floats
from service.engine.names import leaves
from service.engine.problem import Groups, Problem
from service.engine.syntax import Call, Name, Number, Tree

NO_LIMIT = "the data set no limit on one side"
TIME = "its profile did not end within the budget"


@dataclass(frozen=True)
class Solved:
    """h(θ) = φ solved for a param: the expression, and the subexpressions that must be above 0 at
    the params for it to hold."""

    param: str
    tree: Tree
    positive: tuple[Tree, ...]


def solve(formula: Formula, text: str, candidates: tuple[str, ...], new: str) -> Solved | None:
    """h(θ) = φ, φ of the name `new`, solved for the first of the candidates for which it can be;
    None if there is none."""
    tree = read_expression(text)
    names = [leaf.name for leaf in leaves(tree)]
    behind: list[str] = []
    if formula.tied is not None:
        for name, own in zip(formula.tied.names, formula.tied.depends, strict=True):
            if name in names:
                behind += [p for p, is_used in zip(formula.params, own, strict=True) if is_used]
    for param in candidates:
        if names.count(param) == 1 and param not in behind:
            found = _inverted(tree, param, Name(new, 0))
            if found is not None:
                return Solved(param, *found)
    return None


def _inverted(tree: Tree, param: str, value: Tree) -> tuple[Tree, tuple[Tree, ...]] | None:
    """The param such that `tree` has that value, and what must be positive; None if unknown."""
    positive: list[Tree] = []
    while isinstance(tree, Call):
        at = next(
            i for i, each in enumerate(tree.arguments) if param in {n.name for n in leaves(each)}
        )
        inner = tree.arguments[at]
        other = tree.arguments[1 - at] if len(tree.arguments) == 2 else None
        found = _step(tree.operation, at, other, value)
        if found is None:
            return None
        if tree.operation in ("power", "abs") and at == 0:
            positive.append(inner)
        tree, value = inner, found
    return value, tuple(positive)


def _call(operation: str, *arguments: Tree) -> Tree:
    return Call(operation, arguments, 0)


def _step(operation: str, at: int, other: Tree | None, value: Tree) -> Tree | None:
    """The argument of an operation, given its value and its other argument."""
    first = at == 0
    match operation, other:
        case "negative", None:
            return _call("negative", value)
        case "abs", None:
            return value
        case "exp", None:
            return _call("log", value)
        case "log", None:
            return _call("exp", value)
        case "log10", None:
            return _call("power", Number(10.0, 0), value)
        case "sqrt", None:
            # As exp(2·log φ), which has no value for a negative φ.
            return _call("exp", _call("multiply", Number(2.0, 0), _call("log", value)))
        case "add", Call() | Name() | Number():
            return _call("subtract", value, other)
        case "subtract", Call() | Name() | Number():
            return _call("add", value, other) if first else _call("subtract", other, value)
        case "multiply", Call() | Name() | Number():
            return _call("divide", value, other)
        case "divide", Call() | Name() | Number():
            return _call("multiply", value, other) if first else _call("divide", other, value)
        case "power", Call() | Name() | Number():
            if first:
                return _call("power", value, _call("divide", Number(1.0, 0), other))
            return _call("divide", _call("log", value), _call("log", other))
        case _:
            return None


def free_name(formula: Formula) -> str:
    """A name that the formula does not use."""
    taken = {*formula.inputs, *formula.params, *formula.target_columns, *dict(formula.ties)}
    return next(name for name in _names() if name not in taken)


def _names() -> Iterator[str]:
    name = "quantity"
    while True:
        yield name
        name += "_"


def candidates(problem: Problem) -> tuple[str, ...]:
    """The free params without bounds."""
    low, high = problem.limits.isinf().tolist()
    rows = zip(problem.params, problem.free, low, high, strict=True)
    return tuple(name for name, free, below, above in rows if free and below and above)


def profile(
    problem: Problem, fits: Groups, theta: Tensor, figures: Figures, asked: Quantity, m: int,
    slopes: Floats, found: Estimates, t: Floats,
) -> None:  # fmt: skip
    """Replaces the interval of a quantity by that of its profile; `figures` are of many fits, with
    the expected covariance; slopes (fits, q) are ∂h/∂θ by the free params."""
    formula = problem.formula
    assert isinstance(formula, Formula)
    new = free_name(formula)
    solved = solve(formula, asked.text, candidates(problem), new)
    assert solved is not None
    chosen: Bools = ~np.isnan(found.stderr[:, m]) & (found.stderr[:, m] > 0)
    for tree in solved.positive:
        inner = formula.derived_trees({"": tree}).read(theta)[0][:, 0]
        negative = chosen & ~(inner > 0)
        found.explain(negative, m, "its profile needs powers and abs() of values above 0")
        chosen &= ~negative
    if not chosen.any():
        return
    at = np.flatnonzero(chosen)
    own = _moved(problem, formula, solved, new, figures, at, slopes[at])
    start = _start(own.problem, problem, new, theta[at], found.value[at, m])
    groups = Groups(fits.spans[:, torch.from_numpy(at)], start)
    place = own.problem.free_params.index(new)
    wanted = np.zeros((len(at), len(own.problem.places)), dtype=np.bool_)
    wanted[:, place] = True
    made = profiles(own.problem, groups, own.figures, wanted, t[at], WORK)
    found.lower[at, m], found.upper[at, m] = made.ends[:, :, place]
    open_ended = np.isnan(made.ends[:, :, place]).any(axis=0)
    for i in np.flatnonzero(open_ended).tolist():
        found.reasons[at[i], m] = NO_LIMIT if made.open[i, place] else TIME


@dataclass(frozen=True, eq=False)
class _Moved:
    """The problem with the quantity as a param, and its statistics."""

    problem: Problem
    figures: Figures


def _moved(
    problem: Problem, formula: Formula, solved: Solved, new: str, figures: Figures, at: Floats,
    slopes: Floats,
) -> _Moved:  # fmt: skip
    changed = with_tie(formula, solved.param, solved.tree, new)
    old = {name: i for i, name in enumerate(problem.params)}
    source = [old.get(name, -1) for name in changed.params]
    lower, upper = (
        torch.tensor([limits[i] if i >= 0 else end for i in source], dtype=torch.float64)
        for limits, end in zip(problem.limits.tolist(), (-np.inf, np.inf), strict=True)
    )
    free = tuple(problem.free[i] if i >= 0 else True for i in source)
    own = replace(
        problem.double(), formula=changed, initial=torch.zeros(len(source), dtype=torch.float64),
        lower=lower, upper=upper, free=free,
    )  # fmt: skip
    names = problem.free_params
    change = np.zeros((len(at), len(own.free_params), len(names)))
    for row, name in enumerate(own.free_params):
        if name == new:
            change[:, row] = slopes
        else:
            change[:, row, names.index(name)] = 1.0
    covariance = change @ figures.covariance[at] @ change.transpose(0, 2, 1)
    stderr = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    statistics = replace(
        figures, free=own.free_params, variance=np.reshape(figures.variance, -1)[at],
        covariance=covariance, stderr=stderr,
    )  # fmt: skip
    return _Moved(own, statistics)


def _start(own: Problem, problem: Problem, new: str, theta: Tensor, values: Floats) -> Tensor:
    """The fits' params in those of the changed formula."""
    old = {name: i for i, name in enumerate(problem.params)}
    columns = [
        torch.from_numpy(values) if name == new else theta[:, old[name]].double()
        for name in own.params
    ]
    return torch.stack(columns, dim=1).contiguous()
