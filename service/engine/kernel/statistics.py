"""The statistics of fits, from their R factors and sums: one set of formulas for one and for many.

With n rows, p free params and RSS = Σz²: s² = RSS/(n − p), or 1 where σ is absolute; covariance =
s²(JᵀJ)⁻¹; R² = 1 − RSS/Σ((y − ȳ)/σ)²; AIC as R has it for nls, σ² counted as a param. NaN stands
for what cannot be had. Sources: Seber and Wild, Nonlinear Regression (1989), ch. 2 and 5; R's
logLik.nls and AIC.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.kernel.compiled import allocating, compiled
from service.engine.kernel.determination import Determined, determination_room, determine_one
from service.engine.kernel.factors import copy_matrix, length
from service.engine.kernel.reduction import LOG_SIGMA, SIZE, SPREAD, TOTAL
from service.engine.kernel.types import Floats, Ints

ROUNDING = 1e-12
"""Residuals this small, next to the target, are rounding: the fit is at its minimum. A target that
varies by no more is constant."""

FIGURES = 8
VARIANCE, R_SQUARED, AIC, NOISE, OFFSET, CONDITION, PULL, FINITE = range(FIGURES)
"""Of a fit, columns of `numbers`: RSS/(n − p); R²; AIC; s, or 1 where σ is absolute; and of
`determination.Determined` its offset, condition, pull and finite."""
LOST, FLAT, HELD = range(3)
"""Of a fit, rows of `flags`: see `determination.Determined`."""


@allocating
def summarise(
    factors: Floats, sums: Floats, rows: Ints, theta: Floats, limits: Floats,
    free: int, named: bool, least_squares: bool, smooth: bool, absolute: bool,
) -> tuple[Floats, Floats, Floats, Floats]:  # fmt: skip
    """Of fits, their R of QR [J | ψ] (fits, q + 1, q + 1), their sums (fits, 4; see `reduction`)
    and rows (fits,), at θ (fits, q) within limits (2, q), of the free params alone: numbers (fits,
    FIGURES), covariances (fits, q, q), standard errors (fits, q) and flags (fits, 3, q), 0 or 1.
    `free` is how many params are free, `named` whether they have standard errors (else q is 0),
    `least_squares` whether the loss has."""
    many, q = factors.shape[0], factors.shape[1] - 1
    numbers, flags = np.empty((many, FIGURES)), np.zeros((many, 3, q))
    covariance, stderr = np.full((many, q, q), np.nan), np.full((many, q), np.nan)
    found = Determined(
        np.empty((1, q, q)), np.empty((1, q, q)), np.empty(1, np.bool_), np.empty(1),
        np.empty((1, q), np.bool_), np.empty((1, q), np.bool_), np.empty((1, q), np.bool_),
        np.empty(1), np.empty(1),
    )  # fmt: skip
    room, factor = determination_room(q), np.empty((q + 1, q + 1))
    for g in range(many):
        copy_matrix(factors[g], factor)
        if sums[g, TOTAL] <= (ROUNDING * sums[g, SIZE]) ** 2:
            for i in range(q + 1):
                factor[i, q] = 0.0
        determine_one(factor, rows[g], theta[g], limits[0], limits[1], found, 0, room)
        _fill(numbers[g], sums[g], found, rows[g], free, named, least_squares, smooth, absolute)
        if least_squares and named:
            _spread(numbers[g], found, covariance[g], stderr[g])
        for j in range(q):
            flags[g, LOST, j] = 1.0 if found.lost[0, j] else 0.0
            flags[g, FLAT, j] = 1.0 if found.flat[0, j] else 0.0
            flags[g, HELD, j] = 1.0 if found.held[0, j] else 0.0
    return numbers, covariance, stderr, flags


@compiled
def _fill(
    numbers: Floats, sums: Floats, found: Any, n: int, q: int,
    named: bool, least_squares: bool, smooth: bool, absolute: bool,
) -> None:  # fmt: skip
    total, degrees = sums[TOTAL], n - q
    numbers[VARIANCE] = total / degrees if degrees > 0 else math.nan
    varies = sums[SPREAD] > (ROUNDING * sums[SIZE]) ** 2
    numbers[R_SQUARED] = 1.0 - total / sums[SPREAD] if varies else math.nan
    numbers[NOISE] = 1.0 if absolute else math.sqrt(numbers[VARIANCE])
    numbers[AIC] = math.nan
    if least_squares and named:
        logs = math.log(2.0 * math.pi) + 1.0 - math.log(n) + math.log(total)
        numbers[AIC] = n * logs + 2.0 * sums[LOG_SIGMA] + 2.0 * (q + 1)
        if absolute:
            known = n * math.log(2.0 * math.pi) + total
            numbers[AIC] = known + 2.0 * sums[LOG_SIGMA] + 2.0 * q
    offset = found.offset[0]
    if not smooth:
        offset = 0.0
    elif not least_squares and named and total > 0.0 and found.pull[0] == 0.0:
        offset = math.inf
    numbers[OFFSET], numbers[CONDITION] = offset, found.condition[0]
    numbers[PULL], numbers[FINITE] = found.pull[0], 1.0 if found.finite[0] else 0.0


@compiled
def _spread(numbers: Floats, found: Any, covariance: Floats, stderr: Floats) -> None:
    """s²(JᵀJ)⁻¹, and its roots as s·‖row of R⁻¹‖, which can be had where a variance would be too
    small for float64, too; the noise is NaN where there is none."""
    q, noise = len(stderr), numbers[NOISE]
    fine = True
    for i in range(q):
        for j in range(q):
            covariance[i, j] = found.products[0, i, j] * noise * noise
            fine = fine and math.isfinite(covariance[i, j])
        stderr[i] = length(found.inverse[0, i], q) * noise
    if not fine:
        numbers[NOISE] = math.nan
        for i in range(q):
            stderr[i] = math.nan
            for j in range(q):
                covariance[i, j] = math.nan
