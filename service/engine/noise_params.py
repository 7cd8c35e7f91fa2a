"""Params of the noise by pseudo-likelihood: the minimum of Σ ln σ² + r²/σ² for given residuals r.

It is the fit of r² with the mean σ² and a Gamma distribution (Carroll and Ruppert, Transformation
and Weighting in Regression, 1988, 3.2; Davidian and Carroll, JASA 82 (1987) 1079). Fisher scoring:
with j = ∂ln σ/∂φ and w = r²/σ² the information is 2Σjjᵀ, and the step solves (2Σjjᵀ)δ = Σ(w − 1)j,
damped as Levenberg and Marquardt do. Many sets of rows (pools) are fitted at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from service.engine.formula import Formula
from service.engine.kernel.composite import outputs_of
from service.engine.kernel.types import Bools, Floats, Ints

STEPS = 200
TOGETHER = 5
"""Steps after which the pools that have converged are left alone."""
STARTS = (1.0, 0.1)
"""Initial values that are tried for each param, besides the root mean square of the residuals."""
DAMPING = 1e-3
MOST_DAMPING = 1e12
SMALL = 1e-13
"""Relative step after which the params have converged,"""
SMALL_ROUGHLY = 1e-8
"""of replicates,"""
ROUNDED = 1e-11
"""and that at which they have where it does not lower the deviance, but for rounding."""
NOTHING = 1e-10
"""Singular values, relative to the largest, that count as zero."""


class NoiseParams(NamedTuple):
    """Params of the noise of pools."""

    values: Floats
    """(pools, m)"""
    stderr: Floats
    """(pools, m); NaN where the residuals do not determine the params."""
    extra: Ints
    """How many directions of these params are no common factor of σ, (pools,)."""


class Variance:
    """The expression of σ on the rows of pools, which follow each other."""

    def __init__(
        self, formula: Formula, columns: Mapping[str, Floats], residuals: Floats, sizes: Ints
    ) -> None:
        self._given = formula, columns, residuals
        self._program = formula.full.tensors
        inputs = [np.ascontiguousarray(columns[name]) for name in formula.inputs]
        self._inputs = [torch.from_numpy(each).unsqueeze(-1) for each in inputs]
        self._squares = np.square(residuals)
        self._of = np.repeat(np.arange(len(sizes)), sizes)
        self._first = np.cumsum(sizes) - sizes
        self.params = len(formula.params)
        self.sizes = sizes

    def at(self, pools: Ints) -> Variance:
        """The same of some of the pools."""
        formula, columns, residuals = self._given
        rows = np.flatnonzero(np.isin(self._of, pools))
        own = {name: columns[name][rows] for name in formula.inputs}
        return Variance(formula, own, residuals[rows], self.sizes[pools])

    @property
    def spread(self) -> Floats:
        """The root mean square of the residuals, (pools,)."""
        found: Floats = np.sqrt(self._summed(self._squares) / self.sizes)
        return found

    def read(self, values: Floats) -> tuple[Floats, Floats]:
        """σ (rows,) and ∂σ/∂φ (rows, m) with the params (pools, m)."""
        rows = len(self._of)
        found = outputs_of(self._program, self._inputs, torch.from_numpy(values[self._of]))
        sigma, *slopes = (each.expand(rows, 1).squeeze(-1).numpy() for each in found)
        return sigma, np.stack(slopes, axis=-1) if slopes else np.empty((rows, 0))

    def deviance(self, values: Floats) -> Floats:
        """Σ ln σ² + r²/σ², (pools,); infinite where a σ is not a positive number."""
        return self._deviance(self.read(values)[0])

    def _deviance(self, sigma: Floats) -> Floats:
        fine = np.isfinite(sigma) & (sigma > 0)
        known = np.where(fine, sigma, 1.0)
        each = np.where(fine, 2 * np.log(known) + self._squares / np.square(known), np.inf)
        return np.nan_to_num(self._summed(each), nan=np.inf)

    def scoring(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """The deviance (pools,), Σjjᵀ (pools, m, m) and Σ(w − 1)j (pools, m)."""
        sigma, slopes = self.read(values)
        j = slopes / sigma[:, None]
        w = self._squares / np.square(sigma)
        return (
            self._deviance(sigma),
            self._summed(j[:, :, None] * j[:, None, :]),
            self._summed((w - 1)[:, None] * j),
        )

    def extra(self, values: Floats) -> Ints:
        """See `NoiseParams`: the rank of [j 1] less one."""
        sigma, slopes = self.read(values)
        j = np.concatenate([slopes / sigma[:, None], np.ones((len(sigma), 1))], axis=1)
        squares = self._summed(j[:, :, None] * j[:, None, :])
        size = np.sqrt(np.diagonal(squares, axis1=1, axis2=2))
        unit = np.where(size > 0, size, 1.0)
        scaled = np.nan_to_num(squares / unit[:, :, None] / unit[:, None, :])
        found: Ints = np.linalg.matrix_rank(scaled, tol=NOTHING, hermitian=True) - 1
        return found

    def _summed(self, rows: Floats) -> Floats:
        found: Floats = np.add.reduceat(rows, self._first, axis=0)
        return found


@np.errstate(all="ignore")
def estimate(variance: Variance, start: Floats, *, roughly: bool = False) -> NoiseParams:
    """The params of each pool from a start (pools, m); NaN in it: values that are tried."""
    values = _started(variance, start)
    left: Bools = np.isfinite(variance.deviance(values))
    damping = np.full(len(values), DAMPING)
    small = SMALL_ROUGHLY if roughly else SMALL
    known = roughly and not np.isnan(start).any()  # the rounds go on, so a few steps are enough
    for _ in range(1 if known else -(-STEPS // TOGETHER)):
        own = np.flatnonzero(left)
        if not len(own):
            break
        some = variance if len(own) == len(left) else variance.at(own)
        values[own], damping[own], left[own] = _stepped(some, values[own], damping[own], small)
    _, squares, _ = variance.scoring(values)
    return NoiseParams(values, _stderr(squares), variance.extra(values))


def _stepped(
    variance: Variance, values: Floats, damping: Floats, least: float
) -> tuple[Floats, Floats, Bools]:
    """The params after `TOGETHER` steps, their damping, and which have not converged: whose step is
    not `least` of them."""
    active, eye = np.ones(len(values), dtype=np.bool_), np.eye(variance.params)
    for _ in range(TOGETHER):
        if not active.any():
            break
        before, squares, slope = variance.scoring(values)
        size = np.diagonal(squares, axis1=1, axis2=2)
        known = active & np.isfinite(squares).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1)
        ridge = (damping[:, None] * np.maximum(size, np.finfo(float).tiny))[:, :, None] * eye
        matrix = np.where(known[:, None, None], 2 * (squares + ridge), eye)
        step = np.linalg.solve(matrix, np.where(known[:, None], slope, 0.0)[:, :, None])[:, :, 0]
        trial = values + step
        after = variance.deviance(trial)
        taken = known & (after <= before)
        moved = np.abs(step).max(axis=1) / np.abs(values).max(axis=1)
        small = moved <= np.where(taken, least, max(least, ROUNDED))
        values = np.where(taken[:, None], trial, values)
        damping = np.where(taken, damping / 10, damping * 10)
        active = known & ~small & (damping < MOST_DAMPING)
    return values, damping, active


def _started(variance: Variance, start: Floats) -> Floats:
    """The start with the lowest deviance, of those that are tried."""
    missing = np.isnan(start)
    best, lowest = start, np.full(len(start), np.inf)
    tried: Sequence[int] = np.flatnonzero(missing.any(axis=0)).tolist()
    choices = np.stack([variance.spread, *(np.full(len(start), each) for each in STARTS)])
    for which in product(range(len(choices)), repeat=len(tried)):
        point = start.copy()
        for column, choice in zip(tried, which, strict=True):
            point[:, column] = np.where(missing[:, column], choices[choice], start[:, column])
        found = variance.deviance(point)
        lower = found < lowest
        best, lowest = np.where(lower[:, None], point, best), np.where(lower, found, lowest)
    return np.where(np.isnan(best), 1.0, best)


def _stderr(squares: Floats) -> Floats:
    """√diag((2Σjjᵀ)⁻¹), NaN where it is singular."""
    size = np.sqrt(np.diagonal(squares, axis1=1, axis2=2))
    unit = np.where(size > 0, size, np.nan)
    scaled = squares / unit[:, :, None] / unit[:, None, :]
    found = np.full(size.shape, np.nan)
    whole = np.flatnonzero(np.isfinite(scaled).all(axis=(1, 2)))
    regular = whole[np.linalg.cond(scaled[whole]) < 1 / NOTHING] if len(whole) else whole
    inverse = np.linalg.inv(scaled[regular])
    found[regular] = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2) / 2) / unit[regular]
    return found
