"""Errors in the inputs: the distance of each row to the curve, and its derivatives by the params.

With δ_ik the error of input k in row i the sum of squares is

    S(θ) = Σ_i min_δ [(f(x_i + δ; θ) − y_i)²/σ_y² + Σ_k δ_k²/σ_k²].

The δ of a row depend on θ alone, so they are eliminated row by row, from δ = 0, with the second
derivatives of the formula by its inputs (`distance_program`), damped where a step does not lower
the row's sum. With G_k = σ_k·∂f/∂x_k/σ_y at x + δ, the signed distance of a row and its derivative
are

    z = ±√(min …),   ∂z/∂θ = ∂f/∂θ / (σ_y·√(1 + Σ G_k²)),

exact at the minimum over δ, and z and ∂z/∂θ are what remains of the rows of [J_θ J_δ] after the
columns of δ are eliminated by QR. So the rows at x + δ with the standard deviation
σ_y·√(1 + ΣG²) have the S, the Jacobian and the covariance of the whole. Source: Boggs, Byrd and
Schnabel, SIAM J. Sci. Stat. Comput. 8 (1987) 1052.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel import operators
from service.engine.kernel.program import Program
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.objectives.distance_program import distance_program

if TYPE_CHECKING:
    from service.engine.problem import Problem

TRIALS = 60
"""Most trial steps of a row."""
SMALL, NONE = 1e-8, 1e-18
"""Squared relative length of a step after which the next would be none, and of one that is none."""
FEWER = 0.7
"""Part of the rows left below which the others are taken out of the arrays."""
FIRST_DAMPING, RISE, DECAY = 0.1, 10.0, 0.1
"""Damping after the first refused step, its growth with each further one, and its decay."""
LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e12
"""Below the first it is 0; beyond the second a row's sum cannot be lowered."""
NO_PARAMS = torch.empty((1, 0), dtype=torch.float64)


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


def nearest(problem: Problem, spans: Tensor, theta: Tensor) -> tuple[Nearest, tuple[Tensor, ...]]:
    """For groups of rows, each at its own θ (groups, params): the nearest points, and their data as
    the kernel's operators take them. The rows of groups follow one another, whatever their
    `spans`."""
    formula = problem.formula
    assert isinstance(formula, Formula)
    at, sizes = _rows_of(spans)
    noisy = noisy_inputs(problem)
    places = [formula.inputs.index(name) for name in noisy]
    inputs = problem.inputs.double().numpy()[:, at]
    spread = np.stack([problem.sigma_x[name].double().numpy()[at] for name in noisy])
    target = problem.target.double().numpy()[at]
    sigma = np.ones_like(target)
    if problem.sigma is not None:
        sigma = problem.sigma.double().numpy()[at]
    params = np.repeat(theta.double().numpy().T, sizes, axis=1)
    none = np.zeros_like(target)
    columns = (inputs, params, spread, np.zeros_like(spread), [target, sigma, none])
    errors, sums = _minimised(distance_program(formula, noisy), np.concatenate(columns), len(noisy))
    with np.errstate(all="ignore"):
        slant = np.sqrt(sums.steep)
        distance = np.copysign(np.sqrt(sums.value), sums.rho)
        whole = sigma * slant
        moved = target + sigma * (sums.rho - distance * slant)
    found = Nearest(errors * spread, moved, whole, distance)
    inputs = inputs.copy()
    inputs[places] += found.errors
    ends = np.cumsum(sizes)
    own = np.stack([ends - sizes, ends])
    return found, tuple(torch.from_numpy(each) for each in (inputs, moved, whole, own))


def noisy_inputs(problem: Problem) -> tuple[str, ...]:
    """The inputs with errors, in the order of the formula."""
    return tuple(name for name in problem.formula.inputs if name in problem.sigma_x)


def _rows_of(spans: Tensor) -> tuple[Ints | slice, Ints]:
    """The rows of groups, one group after another, and their number in each."""
    first, end = spans.numpy()
    sizes = end - first
    if bool((first[1:] == end[:-1]).all()):
        return slice(int(first[0]), int(end[-1])), sizes
    shift = np.repeat(first - np.cumsum(sizes) + sizes, sizes)
    return np.arange(len(shift)) + shift, sizes


class _Sums(NamedTuple):
    """The outputs of the program at trial errors, (rows,) each; see `distance_program`."""

    value: Floats
    rho: Floats
    steep: Floats
    size: Floats
    ends: Floats
    """(inputs with errors, rows)"""
    finite: Bools

    def at(self, rows: Ints) -> _Sums:
        return _Sums(*(each[..., rows] for each in self))

    def put(self, rows: Ints | Bools, others: _Sums) -> None:
        """Replaces those of some of the rows."""
        for each, other in zip(self, others, strict=True):
            each[..., rows] = other


def _read(program: Program, columns: Floats) -> _Sums:
    read = operators.read(program.tensors, torch.from_numpy(columns), NO_PARAMS)[:, 0].numpy()
    value, rho, steep, size = read[:4]
    return _Sums(value, rho, steep, size, read[4:], np.isfinite(value + steep))


@np.errstate(all="ignore")
def _minimised(program: Program, columns: Floats, k: int) -> tuple[Floats, _Sums]:
    """The errors of each row in units of their σ, and the sums there."""
    trial, damping = slice(-3 - k, -3), -1
    sums = _read(program, columns)
    found, ends = columns[trial], sums
    left, going = np.arange(columns.shape[1]), sums.finite
    rounding = (4.0 * np.finfo(np.float64).eps * columns[-3] / columns[-2]) ** 2
    for _ in range(TRIALS):
        going = going & (sums.size > NONE * sums.value + rounding)
        if not going.any():
            break
        if np.count_nonzero(going) < FEWER * len(left):
            if len(left) == len(ends.rho):
                found, ends = columns[trial], sums
            else:
                found[:, left] = columns[trial]
                ends.put(left, sums)
            kept = np.flatnonzero(going)
            left, columns, rounding = left[kept], columns[:, kept], rounding[kept]
            sums, going = sums.at(kept), going[kept]
        before, damped = columns[trial].copy(), columns[damping]
        slack = SMALL * sums.value
        last = sums.size <= slack + rounding
        columns[trial] = np.where(going, sums.ends, before)
        if damped.any():
            damped = damped.copy()
            columns[damping] = np.where(damped * DECAY < LEAST_DAMPING, 0.0, damped * DECAY)
        there = _read(program, columns)
        took = there.finite & (there.value <= sums.value + np.where(last, slack, 0.0))
        refused = going & ~took
        took &= going
        if took.all():
            sums = there
        else:
            sums = _Sums(*(np.where(took, a, b) for a, b in zip(there, sums, strict=True)))
            columns[trial] = np.where(took, columns[trial], before)
        going = going & ~last
        if refused.any():
            columns[damping][refused] = np.maximum(damped[refused] * RISE, FIRST_DAMPING)
            going &= columns[damping] <= MOST_DAMPING
            sums.put(refused, _read(program, columns[:, refused]))
    if len(left) == len(ends.rho):
        return columns[trial], sums
    found[:, left] = columns[trial]
    ends.put(left, sums)
    return found, ends
