"""Long data, reduced part by part to one R factor.

A part is laid out as `MANY` pieces side by side; the R factors of the pieces, and then of the
parts, are merged (Demmel et al., SIAM J. Sci. Comput. 34 (2012) A206). So no more than one part's
Jacobian is ever held, and it stays in cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from service.engine.devices import at_once
from service.engine.factors import MANY, triangle
from service.engine.formula import Formula
from service.engine.group_objective import GroupObjective
from service.engine.problem import Problem

PART = 2**16
"""Rows that are reduced together (docs/benchmarks.md has the measurement)."""


def is_long(problem: Problem) -> bool:
    """Whether a problem is reduced part by part."""
    return problem.rows > 2 * PART and isinstance(problem.formula, Formula)


class LongObjective:
    """A problem's least squares on long data, for θ (params,)."""

    def __init__(self, problem: Problem) -> None:
        self._parts = list(_parts(problem))
        self._rows = problem.rows

    def linearise(self, free: Tensor) -> tuple[Tensor, Tensor]:
        """The loss (1,) and the R factor of [J z] (1, free + 1, free + 1), for (1, free)."""
        found = [part.sums(free) for part in self._parts]
        loss = torch.stack([rho.sum() for rho, _ in found]).sum() / self._rows
        return loss.reshape(1), merged([factor for _, factor in found]).unsqueeze(0)

    def residuals(self, theta: Tensor) -> Tensor:
        """z at θ (params,): (rows,)."""
        z = theta.new_empty(self._rows)
        at = 0
        for part in self._parts:
            end = at + part.target.numel()
            part.residuals(theta.unsqueeze(0), out=z[at:end].view(part.target.shape))
            at = end
        return z

    def columns(self, theta: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each part z (rows,), and ∂z/∂θ over the free params with room for one column more
        (free + 1, pieces, rows of a piece)."""
        for part in self._parts:
            columns = part.finite_columns(theta.unsqueeze(0))
            yield columns[-1].flatten().clone(), columns


def merged(factors: list[Tensor]) -> Tensor:
    """One R of the R factors (pieces, p + 1, p + 1) of all parts."""
    return triangle(torch.cat([factor.flatten(0, 1) for factor in factors]))


def _parts(problem: Problem) -> Iterator[GroupObjective]:
    """Whole parts in pieces side by side, and what is left as one piece."""
    whole = problem.rows - problem.rows % PART
    size = PART * at_once(problem.target.device)
    for start in range(0, whole, size):
        yield _part(problem, slice(start, min(start + size, whole)), MANY)
    if whole < problem.rows:
        yield _part(problem, slice(whole, problem.rows), 1)


def _part(problem: Problem, rows: slice, pieces: int) -> GroupObjective:
    formula = problem.formula
    assert isinstance(formula, Formula)
    columns: Mapping[str, Tensor] = {
        name: column[rows].reshape(pieces, -1) for name, column in problem.columns.items()
    }
    target = problem.target[rows].reshape(pieces, -1)
    return GroupObjective(
        formula.tape.bind(columns, formula.params, target),
        target,
        None if problem.sigma is None else problem.sigma[rows].reshape(pieces, -1),
        None,
        torch.tensor(float(target.shape[-1]), device=target.device),
        problem.initial.unsqueeze(0),
        tuple(i for i, free in enumerate(problem.free) if free),
        problem.loss,
    )
