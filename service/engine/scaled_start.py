"""Initial values, limits and fixed values that are given in raw units, as those of scaled inputs.

Where the formula is closed under the scaling, each θ has one θ' with f(scale·x + offset; θ') =
f(x; θ): see `scaling`. What is given is taken over as that map allows, and refused where it does
not:

- an initial value, if all the params are given that its value on scaled inputs depends on (a line's
  b' = b − w·offset/scale depends on w too);
- a fixed value, if all those params are fixed;
- a limit, if the map changes that param alone, by a factor and a shift.

The map is looked at where the formula tells its params well apart, at two such points; which params
it mixes, and which it changes by a factor and a shift, is the same at both. So it holds as well
where the params are not told apart, as a decay's are at an amplitude of 0.
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
"""Points that are drawn to look at the map at,"""
TRIED = 6
"""of which so many are tried, at most."""
ROWS = 250
"""Rows, at most, that they are drawn by."""
NEGLIGIBLE = 1e-7
"""A share of a param's part in the prediction that is rounding."""
WITHOUT = 'fit without scaling ("scaling": {})'
EXACT = 1e-10
"""Factors so near 1, and shifts so near 0, are that."""


Others = Sequence[Ints]
"""For each param the positions of the others that its value on scaled inputs depends on."""


@dataclass(frozen=True, eq=False)
class Given:
    """What is said of params: values, limits, which values are given and which are fixed; (params,)
    each."""

    values: Floats
    lower: Floats
    upper: Floats
    known: Bools
    fixed: Bools

    @property
    def limited(self) -> Bools:
        """Which free params have a limit."""
        return ~self.fixed & (np.isfinite(self.lower) | np.isfinite(self.upper))

    @property
    def says_nothing(self) -> bool:
        return not (self.known | self.limited).any()


@dataclass(frozen=True, eq=False)
class _Map:
    """How θ' follows from θ."""

    others: Others
    straight: Bools
    """Which are a sum of multiples of params, and a number:"""
    matrix: Floats
    shift: Floats
    point: Floats
    """Params in raw units at which the formula tells them apart."""


def scaled_start(
    problem: Problem, raw: Mapping[str, Tensor], scaling: Scaling, given: Given
) -> Given:
    """The same for scaled inputs; `problem` has the rows, `raw` their inputs before scaling. Raises
    InvalidRequest, at the param, for what cannot be taken over."""
    if given.says_nothing or all(s.scale == 1 and s.offset == 0 for s in scaling.values()):
        return given
    formula = problem.formula
    if isinstance(formula, Network):
        return _of_network(formula, scaling, given)
    found = _map(replace(problem.double(), columns=raw), scaling)
    names = formula.params
    if found is None:
        name = names[int((given.known | given.limited).argmax())]
        raise InvalidRequest(
            f"what is given of '{name}' is in units of the inputs as they are, and no params of "
            f"this formula predict the same of the scaled inputs; leave '{name}' out, or {WITHOUT}",
            pointer=f"/params/{name}",
        )
    _check(names, found.others, found.straight, given)
    values = np.where(given.known, _values(formula, found, raw, scaling, given), given.values)
    return _within(given, values, found.matrix.diagonal(), found.shift)


def can_be_scaled(problem: Problem, scaling: Scaling, known: Iterable[str]) -> bool:
    """Whether the fit of that problem could be had of scaled inputs: its formula is closed under
    the scaling, and what is given of its params, the values of those `known`, can be taken over."""
    names, told = problem.params, frozenset(known)
    lower, upper = problem.limits.numpy()
    given = Given(
        problem.initial.double().cpu().numpy(),
        lower,
        upper,
        np.array([name in told for name in names], dtype=np.bool_),
        ~np.array(problem.free, dtype=np.bool_),
    )
    inputs = {name: column.double().cpu() for name, column in problem.columns.items()}
    if isinstance(problem.formula, Formula) and given.says_nothing:
        return _map(replace(problem.double().to("cpu"), columns=inputs), scaling) is not None
    try:
        scaled_start(problem.to("cpu"), inputs, scaling, given)
    except InvalidRequest:
        return False
    return True


def raw_params(
    problem: Problem, raw: Mapping[str, Tensor], scaling: Scaling, theta: Tensor
) -> Moved | None:
    """The θ_raw of a θ fitted to scaled inputs; None where there is none. `unscale` finds it; where
    the formula does not tell its params apart at θ, by the map, if that is straight."""
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
    """Raises InvalidRequest for the first param of which something cannot be taken over."""
    for i in np.flatnonzero(given.known | given.limited).tolist():
        name, mixed = names[i], others[i]
        listed = ", ".join(names[j] for j in mixed[:8])
        depends = f"on scaled inputs its value depends on {listed} too"
        if given.fixed[i] and not given.fixed[mixed].all():
            raise InvalidRequest(
                f"'{name}' cannot be fixed: {depends}; fix {listed} as well, or {WITHOUT}",
                pointer=f"/params/{name}",
            )
        if given.known[i] and not given.known[mixed].all():
            raise InvalidRequest(
                f"the initial value of '{name}' cannot be taken over: {depends}; give {listed} "
                f"as well, leave '{name}' out, or {WITHOUT}",
                pointer=f"/params/{name}",
            )
        if given.limited[i] and (len(mixed) or not straight[i]):
            why = depends if len(mixed) else "on scaled inputs its value is no multiple of it"
            raise InvalidRequest(
                f"the limits of '{name}' cannot be taken over: {why}; leave them out, or {WITHOUT}",
                pointer=f"/params/{name}",
            )


def _within(given: Given, values: Floats, factors: Floats, shift: Floats) -> Given:
    """What is given, with those values and with limits that the map takes where they are."""
    limited = given.limited
    with np.errstate(all="ignore"):
        ends = np.stack([given.lower, given.upper]) * factors + shift
    lower = np.where(limited, ends.min(axis=0), -math.inf)
    upper = np.where(limited, ends.max(axis=0), math.inf)
    # A value that nobody gave is a stand-in in any units, but lies within the limits.
    return replace(given, values=np.clip(values, lower, upper), lower=lower, upper=upper)


# --- formulas -------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def _map(problem: Problem, scaling: Scaling) -> _Map | None:
    """The map of a problem in raw units; None where its formula is not closed under the scaling, or
    does not tell its params apart."""
    formula, raw = problem.formula, problem.columns
    assert isinstance(formula, Formula)
    before, after = (Curve(formula, points_of(raw, each)) for each in ({}, scaling))
    looks: list[tuple[Floats, Floats, Floats, Floats, Floats]] = []
    for theta in _told_apart(problem, before)[:TRIED]:
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
    """How much each param moves the prediction."""
    found: Floats = np.abs(slopes).max(axis=1)
    return found


def _of_two(*looks: tuple[Floats, Floats, Floats, Floats, Floats]) -> _Map:
    """What the map is, from two points: params before and after, ∂after/∂before, and how much each
    param moves the prediction, after and before."""
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
    # One that depends on a param that is not straight cannot be had without it.
    while (lost := straight & (needs & ~straight).any(axis=1)).any():
        straight &= ~lost
    matrix = np.where(np.abs(matrices[0] - 1) <= EXACT, 1.0, matrices[0])
    shift = np.where(np.abs(shifts[0]) <= EXACT * sizes[0], 0.0, shifts[0])
    np.fill_diagonal(needs, val=False)
    return _Map([np.flatnonzero(row) for row in needs], straight, matrix, shift, looks[0][0])


def _told_apart(problem: Problem, curve: Curve) -> Floats:
    """Params in raw units, drawn, those first that the formula tells apart best."""
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
    """θ' of the values that are given. Raises InvalidRequest where there is none."""
    theta = np.where(given.known, given.values, found.point)
    values = np.where(found.straight, found.matrix @ theta + found.shift, 0.0)
    rest = given.known & ~found.straight
    if not rest.any():
        return values
    names = formula.params
    bent = [names[i] for i in np.flatnonzero(~found.straight)]
    made = _solved(formula, raw, scaling, theta, values, bent)
    if made is not None:
        return made
    name = names[int(rest.argmax())]
    raise InvalidRequest(
        f"the initial value of '{name}' cannot be taken over: no params predict the same of the "
        f"scaled inputs as these do; leave '{name}' out, or {WITHOUT}",
        pointer=f"/params/{name}",
    )


def _solved(
    formula: Formula, raw: Mapping[str, Tensor], scaling: Scaling,
    theta: Floats, values: Floats, bent: list[str],
) -> Floats | None:  # fmt: skip
    """θ' of which the params but for `bent` are known. The prediction is mostly linear in these."""
    if not formula.is_linear_in(bent):
        followed = scale_params(formula, raw, scaling, torch.from_numpy(theta))
        return None if followed is None else followed.values.numpy()
    wanted = Curve(formula, points_of(raw)).predict(theta)
    at = [formula.params.index(name) for name in bent]
    prediction, slopes = Curve(formula, points_of(raw, scaling)).read(values)
    step = solve_small(slopes[at], prediction - wanted)[0]
    made = values.copy()
    made[at] += step
    gap = np.abs(prediction + step.dot(slopes[at]) - wanted).max()
    size = np.abs(wanted).max() + np.abs(prediction).max()
    return made if gap <= AGREEMENT * size else None


# --- networks -------------------------------------------------------------------------------------


def _of_network(network: Network, scaling: Scaling, given: Given) -> Given:
    """A bias of its first layer depends on the weights of the inputs that are shifted."""
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
