"""Ratios of a quantity between groups that share params, or their noise.

With the params α_g of a group and the shared ones β, α_g = a_g + L_g(β − β̂) where a_g does not
depend on β: L_g = Cov(α_g, β) Var(β)⁻¹, and the covariance of two groups is L_g Var(β) L_hᵀ. So
quantities of two groups have the covariance w_g Var(β) w_hᵀ with w = ∂h/∂α L + ∂h/∂β.

Intervals are Fieller's, J. R. Stat. Soc. B 16 (1954) 175: all R with
(a − R·b)² ≤ t²(v11 − 2R·v12 + R²·v22); as those of relative potency, Finney, Statistical Method in
Biological Assay, 3rd ed. (1978), 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.engine.kernel.types import Bools, Floats


@dataclass(frozen=True, eq=False)
class Spread:
    """Covariances of groups with q own params and r shared ones."""

    local: Floats
    """Of each group's own params with each other and with the shared ones, (groups, q, q + r)."""
    shared: Floats
    """(r, r)"""
    t: float
    """Half the width of an interval in standard errors."""


@dataclass(frozen=True, eq=False)
class Ratios:
    """Of one quantity, (groups,) each; NaN where a number does not exist."""

    value: Floats
    stderr: Floats
    lower: Floats
    upper: Floats
    unbounded: Bools
    """Where the denominator does not differ significantly from 0 (g ≥ 1)."""


@np.errstate(all="ignore")
def ratios(
    values: Floats, slopes: Floats, spread: Spread, reference: int, *, inverse: bool
) -> Ratios:
    """A quantity of each group over that of the reference; with `inverse` under it.

    values (groups,); slopes (groups, q + r), their derivatives by own and shared params.
    """
    q = spread.local.shape[1]
    own, joint = spread.local[:, :, :q], spread.local[:, :, q:]
    by_local, by_shared = slopes[:, :q], slopes[:, q:]
    follow = joint @ np.linalg.pinv(np.nan_to_num(spread.shared), hermitian=True)
    through = np.einsum("gi,gij->gj", by_local, follow) + by_shared
    variance = (
        np.einsum("gi,gij,gj->g", by_local, own, by_local)
        + 2 * np.einsum("gi,gij,gj->g", by_local, joint, by_shared)
        + np.einsum("gi,ij,gj->g", by_shared, spread.shared, by_shared)
    )
    between = through @ spread.shared @ through[reference]
    between[reference] = variance[reference]
    other = np.full_like(values, values[reference]), np.full_like(values, variance[reference])
    (a, v11), (b, v22) = (values, variance), other
    if inverse:
        (a, v11), (b, v22) = (b, v22), (a, v11)
    ratio, squared = a / b, spread.t**2
    stderr = np.sqrt(np.maximum(v11 - 2 * ratio * between + ratio**2 * v22, 0.0)) / np.abs(b)
    leading, middle = b * b - squared * v22, a * b - squared * between
    root = np.sqrt(np.maximum(middle * middle - leading * (a * a - squared * v11), 0.0))
    lower, upper = (middle - root) / leading, (middle + root) / leading
    unbounded = leading <= 0
    lower[unbounded] = upper[unbounded] = np.nan
    return Ratios(ratio, stderr, lower, upper, unbounded)
