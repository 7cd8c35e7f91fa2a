"""Householder's R factor, triangular systems and the singular values of small triangles.

Matrices that are reduced are stored as their columns, (columns, rows), so that a column's numbers
lie together. Sources: Golub and Van Loan, Matrix Computations, 4th ed., 5.1-5.2 (Householder),
8.6.3 (one-sided Jacobi); Demmel and Veselić, SIAM J. Matrix Anal. Appl. 13 (1992) 1204 (its
accuracy).
"""

from __future__ import annotations

import math

from service.engine.kernel.compiled import compiled, compiled_sums
from service.engine.kernel.types import Floats

SMALLEST, LARGEST = 1e-140, 1e140
"""Lengths whose squares are float64's, with all of their digits."""
LANES = 16
"""Rows are padded to a multiple of this."""
EPSILON = 2.220446049250313e-16
SWEEPS = 60
"""One-sided Jacobi needs about ten."""


@compiled_sums
def product(a: Floats, b: Floats, rows: int) -> float:
    """The inner product of two vectors."""
    total = 0.0
    for i in range(rows):
        total += a[i] * b[i]
    return total


@compiled
def length(vector: Floats, rows: int) -> float:
    """The Euclidean norm of a vector, where its squares overflow or vanish too."""
    norm = math.sqrt(product(vector, vector, rows))
    if SMALLEST < norm < LARGEST or norm != norm:
        return norm
    peak = 0.0
    for i in range(rows):
        peak = max(peak, abs(vector[i]))
    if peak == 0.0 or peak == math.inf:
        return peak
    total = 0.0
    for i in range(rows):
        total += (vector[i] / peak) ** 2
    return peak * math.sqrt(total)


@compiled
def pad(columns: Floats, width: int, rows: int) -> int:
    """Puts zeros below the rows up to a whole number of vector registers, for `triangularise`; how
    many rows there are then."""
    padded = LANES * max(1, -(-max(rows, width) // LANES))
    for j in range(width):
        for i in range(rows, padded):
            columns[j, i] = 0.0
    return padded


@compiled
def triangularise(columns: Floats, width: int, rows: int, r: Floats) -> None:
    """R of QR of the first `width` columns over `rows` rows (as many as `pad` says), which are used
    up; R's rows are those of `r`. What is not finite makes R not finite.

    A reflection is I − βvvᵀ with v = x/pivot − e, so that no square of v overflows. Of what is
    reduced already, the columns keep zeros: all loops run over whole columns.
    """
    for j in range(width):
        v = columns[j]
        norm = length(v, rows)
        for k in range(j):
            r[j, k] = 0.0
        if norm == 0.0:
            for k in range(j, width):
                r[j, k] = columns[k, j]
                columns[k, j] = 0.0
            continue
        pivot = -norm if v[j] > 0.0 else norm
        if norm > 1.0 / LARGEST:
            scale = 1.0 / pivot
            for i in range(rows):
                v[i] *= scale
        else:
            for i in range(rows):
                v[i] /= pivot
        v[j] -= 1.0
        beta = -1.0 / v[j]
        r[j, j] = pivot
        for k in range(j + 1, width):
            other = columns[k]
            along = beta * product(v, other, rows)
            for i in range(rows):
                other[i] -= along * v[i]
            r[j, k] = other[j]
            other[j] = 0.0


@compiled
def solve_upper(r: Floats, p: int, found: Floats) -> None:
    """The δ of least ‖Rδ + c‖ of a factor [R c] (its rows in `r`)."""
    for i in range(p - 1, -1, -1):
        total = -r[i, p]
        for j in range(i + 1, p):
            total -= r[i, j] * found[j]
        found[i] = total / r[i, i]


@compiled
def decompose(r: Floats, p: int, u: Floats, singular: Floats, v: Floats) -> None:
    """R = U·diag(singular)·Vᵀ for a p × p triangle (its rows in `r`): u (p, p) holds U's columns as
    its rows, v those of V; singular values descend. By one-sided Jacobi rotations of R's columns,
    which is accurate to small singular values where R's columns are scaled."""
    for j in range(p):
        for i in range(p):
            u[j, i] = r[i, j]
            v[j, i] = 1.0 if i == j else 0.0
    for _ in range(SWEEPS):
        turned = False
        for j in range(p - 1):
            for k in range(j + 1, p):
                turned |= _rotate(u, v, j, k, p)
        if not turned:
            break
    for j in range(p):
        singular[j] = length(u[j], p)
        if singular[j] > 0.0:
            for i in range(p):
                u[j, i] /= singular[j]
    _sort(u, singular, v, p)


@compiled
def _rotate(u: Floats, v: Floats, j: int, k: int, p: int) -> bool:
    """Makes two columns orthogonal; whether they were not."""
    a, b, c = product(u[j], u[j], p), product(u[k], u[k], p), product(u[j], u[k], p)
    if not abs(c) > EPSILON * math.sqrt(a) * math.sqrt(b):
        return False
    zeta = (b - a) / (2.0 * c)
    t = math.copysign(1.0, zeta) / (abs(zeta) + math.sqrt(1.0 + zeta * zeta))
    cosine = 1.0 / math.sqrt(1.0 + t * t)
    sine = cosine * t
    for i in range(p):
        u[j, i], u[k, i] = cosine * u[j, i] - sine * u[k, i], sine * u[j, i] + cosine * u[k, i]
        v[j, i], v[k, i] = cosine * v[j, i] - sine * v[k, i], sine * v[j, i] + cosine * v[k, i]
    return True


@compiled
def _sort(u: Floats, singular: Floats, v: Floats, p: int) -> None:
    for j in range(p - 1):
        top = j
        for k in range(j + 1, p):
            if singular[k] > singular[top]:
                top = k
        if top != j:
            singular[j], singular[top] = singular[top], singular[j]
            for i in range(p):
                u[j, i], u[top, i] = u[top, i], u[j, i]
                v[j, i], v[top, i] = v[top, i], v[j, i]


@compiled
def invert_upper(r: Floats, p: int, inverse: Floats) -> bool:
    """R⁻¹ (its rows in `inverse`) of a triangle (its rows in `r`); False where a pivot is zero."""
    for i in range(p):
        if r[i, i] == 0.0:
            return False
    for j in range(p):
        for i in range(p - 1, j, -1):
            inverse[i, j] = 0.0
        for i in range(j, -1, -1):
            total = 1.0 if i == j else 0.0
            for k in range(i + 1, j + 1):
                total -= r[i, k] * inverse[k, j]
            inverse[i, j] = total / r[i, i]
    return True


@compiled
def all_finite(values: Floats) -> bool:
    """Whether every number of a matrix is."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            if not math.isfinite(values[row, column]):
                return False
    return True


@compiled
def copy(source: Floats, target: Floats) -> None:
    """Fills a vector from another that is at least as long."""
    for i in range(len(target)):
        target[i] = source[i]


@compiled
def copy_matrix(source: Floats, target: Floats) -> None:
    """Fills a matrix from the corner of another."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[i, j]
