"""R factors of matrices, many at once; Q is never formed.

Source: Golub and Van Loan, Matrix Computations, 4th ed., 5.2 (Householder's).
"""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.losses import Loss

MANY = 64
"""Matrices from which on they are reduced side by side rather than one after another
(docs/benchmarks.md has the measurement)."""
NARROW = 16
"""The most columns that this pays for."""
APART = 1e-4
"""Of a column's square, the part that no other explains: from on this, R has 11 digits or more."""
SMALLEST = 1e-200
"""A sum of squares above it, and below its inverse, has lost nothing."""


def triangle(matrix: Tensor) -> Tensor:
    """R of QR of matrices (…, rows, columns): (…, columns, columns), upper triangular.

    A matrix that is not finite has an R that is not; the others do not notice.
    """
    columns, rows = matrix.shape[-1], matrix.shape[-2]
    factor = torch.geqrf(matrix)[0][..., :columns, :]
    upper = torch.ones(factor.shape[-2:], dtype=torch.bool, device=factor.device).triu()
    factor = torch.where(upper, factor, 0.0)
    if rows < columns:
        factor = torch.nn.functional.pad(factor, (0, 0, 0, columns - rows))
    return factor


def triangles(columns: Tensor) -> Tensor:
    """R of QR of many matrices, given as their columns (columns, groups, rows), which are used up:
    (groups, columns, columns).

    Few columns are made orthogonal one after the other in all matrices at once, by the modified
    Gram–Schmidt method: with z as the last column its R is as good as Householder's (Björck and
    Paige, SIAM J. Matrix Anal. Appl. 13 (1992) 176).
    """
    width, groups, _ = columns.shape
    if groups < MANY or width > NARROW:
        return triangle(columns.permute(1, 2, 0))
    unit = _unit(columns)
    if unit is not None:
        return _side_by_side(columns.div_(unit.unsqueeze(-1))) * unit.mT.unsqueeze(1)
    return _side_by_side(columns)


def swift_triangles(columns: Tensor) -> Tensor:
    """The same for a trial step, in half of the time: by Cholesky's method from the columns' inner
    products, which square a condition number, so only of those matrices whose columns are far
    enough from each other's span that R keeps its digits (Golub and Van Loan, 4.2 and 5.3.8). Of
    the last column, the residuals, the distance is not asked: no step is made of it."""
    width, groups, _ = columns.shape
    if groups < MANY or width > NARROW or columns.dtype != torch.float64:
        return triangles(columns)
    factor, sound = _by_products(columns)
    if not bool(sound.all()):
        others = (~sound).nonzero().squeeze(-1)
        factor[..., others] = triangles(columns[:, others]).permute(1, 2, 0)
    return factor.permute(2, 0, 1)


def _by_products(columns: Tensor) -> tuple[Tensor, Tensor]:
    """R, (columns, columns, groups), and which groups have all of its digits."""
    width, groups, _ = columns.shape
    factor = columns.new_zeros((width, width, groups))
    for j in range(width):
        torch.sum(columns[j:] * columns[j], dim=-1, out=factor[j, j:])
    squares = factor.diagonal().mT.clone()
    sound = ((squares > SMALLEST) & (squares < 1 / SMALLEST)).all(dim=0)
    for j in range(width):
        pivot = factor[j, j]
        if j + 1 == width:
            pivot.clamp_(min=0.0).sqrt_()
            break
        sound &= pivot > APART * squares[j]
        row = factor[j, j:]
        row /= pivot.sqrt()
        for k in range(j + 1, width):
            factor[k, k:].addcmul_(row[k - j :], row[k - j], value=-1)
    return factor, sound


def _side_by_side(columns: Tensor) -> Tensor:
    width, groups, _ = columns.shape
    factor = columns.new_zeros((width, width, groups))
    for j in range(width):
        column = columns[j]
        size = (column * column).sum(dim=-1).sqrt_()
        factor[j, j] = size
        if j + 1 == width:
            break
        unit = column.div_(torch.where(size > 0, size, 1.0).unsqueeze(-1))
        rest = columns[j + 1 :]
        along = (rest * unit).sum(dim=-1)
        factor[j, j + 1 :] = along
        rest.addcmul_(unit.expand_as(rest), along.unsqueeze(-1), value=-1)
    return factor.permute(2, 0, 1)


def solution(factor: Tensor) -> Tensor:
    """The δ of least ‖Rδ + c‖ for factors [R c; 0 ρ] (groups, p + 1, p + 1): (groups, p)."""
    groups, p = factor.shape[0], factor.shape[-1] - 1
    if groups < MANY or p >= NARROW:
        upper, right = factor[..., :p, :p], factor[..., :p, p:].neg()
        solved: Tensor = torch.linalg.solve_triangular(upper, right, upper=True).squeeze(-1)
        return solved
    rows = factor.permute(1, 2, 0)
    found = factor.new_empty((p, groups))
    for i in range(p - 1, -1, -1):
        known = (rows[i, i + 1 : p] * found[i + 1 :]).sum(dim=0)
        torch.div(known.add_(rows[i, p]).neg_(), rows[i, i], out=found[i])
    return found.mT


def norms(matrix: Tensor) -> Tensor:
    """Of the columns of matrices (…, rows, columns): (…, columns)."""
    return (matrix * matrix).sum(dim=-2).sqrt()


def weights(loss: Loss, z: Tensor, width: float = 0.0) -> tuple[Tensor, Tensor | None]:
    """ρ(z) of each row, and the square roots of the weights by which least squares has ρ's slope;
    None where they are 1. A loss with a corner is rounded within ±`width`."""
    if width > 0:
        rho, weight = loss.smoothed(z, width)
    elif loss.is_least_squares:
        return z * z, None
    else:
        rho, weight = loss.function.rho(z, loss.delta), loss.weight(z)
    return rho, weight.sqrt()


def _unit(columns: Tensor) -> Tensor | None:
    """What to measure each column in, (columns, groups), where squares would leave the dtype's
    range; None where none would."""
    squares = (columns * columns).sum(dim=-1)
    edge = torch.finfo(columns.dtype).max ** 0.5
    beyond = (squares > edge) | (squares < 1 / edge)
    if not bool(beyond.any()):
        return None
    peak = columns.abs().amax(dim=-1)
    return torch.where(beyond & (peak > 0) & (peak < torch.inf), peak, 1.0)
