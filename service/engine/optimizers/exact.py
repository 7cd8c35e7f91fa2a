"""Linear least squares in one step.

With prediction f₀ + Jθ the answer minimises ‖(f₀ + Jθ − y)/σ‖. R of QR [J | y − f₀] holds all that
is needed; its columns are scaled to unit norm before the singular values say what the rank is
(Golub and Van Loan, Matrix Computations, 4th ed., 5.3-5.5). Where the rank is short the answer is
the one of least norm in those scaled params.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.engine.small import Floats

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Exact:
    """The one step has no options."""


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """The step to the minimum, and what the singular values tell of it."""

    step: Tensor
    rank: int


def solve(jacobian: Tensor, residual: Tensor, rows: int = 0) -> LeastSquares:
    """The δ of least ‖Jδ + r‖ for J (rows, params) and r (rows,); one refinement in the same R.

    Columns of zero get δ = 0. Where J and r are an R factor and Qᵀz already, `rows` says of how
    many.
    """
    if not bool(torch.isfinite(jacobian).all() & torch.isfinite(residual).all()):
        return LeastSquares(torch.full_like(jacobian[0], torch.nan), 0)
    largest = jacobian.abs().amax(dim=0)
    unit = torch.where(largest > 0, largest, torch.ones_like(largest))
    norms = unit * torch.linalg.vector_norm(jacobian / unit, dim=0)
    scale = torch.where(norms > 0, norms, torch.ones_like(norms))
    scaled = jacobian / scale
    q, r = torch.linalg.qr(scaled)
    u, singular, vh = torch.linalg.svd(r, full_matrices=False)
    floor = torch.finfo(r.dtype).eps * max(*jacobian.shape, rows) * singular[0]
    inverse = torch.where(singular > floor, 1 / singular, torch.zeros_like(singular))
    step = torch.zeros_like(norms)
    rest = residual
    for _ in range(2):
        step = step - vh.mT @ (inverse * (u.mT @ (q.mT @ rest)))
        rest = residual + scaled @ step
    return LeastSquares(step / scale, int((singular > floor).sum()))


def solve_small(slopes: Floats, residuals: Floats) -> tuple[Floats, int]:
    """The same by numpy, for few rows: Jᵀ (params, rows) and r (rows,) or several, (many, rows) ->
    δ (params,) or (many, params), and the rank.

    The singular values of J itself, which is small, stand for those of R.
    """
    largest = np.maximum.reduce(np.abs(slopes), axis=1)
    if not (np.isfinite(largest).all() and np.isfinite(residuals).all()):
        return np.full((*residuals.shape[:-1], len(slopes)), np.nan), 0
    largest[largest == 0] = 1.0
    scaled = slopes / largest[:, None]
    norms = np.sqrt(np.add.reduce(scaled * scaled, axis=1))
    norms[norms == 0] = 1.0
    scaled /= norms[:, None]
    vt, singular, ut = np.linalg.svd(scaled, full_matrices=False)
    keep = singular > _EPSILON * max(scaled.shape) * singular[0]
    inverse = np.divide(1.0, singular, out=np.zeros_like(singular), where=keep)
    back = (vt * inverse).T
    step = -residuals.dot(ut.T).dot(back)
    step -= (residuals + step.dot(scaled)).dot(ut.T).dot(back)
    step /= largest * norms
    return step, int(np.count_nonzero(keep))
