"""R factors of matrices, many at once; Q is never formed.

Source: Golub and Van Loan, Matrix Computations, 4th ed., 5.2 (Householder's).
"""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.losses import Loss


def triangle(matrix: Tensor) -> Tensor:
    """R of QR of matrices (…, rows, columns): (…, columns, columns), upper triangular.

    A matrix that is not finite has an R that is not; the others do not notice.
    """
    columns, rows = matrix.shape[-1], matrix.shape[-2]
    factor = torch.geqrf(matrix)[0][..., :columns, :].triu()
    if rows < columns:
        factor = torch.nn.functional.pad(factor, (0, 0, 0, columns - rows))
    return factor


def norms(matrix: Tensor) -> Tensor:
    """Of the columns of matrices (…, rows, columns): (…, columns)."""
    return (matrix * matrix).sum(dim=-2).sqrt()


def weighed(loss: Loss, z: Tensor, jacobian: Tensor, width: float = 0.0) -> tuple[Tensor, Tensor]:
    """ρ(z) of each row, and [J z] (…, rows, p + 1) with the square roots of the weights by which
    least squares has ρ's slope; a loss with a corner is rounded within ±`width`."""
    matrix = torch.cat([jacobian, z.unsqueeze(-1)], dim=-1)
    if width > 0:
        rho, weight = loss.smoothed(z, width)
    elif loss.is_least_squares:
        return z * z, matrix
    else:
        rho, weight = loss.function.rho(z, loss.delta), loss.weight(z)
    return rho, matrix * weight.sqrt().unsqueeze(-1)
