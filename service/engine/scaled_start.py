"""Converts initial values, bounds and fixed values from raw units to those of scaled inputs.

If the formula is closed under the scaling, each θ has one θ' with f(scale·x + offset; θ') =
f(x; θ): see `scaling`. The following can be converted, and everything else is refused:

- an initial value, if all the params are given that its value on scaled inputs depends on (a line's
  b' = b − w·offset/scale depends on w too);
- a fixed value, if all those params are fixed;
- a bound, if the map changes only that param, by a factor and a shift.

The map is computed at two points at which the params are well identifiable; which params it mixes,
and which it changes by a factor and a shift, is the same at both. So it also holds where the params
are not identifiable, as those of a decay at an amplitude of 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.models.mlp import Network
from service.engine.problem import Problem
from service.engine.scaling import (
    AGREEMENT,
    Curve,
    Moved,
    Scale,
    Scaling,
    inverse,
    points_of,
    scale_network,
    scale_params,
    solve_small,
    unscale,
)
from service.engine.start.ranges import drawn, ranges
from service.engine.start.search import thinned
from service.errors import InvalidRequest

CANDIDATES = 32
"""Points that are drawn to compute the map at."""
TRIED = 6
"""Maximum number of those points that are tried."""
ROWS = 250
"""Maximum number of rows that the points are drawn from."""
NEGLIGIBLE = 1e-7
"""A fraction of a param's effect on the prediction that is a rounding error."""
WITHOUT = 'fit without scaling ("scaling": {})'
EXACT = 1e-10
"""Tolerance within which a factor is 1, and a shift 0."""


Others = Sequence[Ints]
"""For each param the positions of the others that its value on scaled inputs depends on."""


@dataclass(frozen=True, eq=False)
class Given:
    """Given values and bounds of params, which values are given and which are fixed; (params,)
    each."""

    values: Floats
    lower: Floats
    upper: Floats
    known: Bools
    fixed: Bools

    @property
    def limited(self) -> Bools:
        """Which free params have a bound."""
        return ~self.fixed & (np.isfinite(self.lower) | np.isfinite(self.upper))

    @property
    def is_empty(self) -> bool:
        return not (self.known | self.limited).any()


@dataclass(frozen=True, eq=False)
class _Map:
    """The map from θ to θ'."""

    others: Others
    straight: Bools
    """Which θ' are affine in θ: matrix @ θ + shift."""
    matrix: Floats
    shift: Floats
    point: Floats
    """Params in raw units at which they are identifiable."""


def scaled_start(
    problem: Problem, raw: Mapping[str, Tensor], scaling: Scaling, given: Given
) -> Given:
    """The given values and bounds for scaled inputs; `problem` has the rows, `raw` their inputs
    before scaling. Raises InvalidRequest, at the param, for those that cannot be converted."""
    if given.is_empty or all(s.scale == 1 and s.offset == 0 for s in scaling.values()):
        return given
    formula = problem.formula
    if isinstance(formula, Network):
        return _of_network(formula, scaling, given)
    found = _map(replace(problem.double(), columns=raw), scaling)
    names = formula.params
    if found is None:
        name = names[int((given.known | given.limited).argmax())]
        why = "no params of this formula give the same predictions from the scaled inputs"
        if any(scale.scale < 0 for scale in scaling.values()):
            why = "under a negative scale only formulas that are linear in their params can be"
        raise InvalidRequest(
            f"'{name}' is given in raw units and cannot be converted: {why}; omit '{name}', "
            f"or {WITHOUT}",
            pointer=f"/params/{name}",
        )
    _check(names, found.others, found.straight, given)
    values = np.where(given.known, _values(formula, found, raw, scaling, given), given.values)
    return _within(given, values, found.matrix.diagonal(), found.shift)


def can_be_scaled(problem: Problem, scaling: Scaling, known: Iterable[str]) -> bool:
    """Whether the problem can be fitted with scaled inputs: its formula is closed under the
    scaling, and the values of the `known` params and the bounds can be converted."""
    names, given_names = problem.params, frozenset(known)
    lower, upper = problem.limits.numpy()
    given = Given(
        problem.initial.double().cpu().numpy(),
        lower,
        upper,
        np.array([name in given_names for name in names], dtype=np.bool_),
        ~np.array(problem.free, dtype=np.bool_),
    )
    inputs = {name: column.double().cpu() for name, column in problem.columns.items()}
    if isinstance(problem.formula, Formula) and given.is_empty:
        return _map(replace(problem.double().to("cpu"), columns=inputs), scaling) is not None
    try:
        scaled_start(problem.to("cpu"), inputs, scaling, given)
    except InvalidRequest:
        return False
    return True


def raw_params(
    problem: Problem, raw: Mapping[str, Tensor], scaling: Scaling, theta: Tensor
) -> Moved | None:
    """The θ_raw of a θ fitted to scaled inputs; None if there is none. By `unscale`; if the params
    are not identifiable at θ, by the map, if that is affine."""
    formula, theta = problem.formula, theta.double().cpu()
    assert isinstance(formula, Formula)
    found = unscale(formula, raw, scaling, theta)
    if found is not None or not bool(torch.isfinite(theta).all()):
        return found
    inputs = {name: column.double().cpu() for name, column in problem.columns.items()}
    back = _map(replace(problem.double().to("cpu"), columns=inputs), inverse(scaling))
    if back is None or not back.straight.all():
        return None
    matrix, shift = (torch.from_numpy(each) for each in (back.matrix, back.shift))
    return Moved(matrix @ theta + shift, matrix)


def _check(names: tuple[str, ...], others: Others, straight: Bools, given: Given) -> None:
    """Raises InvalidRequest for the first param with something that cannot be converted."""
    limited = given.limited
    for i in np.flatnonzero(given.known | limited).tolist():
        name, mixed = names[i], others[i]
        listed = ", ".join(names[j] for j in mixed[:8])
        depends = f"on scaled inputs its value also depends on {listed}"
        if given.fixed[i] and not given.fixed[mixed].all():
            raise InvalidRequest(
                f"'{name}' cannot be fixed: {depends}; fix {listed} as well, or {WITHOUT}",
                pointer=f"/params/{name}",
            )
        if given.known[i] and not given.known[mixed].all():
            raise InvalidRequest(
                f"the initial value of '{name}' cannot be converted: {depends}; give {listed} "
                f"as well, omit '{name}', or {WITHOUT}",
                pointer=f"/params/{name}",
            )
        if limited[i] and (len(mixed) or not straight[i]):
            why = depends if len(mixed) else "its value on scaled inputs is not proportional to it"
            raise InvalidRequest(
                f"the bounds of '{name}' cannot be converted: {why}; omit them, or {WITHOUT}",
                pointer=f"/params/{name}",
            )


def _within(given: Given, values: Floats, factors: Floats, shift: Floats) -> Given:
    """`given` with those values and with its bounds mapped to scaled inputs."""
    limited = given.limited
    with np.errstate(all="ignore"):
        ends = np.stack([given.lower, given.upper]) * factors + shift
    lower = np.where(limited, ends.min(axis=0), -math.inf)
    upper = np.where(limited, ends.max(axis=0), math.inf)
    # A value that was not given is a placeholder in any units, but must be within the bounds.
    return replace(given, values=np.clip(values, lower, upper), lower=lower, upper=upper)


# --- formulas -------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def _map(problem: Problem, scaling: Scaling) -> _Map | None:
    """The map of a problem in raw units; None if its formula is not closed under the scaling, or
    its params are not identifiable."""
    formula, raw = problem.formula, problem.columns
    assert isinstance(formula, Formula)
    before, after = (Curve(formula, points_of(raw, each)) for each in ({}, scaling))
    looks: list[tuple[Floats, Floats, Floats, Floats, Floats]] = []
    for theta in _identifiable_points(problem, before)[:TRIED]:
        found = scale_params(formula, raw, scaling, torch.from_numpy(theta))
        if found is None:
            continue
        values, matrix = found.values.numpy(), found.map.numpy()
        parts, wholes = _sizes(after.read(values)[1]), _sizes(before.read(theta)[1])
        looks.append((theta, values, matrix, parts, wholes))
        if formula.is_linear_in(formula.params):
            looks.append(looks[0])
        if len(looks) == 2:
            return _of_two(*looks)
    return None


def _sizes(slopes: Floats) -> Floats:
    """The largest effect of each param on the prediction."""
    found: Floats = np.abs(slopes).max(axis=1)
    return found


def _of_two(*looks: tuple[Floats, Floats, Floats, Floats, Floats]) -> _Map:
    """The map, from two points: params before and after, ∂after/∂before, and the effect of each
    param on the prediction, after and before."""
    shares = [parts[:, None] * np.abs(matrix) / wholes for *_, matrix, parts, wholes in looks]
    needs = np.any([share > NEGLIGIBLE for share in shares], axis=0)
    matrices = [np.where(needs, matrix, 0.0) for _, _, matrix, _, _ in looks]
    shifts = [look[1] - matrix @ look[0] for look, matrix in zip(looks, matrices, strict=True)]
    sizes = [
        np.abs(look[1]) + np.abs(matrix) @ np.abs(look[0])
        for look, matrix in zip(looks, matrices, strict=True)
    ]
    apart = np.abs(matrices[0] - matrices[1])
    same = [apart * parts[:, None] / wholes <= NEGLIGIBLE for *_, parts, wholes in looks]
    straight = np.all(same, axis=(0, 2))
    straight &= np.abs(shifts[0] - shifts[1]) <= NEGLIGIBLE * np.minimum(*sizes)
    # A param that depends on one that is not affine is not affine either.
    while (lost := straight & (needs & ~straight).any(axis=1)).any():
        straight &= ~lost
    matrix = np.where(np.abs(matrices[0] - 1) <= EXACT, 1.0, matrices[0])
    shift = np.where(np.abs(shifts[0]) <= EXACT * sizes[0], 0.0, shifts[0])
    np.fill_diagonal(needs, val=False)
    return _Map([np.flatnonzero(row) for row in needs], straight, matrix, shift, looks[0][0])


def _identifiable_points(problem: Problem, curve: Curve) -> Floats:
    """Drawn params in raw units, the best identifiable first."""
    small = thinned(problem, ROWS)
    rng = np.random.default_rng(0)
    points = np.stack([drawn(of, small, CANDIDATES, rng) for of in ranges(small)], axis=1)
    slopes = curve.slopes(points)
    slopes = slopes / np.sqrt(np.square(slopes).sum(axis=1, keepdims=True))
    whole = np.isfinite(slopes).all(axis=(1, 2))
    singular = np.linalg.svd(slopes[whole], compute_uv=False)
    order = np.argsort(singular[:, 0] / singular[:, -1], kind="stable")
    found: Floats = points[whole][order]
    return found


@np.errstate(all="ignore")
def _values(
    formula: Formula, found: _Map, raw: Mapping[str, Tensor], scaling: Scaling, given: Given
) -> Floats:
    """θ' of the given values. Raises InvalidRequest if there is none."""
    theta = np.where(given.known, given.values, found.point)
    values = np.where(found.straight, found.matrix @ theta + found.shift, 0.0)
    rest = given.known & ~found.straight
    if not rest.any():
        return values
    names = formula.params
    curved = [names[i] for i in np.flatnonzero(~found.straight)]
    made = _solved(formula, raw, scaling, theta, values, curved)
    if made is not None:
        return made
    name = names[int(rest.argmax())]
    raise InvalidRequest(
        f"the initial value of '{name}' cannot be converted: no params give the same predictions "
        f"from the scaled inputs; omit '{name}', or {WITHOUT}",
        pointer=f"/params/{name}",
    )


def _solved(
    formula: Formula, raw: Mapping[str, Tensor], scaling: Scaling,
    theta: Floats, values: Floats, curved: list[str],
) -> Floats | None:  # fmt: skip
    """θ' with the params `curved` solved for, in which the prediction is mostly linear; None if
    there is no solution."""
    if not formula.is_linear_in(curved):
        followed = scale_params(formula, raw, scaling, torch.from_numpy(theta))
        return None if followed is None else followed.values.numpy()
    wanted = Curve(formula, points_of(raw)).predict(theta)
    at = [formula.params.index(name) for name in curved]
    prediction, slopes = Curve(formula, points_of(raw, scaling)).read(values)
    step = solve_small(slopes[at], prediction - wanted)[0]
    made = values.copy()
    made[at] += step
    gap = np.abs(prediction + step.dot(slopes[at]) - wanted).max()
    size = np.abs(wanted).max() + np.abs(prediction).max()
    return made if gap <= AGREEMENT * size else None


# --- networks -------------------------------------------------------------------------------------


def _of_network(network: Network, scaling: Scaling, given: Given) -> Given:
    """The conversion for a network: the biases of its first layer depend on the weights of the
    inputs that are shifted."""
    width, scales = network.widths[1], [scaling.get(name, Scale()) for name in network.inputs]
    weights = np.arange(width * len(scales)).reshape(width, -1)
    shifted = np.array([scale.offset != 0 for scale in scales])
    others = [np.zeros(0, dtype=np.int64)] * network.size
    for i, own in enumerate(weights):
        others[weights.size + i] = own[shifted]
    _check(network.params, others, np.ones(network.size, dtype=np.bool_), given)
    factors = np.ones(network.size)
    factors[weights] = [1 / scale.scale for scale in scales]
    scaled = scale_network(network, scaling, torch.from_numpy(given.values)).numpy()
    values = np.where(given.known, scaled, given.values)
    return _within(given, values, factors, np.zeros(network.size))
