"""Scales inputs to x' = scale·x + offset, and converts params back to raw units.

The conversion is exact if some θ_raw has f(x; θ_raw) = f(scale·x + offset; θ) for every x, as for a
line, a polynomial, a decay or a peak. It is found by continuation of θ_raw from scale 1, offset 0,
where it is θ, to the scaling; and accepted only if the two predictions agree to rounding at points
that span the data and reach beyond them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel.types import Bools, Floats
from service.engine.models.mlp import Network
from service.errors import InvalidData

ColumnT = TypeVar("ColumnT", Tensor, Floats)
Points = Mapping[str, Floats]
POINTS = 64
TANGENT = 1e-4
LEAST = 1e-9
"""Initial and minimum length of the first continuation step, from which the next is predicted."""
SHORTEST = 1 / 128
"""Minimum length of later continuation steps."""
NEWTON = 8
AGREEMENT = 1e-9
ROUGH = 1e-6
"""Tolerance on the params during the continuation."""
NEARER = 0.5
"""Maximum ratio of successive errors for which Newton's method counts as converging."""
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


Scaling = Mapping[str, Scale]


def standardize(name: str, column: Tensor) -> Scale:
    """(x − mean)/standard deviation, the population's."""
    return _scale(name, column, column.mean(), column.std(correction=0), "standardized")


def min_max(name: str, column: Tensor) -> Scale:
    """(x − min)/(max − min)."""
    low = column.min()
    return _scale(name, column, low, column.max() - low, "scaled to its range")


def _scale(name: str, column: Tensor, centre: Tensor, width: Tensor, what: str) -> Scale:
    if bool(column.min() == column.max()):
        raise InvalidData(
            f"column '{name}' is constant, so it cannot be {what}; "
            'omit it, or fit without scaling ("scaling": {})'
        )
    found = Scale(float(1 / width), float(-centre / width))
    if not (0.0 < found.scale < math.inf and math.isfinite(found.offset)):
        raise InvalidData(
            f"the squares of column '{name}' or its reciprocals overflow, so it cannot be {what}; "
            "give it in another unit"
        )
    return found


METHODS = {"standardize": standardize, "min_max": min_max}
"""The methods to choose a scaling from a column, by name."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Params that give the same predictions from other inputs, float64, and their derivatives by
    the original params."""

    values: Tensor
    map: Tensor
    """(params, params)"""


def unscale(
    formula: Formula, raw: Mapping[str, Tensor], scaling: Scaling, theta: Tensor
) -> Moved | None:
    """The θ_raw of a θ fitted to scaled inputs; None if there is no exact one.

    raw: the inputs before scaling, (rows,); theta (params,).
    """
    theta = theta.double().cpu()
    if not bool(torch.isfinite(theta).all()):
        return None
    points = points_of(raw)
    with np.errstate(all="ignore"):
        return _unscaled(formula, points, _scaled(points, scaling), scaling, theta.numpy())


def scale_params(
    formula: Formula, raw: Mapping[str, Tensor], scaling: Scaling, theta: Tensor
) -> Moved | None:
    """The inverse of `unscale`: the θ for scaled inputs of a θ_raw; None if there is no exact
    one."""
    scaled = {name: scaling[name].apply(x) if name in scaling else x for name, x in raw.items()}
    return unscale(formula, scaled, inverse(scaling), theta)


def inverse(scaling: Scaling) -> dict[str, Scale]:
    """The inverse scaling."""
    return {name: Scale(1 / s.scale, -s.offset / s.scale) for name, s in scaling.items()}


def scale_network(network: Network, scaling: Scaling, theta: Tensor) -> Tensor:
    """A network's params for scaled inputs: only its first layer depends on the inputs, so w' =
    w/scale and b' = b − Σ w·offset/scale."""
    scales = [scaling.get(name, Scale()) for name in network.inputs]
    factors = torch.tensor([1 / scale.scale for scale in scales], dtype=theta.dtype)
    offsets = torch.tensor([scale.offset for scale in scales], dtype=theta.dtype)
    moved = theta.clone()
    weights, biases = network.layers(moved)[0]
    weights *= factors
    biases -= weights @ offsets
    return moved


def _unscaled(
    formula: Formula, points: Points, scaled: Points, scaling: Scaling, theta: Floats
) -> Moved | None:
    if formula.is_linear_in(formula.params):
        return _solved(formula, points, scaled, theta)
    if any(scale.scale <= 0 for scale in scaling.values()):
        return None
    wanted, slopes = Curve(formula, scaled).read(theta)
    values = theta
    for way in _ways(scaling):
        found = _along(formula, scaled, way, wanted, values)
        if found is None:
            return None
        values = found
    raw = Curve(formula, points)
    settled = _follow(raw, wanted, values, tight=True)
    if settled is None:
        return None
    back = -solve_small(raw.read(settled)[1], slopes)[0]
    return Moved(torch.from_numpy(settled), torch.from_numpy(np.ascontiguousarray(back.T)))


Way = Callable[[float], Scaling]
"""A path of scalings, from none at 0 to the full scaling at 1."""


def _ways(scaling: Scaling) -> list[Way]:
    """The scales first, then the offsets: along each path params mostly change linearly, or
    exponentially."""
    ways: list[Way] = []
    if any(scale.scale != 1.0 for scale in scaling.values()):
        ways.append(lambda part: {n: Scale(s.scale**part) for n, s in scaling.items()})
    if any(scale.offset != 0.0 for scale in scaling.values()):
        ways.append(lambda part: {n: Scale(s.scale, s.offset * part) for n, s in scaling.items()})
    return ways


def _along(
    formula: Formula, scaled: Points, way: Way, wanted: Floats, values: Floats
) -> Floats | None:
    """Continuation of the params with prediction `wanted` along a path; None if it fails."""
    factors = np.array(formula.linear_among(formula.params))
    done, length, last, before = 0.0, TANGENT, 0.0, values
    while done < 1.0:
        part = min(1.0, done + length)
        # The points that this part of the scaling maps to the scaled points.
        gone = way(part)
        own = {name: gone[name].undo(x) if name in gone else x for name, x in scaled.items()}
        curve = Curve(formula, own)
        start = values
        if last:
            ahead = _ahead(before, values, (part - done) / last, factors)
            start = curve.nearest(ahead, wanted)
        found = _follow(curve, wanted, start, tight=False)
        if found is None:
            length /= 2 if last else 1e4
            if length < (SHORTEST if last else LEAST):
                return None
            continue
        length = 2 * length if done else 1.0
        before, values, last, done = values, found, part - done, part
    return values


def _ahead(before: Floats, values: Floats, times: float, factors: Bools) -> Floats:
    """Extrapolated params, `times` as far as from `before` to `values`, (3, params): linearly,
    exponentially, and exponentially only for those that may be factors of the prediction."""
    straight = values + times * (values - before)
    by_factor = values * (values / before) ** times
    by_factor = np.where(np.isfinite(by_factor), by_factor, straight)
    return np.stack([straight, by_factor, np.where(factors, by_factor, straight)])


def _solved(formula: Formula, points: Points, scaled: Points, theta: Floats) -> Moved | None:
    """θ_raw and its derivatives for a linear formula, from one Jacobian."""
    prediction, slopes = Curve(formula, points).read(theta)
    wanted, sides = Curve(formula, scaled).read(theta)
    steps = solve_small(slopes, np.concatenate(((prediction - wanted)[None], sides)))[0]
    values = theta + steps[0]
    gap = np.abs(prediction + steps[0].dot(slopes) - wanted).max()
    if not gap <= AGREEMENT * np.abs(wanted).max():
        return None
    return Moved(torch.from_numpy(values), torch.from_numpy(-steps[1:].T))


class Curve:
    """A formula at points, (POINTS,)."""

    def __init__(self, formula: Formula, points: Points) -> None:
        like = torch.zeros((), dtype=torch.float64)
        self._bound = formula.bind(_tensors(points), POINTS, like)

    def read(self, theta: Floats) -> tuple[Floats, Floats]:
        """f (points,) and ∂f/∂θ (params, points)."""
        found, jacobian = self._bound.jacobian(torch.from_numpy(theta))
        return found.numpy(), np.ascontiguousarray(jacobian.numpy().T)

    def slopes(self, thetas: Floats) -> Floats:
        """∂f/∂θ at several params, (many, params) -> (many, points, params)."""
        found: Floats = self._bound.jacobian(torch.from_numpy(thetas))[1].numpy()
        return found

    def predict(self, theta: Floats) -> Floats:
        """f (points,); for several params, (many, points)."""
        found: Floats = self._bound.predict(torch.from_numpy(theta)).numpy()
        return found

    def nearest(self, thetas: Floats, wanted: Floats) -> Floats:
        """The params among several, (many, params), whose prediction is nearest to `wanted`."""
        gaps = np.abs(self.predict(thetas) - wanted).max(axis=-1)
        best: Floats = thetas[int(np.nan_to_num(gaps, nan=np.inf).argmin())]
        return best


def _follow(curve: Curve, wanted: Floats, values: Floats, *, tight: bool) -> Floats | None:
    """Newton's method from `values` to the params with prediction `wanted`; to rounding if `tight`.
    None if it does not converge fast."""
    size, before = np.abs(wanted).max(), np.inf
    for _ in range(NEWTON):
        prediction, slopes = curve.read(values)
        gap = np.abs(prediction - wanted).max()
        step = solve_small(slopes, prediction - wanted)[0]
        if not (gap <= NEARER * before or gap <= AGREEMENT * size) or not np.isfinite(step).all():
            return None
        values, before = values + step, gap
        if np.linalg.norm(step) <= (1e-14 if tight else ROUGH) * np.linalg.norm(values):
            break
    gap = np.abs(curve.predict(values) - wanted).max()
    return values if gap <= (AGREEMENT if tight else ROUGH) * size else None


def points_of(raw: Mapping[str, Tensor], scaling: Scaling | None = None) -> Points:
    """Points that span the inputs' ranges and a quarter beyond, from Weyl's sequence; for scaled
    inputs, the same points scaled."""
    points: dict[str, Floats] = {}
    for i, (name, column) in enumerate(raw.items()):
        low, high = float(column.min()), float(column.max())
        width = (high - low) or max(abs(high), 1.0)
        turn = math.modf(math.sqrt((2, 3, 5, 7, 11, 13, 17, 19)[i % 8]))[0]
        fraction: Floats = np.arange(POINTS, dtype=np.float64) * turn % 1.0
        points[name] = low + width * (1.25 * fraction)
    return _scaled(points, scaling or {})


def _scaled(points: Points, scaling: Scaling) -> Points:
    return {
        name: scaling[name].apply(column) if name in scaling else column
        for name, column in points.items()
    }


def _tensors(points: Points) -> dict[str, Tensor]:
    return {name: torch.from_numpy(column) for name, column in points.items()}


def solve_small(slopes: Floats, residuals: Floats) -> tuple[Floats, int]:
    """The δ of least ‖Jδ + r‖ for few rows, by SVD with one refinement: Jᵀ (params, rows) and r
    (rows,), or several, (many, rows) -> δ (params,) or (many, params), and the rank."""
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
