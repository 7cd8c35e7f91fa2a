"""Standard curves: fits of one formula, evaluated at many x with their slopes and variances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.derivatives import slopes
from service.engine.formula import Formula
from service.engine.kernel import composite, operators
from service.engine.kernel.program import Program
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.scaling import Scale
from service.engine.tape import Builder

Range = tuple[float, float]

POINTS = 96
"""Points of the linear parts of a grid,"""
DECADES = 9
"""and decades of its geometric part, where the range begins at 0."""
OUTSIDE = 2.0 ** np.arange(-4, 41, 2)
"""Distances of its points beyond the range, where the ends of intervals may be, in widths."""
SLACK = 1e-9
"""The part of its width by which a range is extended, for rounding."""


@dataclass(frozen=True, eq=False)
class StandardCurves:
    """Fits of one formula: a curve each, of the input `solve_for`."""

    formula: Formula
    solve_for: str
    scaling: Mapping[str, Scale]
    theta: Floats
    """(curves, params), in the order of the formula."""
    free: tuple[int, ...]
    """Positions of the free params."""
    covariance: Floats | None
    """(curves, q, q), NaN for a curve that has none."""
    t: Floats
    """Half the width of an interval in standard errors, (curves,)."""

    @cached_property
    def program(self) -> Program:
        """The outputs f, ∂f/∂x and ∂f/∂θ of the free params."""
        builder, outputs = Builder.of(self.formula.tape), self.formula.tape.outputs
        (by_x,) = slopes(builder, outputs[0], [builder.column(self.solve_for)])
        tape = builder.tape([outputs[0], by_x, *(outputs[1 + i] for i in self.free)])
        return Program.of(tape, self.formula.params, self.formula.inputs, (0, *self.free))

    @cached_property
    def points(self) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.theta))

    def read(
        self, program: Program, x: Floats, curve: Ints, others: Mapping[str, Floats]
    ) -> Floats:
        """The outputs of a program at x of some curves, (outputs, points); others: the inputs
        besides x, (points,)."""
        columns = []
        for name in self.formula.inputs:
            raw = x if name == self.solve_for else others[name]
            scaled = self.scaling[name].apply(raw) if name in self.scaling else raw
            columns.append(torch.from_numpy(np.ascontiguousarray(scaled)))
        if len(self.theta) == 1:
            read = operators.read(program.tensors, torch.stack(columns), self.points)
            found: Floats = read[:, 0].numpy()
            return found
        inputs = [column.unsqueeze(-1) for column in columns]
        outputs = composite.outputs_of(program.tensors, inputs, self.points[curve])
        return torch.stack([each.expand(len(x), 1).squeeze(-1) for each in outputs]).numpy()

    @property
    def unit(self) -> float:
        """∂x′/∂x of the scaled x′ that the formula takes."""
        return self.scaling[self.solve_for].scale if self.solve_for in self.scaling else 1.0

    def variance(self, outputs: Floats, curve: Ints) -> Floats:
        """gᵀCg of each point, from its `program` outputs; NaN without a covariance."""
        if self.covariance is None:
            return np.full(outputs.shape[1], np.nan)
        g = outputs[2:]
        if len(self.covariance) == 1:
            found: Floats = ((self.covariance[0] @ g) * g).sum(axis=0)
        else:
            found = np.einsum("ik,kij,jk->k", g, self.covariance[curve], g)
        return np.where(found < 0, 0.0, found)


@dataclass(frozen=True, eq=False)
class Readings:
    """The mean of the readings of each sample; all (samples,)."""

    mean: Floats
    """On the scale of the formula's left side."""
    variance: Floats
    """Of the mean about the curve; 0 for the mean of infinitely many readings."""
    curve: Ints
    others: Mapping[str, Floats]
    """The inputs besides x, raw."""

    def part(self, rows: slice) -> Readings:
        """Some samples."""
        others = {name: column[rows] for name, column in self.others.items()}
        return Readings(self.mean[rows], self.variance[rows], self.curve[rows], others)


class Grid(NamedTuple):
    """Points at which curves are evaluated, ascending, in and around the ranges of x: `known`, the
    one that the curves were fitted to, and `searched`, in which roots are looked for."""

    x: Floats
    known: Range
    searched: Range

    @property
    def width(self) -> float:
        """The width of the narrower range."""
        widths = (self.known[1] - self.known[0], self.searched[1] - self.searched[0])
        return min((width for width in widths if width > 0), default=1.0)

    @classmethod
    @np.errstate(all="ignore")
    def of(cls, known: Range, searched: Range) -> Grid:
        low, high = searched
        width = max(high - low, 1e-3 * max(abs(low), abs(high))) or 1.0
        parts = [np.linspace(low, high, POINTS), np.linspace(*known, POINTS), np.zeros(1)]
        if low >= 0 or high <= 0:
            nearer, farther = sorted((abs(low), abs(high)))
            least = max(nearer, farther * 10.0**-DECADES)
            if 0 < least < farther:
                parts.append(np.geomspace(least, farther, POINTS) * (1 if high > 0 else -1))
        x = np.concatenate([*parts, low - width * OUTSIDE, high + width * OUTSIDE])
        slack = SLACK * (known[1] - known[0])
        x = np.unique(x[np.isfinite(x)])
        return cls(x, (known[0] - slack, known[1] + slack), searched)


def within(x: Floats, limits: Range) -> Bools:
    """Which points are in a range."""
    found: Bools = (x >= limits[0]) & (x <= limits[1])
    return found
