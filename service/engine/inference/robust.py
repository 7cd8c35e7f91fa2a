"""Standard errors of fits with a robust loss: Huber, Robust Statistics (1981), 7.6.

With z = residual/σ, J = ∂z/∂θ of rank p, and ψ the derivative of the loss, of n rows:

    K² · [Σψ(z)²/(n − p)] / [mean ψ′(z)]² · (JᵀJ)⁻¹,  K = 1 + (p/n)·var ψ′(z)/(mean ψ′(z))²,

the first of his three estimates (H1 in statsmodels' RLM). It needs no distribution of the noise,
only that it is the same in all rows, in units of σ.
"""

from __future__ import annotations

import numpy as np
import torch

from service.engine.kernel.types import Bools, Floats
from service.engine.losses import Loss
from service.engine.problem import Groups


def slope_of_psi(loss: Loss, z: Floats) -> Floats:
    """ψ′(z)."""
    at = torch.from_numpy(np.ascontiguousarray(z)).requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(loss.pull(at).sum(), at)
    slopes: Floats = found.numpy()
    return slopes


@np.errstate(all="ignore")
def _factors(loss: Loss, z: Floats, fits: Groups, free: int) -> Floats:
    """What (JᵀJ)⁻¹ is multiplied by, (fits,); NaN where the loss does not determine it. z is that
    of all rows, of which the fits have spans."""
    psi = loss.pull(torch.from_numpy(z)).numpy()
    slopes = slope_of_psi(loss, z)
    found = np.full(len(fits), np.nan)
    for fit, (begin, end) in enumerate(fits.spans.T.tolist()):
        n, own, bend = end - begin, psi[begin:end], slopes[begin:end]
        mean = float(bend.mean())
        if n <= free or not mean > 0:
            continue
        spread = 1 + free / n * float(bend.var()) / mean**2
        found[fit] = spread**2 * float(own @ own) / (n - free) / mean**2
    return found


@np.errstate(all="ignore")
def robust_errors(
    factor: Floats, lost: Bools, loss: Loss, z: Floats, fits: Groups
) -> tuple[Floats, Floats]:
    """The covariances (fits, q, q) and the standard errors (fits, q) of fits with the R factors of
    [J ψ] (fits, q + 1, q + 1), and the params that are not identifiable (fits, q)."""
    q = factor.shape[-1] - 1
    scale = _factors(loss, z, fits, q)
    whole = np.isfinite(scale) & ~lost.any(axis=1) & np.isfinite(factor).all(axis=(1, 2))
    upper = np.broadcast_to(np.eye(q), (len(fits), q, q)).copy()
    upper[whole] = np.triu(factor[whole][:, :q, :q])
    inverse = np.linalg.inv(upper)
    covariance = scale[:, None, None] * (inverse @ inverse.transpose(0, 2, 1))
    covariance[~whole] = np.nan
    return covariance, np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
