"""Errors in the inputs: the distance of each row to the curve, and its derivatives by the params.

With δ_ik the error of input k in row i the sum of squares is

    S(θ) = Σ_i min_δ [(f(x_i + δ; θ) − y_i)²/σ_y² + Σ_k δ_k²/σ_k²].

The δ of a row depend on θ alone, so they are eliminated row by row: by Newton's method with the
second derivatives of the formula by its inputs, from δ = 0, damped where a step does not lower the
row's sum. With G_k = σ_k·∂f/∂x_k/σ_y at x + δ, the signed distance of a row and its derivative are

    z = ±√(min …),   ∂z/∂θ = ∂f/∂θ / (σ_y·√(1 + Σ G_k²)),

exact at the minimum over δ, and z and ∂z/∂θ are what remains of the rows of [J_θ J_δ] after the
columns of δ are eliminated by QR. So the rows at x + δ with the standard deviation
σ_y·√(1 + ΣG²) have the S, the Jacobian and the covariance of the whole. Source: Boggs, Byrd and
Schnabel, SIAM J. Sci. Stat. Comput. 8 (1987) 1052.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.derivatives import slopes
from service.engine.formula import Formula
from service.engine.kernel import operators
from service.engine.kernel.program import Program
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.tape import Builder, Node, Tape

if TYPE_CHECKING:
    from service.engine.problem import Problem

TRIALS = 60
"""Most trial steps of a row."""
SMALL = 1e-13
"""Relative fall of a row's sum that a last step promises."""
DEFINITE = 0.05
"""Smallest pivot of a row's Hessian, in units of 1/σ_x², that counts as positive."""
FIRST_DAMPING, RISE, DECAY = 0.1, 10.0, 0.1
"""Damping after the first refused step, its growth with each further one, and its decay."""
LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e12
"""Below the first it is 0; beyond the second a row's sum cannot be lowered."""


class Nearest(NamedTuple):
    """Rows at the points of the curve that are nearest to them, (rows,) float64."""

    errors: Floats
    """δ of the inputs with errors, (inputs with errors, rows)."""
    target: Floats
    """The target whose residual at x + δ, over `sigma`, is the signed distance."""
    sigma: Floats
    """The standard deviation σ_y·√(1 + ΣG²)."""
    distance: Floats
    """The signed distance z."""


@dataclass(frozen=True)
class _Sums:
    """The sums of rows at trial δ = σ·t, with their derivatives by t; the rows are last."""

    rho: Floats
    """(f − y)/σ_y"""
    value: Floats
    """ρ² + Σt²"""
    slope: Floats
    """G, (k, rows)."""
    bent: Floats
    """ρ·∂G/∂t, (k, k, rows)."""
    rounding: Floats
    """Of `value`."""

    def at(self, rows: Ints) -> _Sums:
        return _Sums(*(each[..., rows] for each in vars(self).values()))


def nearest(problem: Problem, spans: Tensor, theta: Tensor) -> tuple[Nearest, tuple[Tensor, ...]]:
    """For groups of rows, each at its own θ (groups, params): the nearest points, and their data as
    the kernel's operators take them. The rows of groups follow one another, whatever their
    `spans`."""
    formula = problem.formula
    assert isinstance(formula, Formula)
    at, sizes = _rows_of(spans)
    inputs = problem.inputs.double().numpy()[:, at]
    params = np.repeat(theta.double().numpy().T, sizes, axis=1)
    noisy = problem.noisy_inputs
    places = [formula.inputs.index(name) for name in noisy]
    spread = np.stack([problem.sigma_x[name].double().numpy()[at] for name in noisy])
    target = problem.target.double().numpy()[at]
    sigma = np.ones_like(target)
    if problem.sigma is not None:
        sigma = problem.sigma.double().numpy()[at]
    rows = _Reading(_program(formula, noisy), np.concatenate([inputs, params]), places, spread)
    with np.errstate(all="ignore"):
        errors, sums = _minimised(rows, target, sigma)
        slant = np.sqrt(1.0 + (sums.slope**2).sum(axis=0))
        distance = np.copysign(np.sqrt(sums.value), sums.rho)
        whole = sigma * slant
        moved = target + sigma * sums.rho - distance * whole
    found = Nearest(errors * spread, moved, whole, distance)
    columns = inputs.copy()
    columns[places] += found.errors
    ends = torch.from_numpy(np.cumsum(sizes))
    own = torch.stack([ends - torch.from_numpy(sizes), ends])
    return found, (*(torch.from_numpy(each) for each in (columns, moved, whole)), own)


def _rows_of(spans: Tensor) -> tuple[Ints, Ints]:
    """The rows of groups, one group after another, and their number in each."""
    first, end = spans.numpy()
    sizes = end - first
    shift = np.repeat(first - np.cumsum(sizes) + sizes, sizes)
    return np.arange(len(shift)) + shift, sizes


def _program(formula: Formula, noisy: tuple[str, ...]) -> Program:
    if noisy not in formula.input_programs:
        formula.input_programs[noisy] = _derivatives(formula, noisy)
    return formula.input_programs[noisy]


def _derivatives(formula: Formula, noisy: tuple[str, ...]) -> Program:
    """The program of f, of ∂f/∂x and of the upper triangle of ∂²f/∂x² by those inputs, with the
    params as further columns, so that each row has its own."""
    builder, output = Builder.of(formula.prediction), formula.prediction.outputs[0]
    leaves = [builder.column(name) for name in noisy]
    first = slopes(builder, output, leaves)
    second = [each for i, node in enumerate(first) for each in slopes(builder, node, leaves[i:])]
    tape = builder.tape([output, *first, *second])
    nodes = tuple(
        Node("column", node.name) if node.kind == "param" else node for node in tape.nodes
    )
    names = (*formula.inputs, *formula.params)
    return Program.of(Tape(nodes, tape.outputs), (), names, [0] * (len(tape.outputs) - 1))


class _Reading:
    """The formula at rows, with its derivatives by the inputs in units of their errors."""

    def __init__(self, program: Program, columns: Floats, places: list[int], spread: Floats):
        self._program, self._columns, self._places, self._spread = program, columns, places, spread

    def sums(self, errors: Floats, rows: Ints, target: Floats, sigma: Floats) -> _Sums:
        """At δ = σ·`errors` of some of the rows."""
        columns, spread = self._columns[:, rows], self._spread[:, rows]
        columns[self._places] += errors * spread
        inputs, none = torch.from_numpy(columns), torch.empty((1, 0), dtype=torch.float64)
        read = operators.read(self._program.tensors, inputs, none)[:, 0].numpy()
        k = len(errors)
        rho, unit = (read[0] - target) / sigma, spread / sigma
        slope = np.where(spread > 0, read[1 : 1 + k] * unit, 0.0)
        bent = np.zeros((k, k, len(rows)))
        for place, (i, j) in enumerate(zip(*np.triu_indices(k), strict=True)):
            both = spread[i] * spread[j]
            bent[i, j] = np.where(both > 0, rho * read[1 + k + place] * both / sigma, 0.0)
            bent[j, i] = bent[i, j]
        value = rho**2 + (errors**2).sum(axis=0)
        epsilon = np.finfo(np.float64).eps
        size = (np.abs(read[0]) + np.abs(target)) / sigma
        return _Sums(rho, value, slope, bent, 4.0 * epsilon * np.abs(rho) * size)


def _minimised(reading: _Reading, target: Floats, sigma: Floats) -> tuple[Floats, _Sums]:
    """The errors of each row in units of their σ, and the sums there."""
    k, count = len(reading._places), len(target)
    errors = np.zeros((k, count))
    sums = reading.sums(errors, np.arange(count), target, sigma)
    going = np.flatnonzero(np.isfinite(sums.value) & np.isfinite(sums.slope).all(axis=0))
    damping = np.zeros(count)
    for _ in range(TRIALS):
        if not len(going):
            break
        here = sums.at(going)
        at = errors[:, going]
        gradient = here.rho * here.slope + at
        step = _step(here, gradient, damping[going])
        promised = -(step * gradient).sum(axis=0)
        last = promised <= SMALL * here.value + here.rounding
        there = reading.sums(at + step, going, target[going], sigma[going])
        finite = np.isfinite(there.value) & np.isfinite(there.slope).all(axis=0)
        allowed = here.value + np.where(last, here.rounding + SMALL * here.value, 0.0)
        took = finite & (there.value <= allowed)
        moved = going[took]
        errors[:, moved] = (at + step)[:, took]
        for name, each in vars(sums).items():
            each[..., moved] = getattr(there, name)[..., took]
        eased = damping[going] * DECAY
        eased[eased < LEAST_DAMPING] = 0.0
        raised = np.maximum(damping[going] * RISE, FIRST_DAMPING)
        damping[going] = np.where(took, eased, raised)
        going = going[~(last | (~took & (raised > MOST_DAMPING)))]
    return errors, sums


def _step(here: _Sums, gradient: Floats, damping: Floats) -> Floats:
    """Newton's step of each row, or Gauss and Newton's where the Hessian is not positive definite;
    by Cholesky's factors L·D·Lᵀ of the k × k matrices, all rows at once."""
    slope, k = here.slope, len(here.slope)
    plain = slope[:, None] * slope[None]
    plain[np.arange(k), np.arange(k)] += 1.0
    diagonal = damping * np.stack([plain[i, i] for i in range(k)])
    bent = np.where(np.isfinite(here.bent), here.bent, 0.0)
    found, definite = _solved(plain + bent, diagonal, gradient)
    if definite.all():
        return -found
    other, _ = _solved(plain, diagonal, gradient)
    return -np.where(definite, found, other)


def _solved(matrix: Floats, diagonal: Floats, right: Floats) -> tuple[Floats, Bools]:
    """The solutions of symmetric systems (k, k, rows) with a diagonal added, and whether their
    pivots are positive."""
    k = len(right)
    lower, pivots, found = np.zeros_like(matrix), np.empty_like(right), right.copy()
    definite = np.ones(right.shape[1], dtype=np.bool_)
    for j in range(k):
        pivots[j] = matrix[j, j] + diagonal[j]
        for m in range(j):
            pivots[j] -= lower[j, m] ** 2 * pivots[m]
        definite &= pivots[j] > DEFINITE
        for i in range(j + 1, k):
            lower[i, j] = matrix[i, j]
            for m in range(j):
                lower[i, j] -= lower[i, m] * lower[j, m] * pivots[m]
            lower[i, j] /= pivots[j]
            found[i] -= lower[i, j] * found[j]
    for j in reversed(range(k)):
        found[j] /= pivots[j]
        for i in range(j + 1, k):
            found[j] -= lower[i, j] * found[i]
    return found, definite
