"""Proves that one formula is a special case of another.

The smaller formula is nested in the larger one if the larger becomes identical to it where some of
its params are fixed at a constant or made equal to others, and the rest are renamed or negated; or
if both are linear in their params, and each term of the smaller is a combination of the larger's.
An identity of two formulas is established at random points (Schwartz, J. ACM 27 (1980) 701): they
are analytic between the switches of conditions, so they do not agree at all of the points by
chance. Not every nesting is found: a reparametrisation such as log(e) for x0 is not tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel.types import Ints
from service.engine.problem import Problem
from service.engine.tape import Tape

POINTS = 32
"""Points at which an identity is established; as many again are within the data."""
SCREENED = 3
"""Points at which the candidates are screened first."""
MOST = 20_000
"""Candidates of one kind that are tried at most."""
TOLERANCE = 1e-9
_CONSTANTS = (0.0, 1.0)
_POWERS = {"square": 2.0, "sqrt": 0.5}
"""Operations that a tape has for these powers."""


class Value(NamedTuple):
    """The value of a param of the larger model: a constant, or ± a param of the smaller one."""

    constant: float = 0.0
    param: int | None = None
    sign: float = 1.0


@dataclass(frozen=True, slots=True)
class Nesting:
    """How the larger model becomes the smaller one."""

    values: tuple[Value, ...] | None = None
    """Of each param of the larger one, fixed ones too; None where both are linear."""
    lost: tuple[str, ...] = ()
    """Params of the larger one that have no effect there: p is then only approximate."""

    def start(self, theta: Sequence[float]) -> list[float] | None:
        """The larger model's params that give the smaller one's curve at θ."""
        if self.values is None:
            return None
        return [v.constant if v.param is None else v.sign * theta[v.param] for v in self.values]


def nested(smaller: Problem, larger: Problem) -> Nesting | None:
    """How the smaller model is nested in the larger one; None where it is not proved."""
    if not (isinstance(smaller.formula, Formula) and isinstance(larger.formula, Formula)):
        return None
    if len(smaller.free_params) >= len(larger.free_params):
        return None
    if smaller.is_linear and larger.is_linear:
        return _linear(smaller, larger, _points(smaller, larger))
    values = _special_case(_Side.of(smaller), _Side.of(larger))
    if values is None:
        return None
    own, others = _Side.of(smaller), _Side.of(larger)
    columns, theta = _points(smaller, larger), own.generic()
    at = _set(values, theta)
    wanted, found = own.values(columns, theta)[0], others.values(columns, at)[0]
    if not bool(_agree(found, wanted)):
        return None
    return Nesting(values, _without_effect(others, columns, at, found))


@dataclass(frozen=True, slots=True)
class _Side:
    """What an identity depends on: a formula's right side, its fixed params and its bounds."""

    tape: Tape
    params: tuple[str, ...]
    fixed: tuple[float | None, ...]
    """None for a free param."""
    limits: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, problem: Problem) -> _Side:
        formula = problem.formula
        assert isinstance(formula, Formula)
        initial = zip(problem.initial.tolist(), problem.free, strict=True)
        return cls(
            formula.prediction,
            formula.params,
            tuple(None if free else value for value, free in initial),
            tuple(zip(problem.lower.tolist(), problem.upper.tolist(), strict=True)),
        )

    @property
    def places(self) -> list[int]:
        """The positions of the free params."""
        return [i for i, value in enumerate(self.fixed) if value is None]

    def generic(self) -> Tensor:
        """Random values of the free params, and the fixed ones as they are, (1, params)."""
        random = torch.rand(len(self.params), generator=_random(29), dtype=torch.float64).tolist()
        pairs = zip(self.fixed, random, strict=True)
        return torch.tensor([[0.4 + 1.3 * r if v is None else v for v, r in pairs]]).double()

    def values(self, columns: Mapping[str, Tensor], params: Tensor) -> Tensor:
        """f at each point of each set of params: (sets, params) -> (sets, points)."""
        reader = self.tape.bind(columns, self.params, params)
        (found,) = reader([params[:, i : i + 1] for i in range(params.shape[1])])
        return found.broadcast_to((len(params), len(next(iter(columns.values())))))


def _random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _generic_points(names: Collection[str]) -> Mapping[str, Tensor]:
    """Random inputs of order 1, (points,)."""
    random = _random(17)
    return {
        name: 0.3 + 1.7 * torch.rand(POINTS, generator=random, dtype=torch.float64)
        for name in sorted(names) or ["x"]
    }


def _points(smaller: Problem, larger: Problem) -> Mapping[str, Tensor]:
    """The same, and random inputs within the range of the data."""
    random, data = _random(23), {**smaller.columns, **larger.columns}
    columns = {}
    for name, generic in _generic_points(tuple(data)).items():
        if name in data:
            low, high = float(data[name].min()), float(data[name].max())
            part = torch.rand(POINTS, generator=random, dtype=torch.float64)
            generic = torch.cat([generic, low + (high - low) * part])
        columns[name] = generic
    return columns


def _linear(smaller: Problem, larger: Problem, columns: Mapping[str, Tensor]) -> Nesting | None:
    """Whether the smaller one's terms are combinations of the larger one's."""
    own, others = (_terms(problem, columns) for problem in (smaller, larger))
    wanted = torch.cat([own[1:], (own[:1] - others[:1])]).T.numpy()
    basis = others[1:].T.numpy()
    finite = np.isfinite(wanted).all(axis=1) & np.isfinite(basis).all(axis=1)
    if finite.sum() < 2 * basis.shape[1]:
        return None
    wanted, basis = wanted[finite], basis[finite]
    scale = np.maximum(np.abs(basis).max(axis=0), 1e-300)
    solved, *_ = np.linalg.lstsq(basis / scale, wanted, rcond=None)
    left = np.abs(wanted - basis / scale @ solved).max(axis=0)
    within = left <= TOLERANCE * np.maximum(np.abs(wanted).max(axis=0), 1e-300)
    return Nesting() if bool(within.all()) else None


def _terms(problem: Problem, columns: Mapping[str, Tensor]) -> Tensor:
    """Of a model linear in its free params: the part without them, then each one's factor,
    (1 + free, points)."""
    base = problem.initial.double().clone()
    base[list(problem.places)] = 0.0
    sets = base.repeat(1 + len(problem.places), 1)
    for i, place in enumerate(problem.places):
        sets[1 + i, place] = 1.0
    found = _Side.of(problem).values(columns, sets)
    return torch.cat([found[:1], found[1:] - found[:1]])


@lru_cache(maxsize=4096)
def _special_case(smaller: _Side, larger: _Side) -> tuple[Value, ...] | None:
    """The values of the larger one's params at which it is the smaller one, at generic points."""
    columns = _generic_points({*smaller.tape.names("column"), *larger.tape.names("column")})
    screen = {name: column[:SCREENED] for name, column in columns.items()}
    theta = smaller.generic()
    wanted = smaller.values(columns, theta)[0]
    pool = _pool(smaller)
    pool += [Value(v) for v in larger.fixed if v is not None]
    values = torch.tensor([[_number(v, theta) for v in pool]]).double()[0]
    for candidates in _candidates(smaller, larger, pool):
        sets = values[torch.from_numpy(candidates)]
        found = larger.values(screen, sets)
        for i in _agree(found, wanted[:SCREENED]).nonzero().flatten().tolist():
            whole = larger.values(columns, sets[i : i + 1])
            if bool(_agree(whole, wanted)[0]):
                return tuple(pool[c] for c in candidates[i])
    return None


def _number(value: Value, theta: Tensor) -> float:
    return value.constant if value.param is None else value.sign * float(theta[0, value.param])


def _set(values: Sequence[Value], theta: Tensor) -> Tensor:
    return torch.tensor([[_number(v, theta) for v in values]]).double()


def _agree(found: Tensor, wanted: Tensor) -> Tensor:
    """Which rows of `found` equal `wanted` wherever that is finite, as it must be at a third."""
    compared = torch.isfinite(wanted)
    if 3 * int(compared.sum()) < len(wanted):
        return torch.zeros(found.shape[:-1], dtype=torch.bool)
    close = (found - wanted).abs() <= TOLERANCE * wanted.abs().clamp(min=1e-300)
    return (close | ~compared).all(dim=-1)


def _pool(smaller: _Side) -> list[Value]:
    """The values that are tried: constants, then params, then negated params."""
    nodes = smaller.tape.nodes
    literals = [_POWERS[node.name] for node in nodes if node.name in _POWERS and node.arguments]
    literals += [node.value for node in nodes if node.kind == "constant"]
    literals += [value for value in smaller.fixed if value is not None]
    constants = dict.fromkeys([*_CONSTANTS, *list(dict.fromkeys(literals))[:4]])
    signs = [[Value(param=i, sign=sign) for i in smaller.places] for sign in (1.0, -1.0)]
    return [*(Value(c) for c in constants), *signs[0], *signs[1]]


def _candidates(smaller: _Side, larger: _Side, pool: list[Value]) -> Iterator[Ints]:
    """Sets of values for the larger one's params, as positions in the pool, (sets, params), which
    ends with the values of those that are fixed. The likely ones first: params keep their names;
    then they change them; then some are negated."""
    own, others, q = smaller.places, larger.places, len(smaller.places)
    fixed = [j for j, value in enumerate(larger.fixed) if value is not None]
    constants = len(pool) - 2 * q - len(fixed)
    place = {i: constants + at for at, i in enumerate(own)}
    base = np.zeros(len(larger.params), dtype=np.int64)
    base[fixed] = constants + 2 * q + np.arange(len(fixed))
    names = {smaller.params[i]: i for i in own}
    shared = {j: names[larger.params[j]] for j in others if larger.params[j] in names}
    free = [j for j in others if j not in shared]
    left = [i for i in own if i not in shared.values()]
    for kept, places, params in ((shared, free, left), ({}, others, own)):
        extra = len(places) - len(params)
        if extra < 0:
            continue
        ways = math.perm(len(places), len(params)) * (constants + q) ** extra
        for signs in (1, 2**q):
            if ways * signs > MOST:
                continue
            start = base.copy()
            for j, i in kept.items():
                start[j] = place[i]
            found = _sets(start, places, [place[i] for i in params], constants + q)
            if signs > 1:
                found = _negated(found, constants, q)
            yield found[_allowed(found, smaller, larger, pool)]


def _sets(start: Ints, places: Sequence[int], taken: Sequence[int], choices: int) -> Ints:
    """Every way to give `taken` to some of the places, and any choice to the rest."""
    parts = []
    for order in itertools.permutations(places, len(taken)):
        rest = [j for j in places if j not in order]
        ways = np.indices((choices,) * len(rest)).reshape(len(rest), choices ** len(rest)).T
        part = np.tile(start, (len(ways), 1))
        part[:, list(order)] = taken
        part[:, rest] = ways
        parts.append(part)
    return np.concatenate(parts)


def _negated(found: Ints, constants: int, q: int) -> Ints:
    """Those sets with each combination of the params negated."""
    parts = []
    for flips in itertools.product((0, q), repeat=q):
        moved = np.zeros(int(found.max(initial=0)) + q + 1, dtype=np.int64)
        moved[constants : constants + q] = flips
        parts.append(found + moved[found])
    return np.concatenate(parts)


def _allowed(found: Ints, smaller: _Side, larger: _Side, pool: Sequence[Value]) -> Ints:
    """Which sets are within the larger one's bounds wherever the smaller one's params are within
    theirs, as positions."""
    lows, highs = np.array([_range(value, smaller) for value in pool]).T
    inside = np.ones(len(found), dtype=bool)
    for j, (low, high) in enumerate(larger.limits):
        if larger.fixed[j] is None:
            inside &= (low <= lows[found[:, j]]) & (highs[found[:, j]] <= high)
    return np.flatnonzero(inside)


def _range(value: Value, smaller: _Side) -> tuple[float, float]:
    if value.param is None:
        return value.constant, value.constant
    low, high = smaller.limits[value.param]
    return (low, high) if value.sign > 0 else (-high, -low)


def _without_effect(
    larger: _Side, columns: Mapping[str, Tensor], at: Tensor, found: Tensor
) -> tuple[str, ...]:
    """The free params that the prediction does not depend on there."""
    lost = []
    for place in larger.places:
        moved = at.clone()
        moved[0, place] += 0.37
        if torch.equal(larger.values(columns, moved)[0].nan_to_num(), found.nan_to_num()):
            lost.append(larger.params[place])
    return tuple(lost)
