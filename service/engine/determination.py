"""What the R factor of [J | ψ] tells: which params the data determine, how far the minimum is,
which bounds are pulled at. For groups at once, or for one fit.

Sources: Golub and Van Loan, Matrix Computations, 4th ed., 5.5 (rank); Bates and Watts, Nonlinear
Regression Analysis (1988), 2.2 (relative offset).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.engine.reduction import Floats, Ints, triangle

FEW = 8
"""Up to so many params one fit's are reckoned in plain numbers: for them an array costs more to
make than to fill."""
DOUBTFUL = 1e6
"""A condition number above which the singular values themselves are looked at."""
INVOLVED = 0.1
"""A param whose part in a direction without data is larger is involved in it."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Determination:
    """Of groups with p free params each, the groups first; of one fit without that dimension."""

    inverse: Floats
    """R⁻¹, (groups, p, p); NaN where R has none."""
    finite: Any
    condition: Any
    """Of J with columns of unit norm; infinite where it is rank-deficient to the last bit."""
    lost: Bools
    """Which params trade off against each other, or act on nothing, (groups, p)."""
    flat: Bools
    """Which params the predictions do not depend on, there, (groups, p)."""
    held: Bools
    """Which params a bound keeps from a lower loss, (groups, p)."""
    offset: Any
    """‖Qᵀψ‖/√p over ‖ψ − QQᵀψ‖/√(n − p) (Bates and Watts 2.10), over the params not held."""
    pull: Any
    """‖ψ‖: how hard the rows pull."""

    @classmethod
    def of_none(cls, groups: int) -> Determination:
        """Of fits whose params mean nothing by themselves."""
        nothing = np.zeros((groups, 0), dtype=bool)
        zero = np.zeros(groups)
        return cls(
            np.zeros((groups, 0, 0)), np.ones(groups, dtype=bool), np.ones(groups),
            nothing, nothing, nothing, zero, zero,
        )  # fmt: skip

    def covariance(self) -> Floats:
        """(JᵀJ)⁻¹, (groups, p, p), symmetric to the last bit; NaN where it cannot be had."""
        product = self.inverse @ self.inverse.swapaxes(-1, -2)
        return np.asarray((product + product.swapaxes(-1, -2)) / 2)

    def deficient(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the params that one fit does not tell apart."""
        return tuple([name for name, lost in zip(names, self.lost.tolist(), strict=False) if lost])

    def first(self) -> Determination:
        """Of a batch of one, the one."""
        return Determination(
            self.inverse[0], bool(self.finite[0]), float(self.condition[0]), self.lost[0],
            self.flat[0], self.held[0], float(self.offset[0]), float(self.pull[0]),
        )  # fmt: skip


def determine_one(
    factor: Floats, rows: int, theta: Floats, limits: tuple[Floats, Floats]
) -> Determination:
    """factor (p + 1, p + 1), θ and limits (p,): the same of one fit. Where anything is doubtful it
    is looked at as a batch of one."""
    inside = len(theta) <= FEW and not ((theta <= limits[0]) | (theta >= limits[1])).any()
    ordinary = _ordinary(factor.tolist(), rows) if inside else None
    if ordinary is not None:
        return ordinary
    return determine(factor[None], np.array([rows]), theta[None], limits).first()


def _ordinary(factor: list[list[float]], rows: int) -> Determination | None:
    """The determination by a finite, well-conditioned R; None where it is not."""
    p = len(factor) - 1
    norms = [math.sqrt(sum([row[j] * row[j] for row in factor[: j + 1]])) for j in range(p)]
    along = [row[p] for row in factor[:p]]
    length = math.sqrt(sum([value * value for value in along]))
    pull = math.hypot(length, factor[p][p])
    if not (
        pull < math.inf and min(norms, default=1.0) > 0.0 and max(norms, default=1.0) < math.inf
    ):
        return None
    inverse = [[0.0] * p for _ in range(p)]
    total = 0.0
    for i in range(p - 1, -1, -1):
        row, own = factor[i], factor[i][i]
        if own == 0.0:
            return None
        inverse[i][i] = 1.0 / own
        for j in range(i + 1, p):
            known = sum([row[k] * inverse[k][j] for k in range(i + 1, j + 1)])
            inverse[i][j] = -known / own
        total += norms[i] * norms[i] * sum([value * value for value in inverse[i]])
    condition = math.sqrt(p * total) if p else 0.0
    if not condition <= DOUBTFUL:
        return None
    none = np.zeros(p, dtype=bool)
    return Determination(
        np.array(inverse).reshape(p, p), True, condition, none, none, none,
        _offset_of_one(length, pull, rows, p), pull,
    )  # fmt: skip


def _offset_of_one(along: float, pull: float, rows: int, p: int) -> float:
    if rows <= p or pull == 0.0 or p == 0:
        return 0.0
    across = math.sqrt(max(pull * pull - along * along, 0.0))
    if across <= 1e-14 * pull:
        return math.inf
    return (along / math.sqrt(p)) / (across / math.sqrt(rows - p))


def determine(
    factor: Floats, rows: Ints, theta: Floats, limits: tuple[Floats, Floats]
) -> Determination:
    """factor (groups, p + 1, p + 1), θ (groups, p) over the free params, limits (p,) each."""
    r, along, pull = factor[:, :-1, :-1], factor[:, :-1, -1], _norm(factor[..., -1])
    finite = np.asarray(np.isfinite(factor).all(axis=(1, 2)))
    r, along = np.where(finite[:, None, None], r, 0.0), np.where(finite[:, None], along, 0.0)
    p = r.shape[-1]
    norms = _norm(r.swapaxes(-1, -2))
    scale = np.where(norms > 0, norms, 1.0)
    scaled = r / scale[:, None, :]
    inverse, singular = _inverse(scaled)
    condition = math.sqrt(p) * _norm(inverse.reshape(len(r), -1))
    lost = np.zeros(norms.shape, dtype=bool)
    length = _norm(along)
    for i in np.flatnonzero(singular | (condition > DOUBTFUL)):
        condition[i], lost[i], length[i] = _looked_at(scaled[i], along[i], int(rows[i]))
    condition = np.where(finite, condition, np.inf if p else 1.0)
    slope = (r.swapaxes(-1, -2) @ along[..., None])[..., 0]
    held = ((theta <= limits[0]) & (slope > 0)) | ((theta >= limits[1]) & (slope < 0))
    offset = _offset(length, pull, rows, p)
    for i in np.flatnonzero(held.any(axis=1)):
        offset[i] = _offset_without(held[i], scaled[i], along[i], pull[i], int(rows[i]))
    inverse[lost.any(axis=1) | ~finite] = np.nan
    return Determination(
        inverse / scale[..., None], finite, condition, lost, (norms == 0) & finite[:, None],
        held, np.where(finite, offset, np.inf if p else 0.0), pull,
    )  # fmt: skip


def _inverse(upper: Floats) -> tuple[Floats, Bools]:
    """The inverses of triangles, and which have none."""
    singular = np.asarray((np.diagonal(upper, axis1=-2, axis2=-1) == 0).any(axis=-1))
    if singular.any():
        upper = np.where(singular[:, None, None], np.eye(upper.shape[-1]), upper)
    return np.asarray(np.linalg.inv(upper)), singular


def _looked_at(r: Floats, along: Floats, rows: int) -> tuple[float, Bools, float]:
    """Of a doubtful R with columns of unit norm: its condition, the params that its short
    directions involve, and the length of `along` in the others."""
    u, singular, vh = np.linalg.svd(r)
    short = singular <= np.finfo(np.float64).eps * max(rows, len(r)) * singular[0]
    lost = (np.abs(vh[short]) > INVOLVED).any(axis=0)
    told = singular[-1] > 0 and rows >= len(r)
    condition = float(singular[0] / singular[-1]) if told else math.inf
    return condition, lost, float(_norm((u.T @ along)[~short]))


def _offset(along: Floats, pull: Floats, rows: Ints, p: int) -> Floats:
    spare = rows - p
    across = np.sqrt(np.maximum(pull**2 - along**2, 0.0))
    none = (spare <= 0) | (pull == 0) | (p == 0)
    with np.errstate(all="ignore"):
        offset = (along / math.sqrt(max(p, 1))) / (across / np.sqrt(np.maximum(spare, 1)))
    return np.where(none, 0.0, np.where(across <= 1e-14 * pull, np.inf, offset))


def _offset_without(held: Bools, r: Floats, along: Floats, pull: float, rows: int) -> float:
    """The offset over the params that no bound holds."""
    kept = np.column_stack([r[:, ~held], along])
    again = triangle(kept)
    part, rest = again[:-1, :-1], again[:-1, -1]
    u, singular, _ = np.linalg.svd(part)
    told = singular > np.finfo(np.float64).eps * max(rows, len(r)) * singular[:1].sum()
    length = _norm((u.T @ rest)[: len(singular)][told])
    return float(_offset(np.array([length]), np.array([pull]), np.array([rows]), len(part))[0])


def _norm(of: Floats) -> Floats:
    """Euclidean, over the last dimension."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((of * of).sum(axis=-1)))
