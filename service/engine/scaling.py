"""Inputs scaled to x' = scale·x + offset, and params brought back to raw units.

The way back is exact where some θ_raw has f(x; θ_raw) = f(scale·x + offset; θ) for every x, as it
has for a line, a polynomial, a decay or a peak. It is found by following that θ_raw from scale 1,
offset 0, where it is θ, to the scaling in question; and it is believed only if the two agree to
rounding at points that span the data and reach beyond them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.objectives.bound import Bound
from service.errors import InvalidData

Floats = npt.NDArray[np.float64]
ColumnT = TypeVar("ColumnT", Tensor, Floats)
Points = Mapping[str, Floats]
POINTS = 64
STEPS = 24
NEWTON = 8
AGREEMENT = 1e-9
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Scale:
    """x' = scale·x + offset."""

    scale: float = 1.0
    offset: float = 0.0

    def apply(self, column: ColumnT) -> ColumnT:
        return column * self.scale + self.offset

    def undo(self, column: ColumnT) -> ColumnT:
        return (column - self.offset) / self.scale

    def between(self, part: float) -> Scale:
        """A point on the way from no scaling to this one."""
        return Scale(self.scale**part, self.offset * part)


Scaling = Mapping[str, Scale]


def standardize(name: str, column: Tensor) -> Scale:
    """(x − mean)/standard deviation, the population's."""
    varies = float(column.min()) < float(column.max())
    spread = float(column.std(correction=0)) if varies else 0.0
    return _scale(name, float(column.mean()), spread, "standardized")


def min_max(name: str, column: Tensor) -> Scale:
    """(x − min)/(max − min)."""
    low = float(column.min())
    return _scale(name, low, float(column.max()) - low, "scaled to its range")


def _scale(name: str, centre: float, width: float, what: str) -> Scale:
    if not width > 0.0 or not math.isfinite(1 / width):
        raise InvalidData(f"column '{name}' is constant, so it cannot be {what}")
    return Scale(1 / width, -centre / width)


METHODS = {"standardize": standardize, "min_max": min_max}
"""The ways to choose a scaling from a column."""


@dataclass(frozen=True, slots=True)
class RawParams:
    """Params in raw units, float64; `map` is ∂θ_raw/∂θ (params, params)."""

    values: Tensor
    map: Tensor


def unscale(
    formula: Formula, raw: Mapping[str, Tensor], scaling: Scaling, theta: Tensor
) -> RawParams | None:
    """The θ_raw of a θ fitted to scaled inputs; None where there is none exact.

    raw: the inputs before scaling, (rows,); theta (params,).
    """
    theta = theta.double().cpu()
    if not bool(torch.isfinite(theta).all()):
        return None
    linear = formula.is_linear_in(formula.params)
    if not linear and any(scale.scale <= 0 for scale in scaling.values()):
        return None
    points = _points(raw)
    if linear:
        return _solved(formula, points, _scaled(points, scaling), theta)
    scaled, values = _scaled(points, scaling), theta
    wanted, slopes = formula.bind(_tensors(scaled), POINTS, theta).jacobian(theta)
    for part in (step / STEPS for step in range(1, STEPS + 1)):
        # The points that this part of the scaling takes to where all of it takes the data's.
        way = {name: scale.between(part) for name, scale in scaling.items()}
        own = {name: way[name].undo(x) if name in way else x for name, x in scaled.items()}
        here = formula.bind(_tensors(own), POINTS, theta)
        followed = _follow(here, wanted, values)
        if followed is None:
            return None
        values = followed
    return RawParams(values, -solve_columns(here.jacobian(values)[1], slopes))


def _solved(formula: Formula, points: Points, scaled: Points, theta: Tensor) -> RawParams | None:
    """θ_raw and its map where the formula is linear, so that one Jacobian serves for both."""
    at = theta.numpy()
    with np.errstate(all="ignore"):
        prediction, slopes = _read(formula, points, at)
        wanted, sides = _read(formula, scaled, at)
        steps = solve_small(slopes, np.concatenate(((prediction - wanted)[None], sides)))[0]
        values = at + steps[0]
        gap = np.abs(prediction + steps[0].dot(slopes) - wanted).max()
        if not gap <= AGREEMENT * np.abs(wanted).max():
            return None
    return RawParams(torch.from_numpy(values), torch.from_numpy(-steps[1:].T))


def _read(formula: Formula, points: Points, theta: Floats) -> tuple[Floats, Floats]:
    """f (points,) and ∂f/∂θ (params, points)."""
    like = torch.from_numpy(theta)
    found, jacobian = formula.bind(_tensors(points), POINTS, like).jacobian(like)
    return found.numpy(), np.ascontiguousarray(jacobian.numpy().T)


def _agree(here: Bound, wanted: Tensor, values: Tensor) -> bool:
    gap = (here.predict(values) - wanted).abs().max()
    return bool(gap <= AGREEMENT * wanted.abs().max())


def solve_columns(jacobian: Tensor, wanted: Tensor) -> Tensor:
    """Column by column, the −δ of least ‖Jδ + wanted‖."""
    steps, _ = solve_small(jacobian.numpy().T, np.ascontiguousarray(wanted.numpy().T))
    return torch.from_numpy(np.ascontiguousarray(steps.T))


def _follow(here: Bound, wanted: Tensor, values: Tensor) -> Tensor | None:
    """Newton's method from `values` to the params whose raw prediction is the one wanted."""
    for _ in range(NEWTON):
        prediction, jacobian = here.jacobian(values)
        slopes, residual = jacobian.numpy().T, (prediction - wanted).numpy()
        if not (np.isfinite(slopes).all() and np.isfinite(residual).all()):
            return None
        step = torch.from_numpy(solve_small(slopes, residual)[0])
        values = values + step
        if float(step.norm()) <= 1e-14 * float(values.norm()):
            break
    return values if _agree(here, wanted, values) else None


def _points(raw: Mapping[str, Tensor]) -> Points:
    """Points that span the inputs' ranges and half as much again, spread by Weyl's sequence."""
    points: dict[str, Floats] = {}
    for i, (name, column) in enumerate(raw.items()):
        low, high = float(column.min()), float(column.max())
        width = (high - low) or max(abs(high), 1.0)
        turn = math.modf(math.sqrt((2, 3, 5, 7, 11, 13, 17, 19)[i % 8]))[0]
        fraction: Floats = np.arange(POINTS, dtype=np.float64) * turn % 1.0
        points[name] = low + width * (1.25 * fraction)
    return points


def _scaled(points: Points, scaling: Scaling) -> Points:
    return {
        name: scaling[name].apply(column) if name in scaling else column
        for name, column in points.items()
    }


def _tensors(points: Points) -> dict[str, Tensor]:
    return {name: torch.from_numpy(column) for name, column in points.items()}


def solve_small(slopes: Floats, residuals: Floats) -> tuple[Floats, int]:
    """The δ of least ‖Jδ + r‖ for few rows, once refined: Jᵀ (params, rows) and r (rows,), or
    several, (many, rows) -> δ (params,) or (many, params), and the rank.

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
    keep = singular > EPSILON * max(scaled.shape) * singular[0]
    inverse = np.divide(1.0, singular, out=np.zeros_like(singular), where=keep)
    back = (vt * inverse).T
    step = -residuals.dot(ut.T).dot(back)
    step -= (residuals + step.dot(scaled)).dot(ut.T).dot(back)
    step /= largest * norms
    return step, int(np.count_nonzero(keep))
