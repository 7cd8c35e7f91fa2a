"""A canonical form of params that give the same predictions.

The sign of a width does not change a peak; a sine is the same with its phase shifted by 2π, or by π
with its amplitude negated; two peaks may be exchanged. Which of these symmetries a formula has is
found by trying: the loss must stay the same to rounding.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from service.engine.kernel.types import Floats
from service.engine.objectives.points import losses_at
from service.engine.problem import Problem
from service.engine.start.ranges import Range
from service.engine.start.search import rounding, thinned

SAME = 1e-9
"""Relative difference below which losses are the same."""
MOST_PAIRS = 6
"""Maximum number of pairs of linear params that are tried."""
ROWS = 250
"""Maximum number of rows that the loss is computed from."""

Move = Callable[[Floats], Floats | None]
"""Maps params to others that may give the same predictions; None if they are canonical."""


def canonical(
    problem: Problem, theta: Tensor, where: Sequence[Range], chosen: tuple[int, ...]
) -> Tensor:
    """The form of θ (params,) with phases in (−π, π], positive signs and like terms in order, as
    far as the predictions stay the same; only params at the positions `chosen` change."""
    small = thinned(problem, ROWS)
    limits = problem.limits.numpy()
    point: Floats = theta.double().cpu().numpy().copy()
    for move in (*_turns(where, chosen), *_signs(problem, where, chosen), *_orders(problem, where)):
        other = move(point)
        if other is None or not np.isfinite(other).all():
            continue
        own = bool(np.isin(np.flatnonzero(other != point), chosen).all())
        within = bool(((other >= limits[0]) & (other <= limits[1])).all())
        if own and within and _is_same(small, point, other):
            point = other
    return torch.from_numpy(point)


def _is_same(problem: Problem, one: Floats, other: Floats) -> bool:
    first, second = losses_at(problem, np.stack([one, other])).tolist()
    return bool(abs(first - second) <= SAME * abs(first) + rounding(problem))


def _turns(where: Sequence[Range], chosen: tuple[int, ...]) -> Iterator[Move]:
    """Moves phases to within half a period of 0."""
    for i in chosen:
        turn = where[i].turn
        if turn is not None:

            def move(point: Floats, i: int = i, turn: float = turn) -> Floats | None:
                return (
                    _with(point, {i: _wrapped(point[i], turn)})
                    if abs(point[i]) > turn / 2
                    else None
                )

            yield move


def _signs(problem: Problem, where: Sequence[Range], chosen: tuple[int, ...]) -> Iterator[Move]:
    """Makes negative params positive: alone; with the phases shifted by half a period; with the
    phases negated (for a frequency), and then with the linear params negated too; with two linear
    params exchanged (the levels of a sigmoid)."""
    phases = {i: where[i].turn for i in chosen if where[i].turn is not None}
    linear = _linear(problem)
    pairs = [*combinations(linear, 2)][:MOST_PAIRS]
    for i in chosen:
        if i in phases or where[i].places is not None or where[i].logarithm:
            continue
        for way in range(4 if phases else 1):

            def move(point: Floats, i: int = i, way: int = way) -> Floats | None:
                if not point[i] < 0:
                    return None
                others = {}
                for at, turn in phases.items():
                    assert turn is not None
                    phase = point[at] + turn / 2 if way == 1 else -point[at]
                    others[at] = _wrapped(phase, turn) if way else point[at]
                if way == 3:
                    others |= {at: -point[at] for at in linear}
                return _with(point, {**others, i: -point[i]})

            yield move
        for pair in pairs:

            def swap(point: Floats, i: int = i, pair: tuple[int, int] = pair) -> Floats | None:
                if not point[i] < 0 or i in pair:
                    return None
                one, other = pair
                return _with(point, {i: -point[i], one: point[other], other: point[one]})

            yield swap


def _orders(problem: Problem, where: Sequence[Range]) -> Iterator[Move]:
    """Sorts terms whose params' names differ only in a number, as m1, s1 and m2, s2: by their
    location, or else by the first of their params that is not linear."""
    stems: dict[str, list[int]] = {}
    for i, name in enumerate(problem.params):
        stems.setdefault(re.sub(r"\d+$", "", name), []).append(i)
    most = max(map(len, stems.values()))
    alike = [members for members in stems.values() if len(members) == most]
    if most < 2:
        return
    linear = _linear(problem)
    shaped = [members for members in alike if members[0] not in linear] or alike
    key = next((m for m in shaped if where[m[0]].places is not None), shaped[0])
    for _ in range(most - 1):
        for k in range(most - 1):

            def move(point: Floats, k: int = k) -> Floats | None:
                if point[key[k]] <= point[key[k + 1]]:
                    return None
                swapped = {members[k]: point[members[k + 1]] for members in alike}
                return _with(point, swapped | {m[k + 1]: point[m[k]] for m in alike})

            yield move


def _linear(problem: Problem) -> list[int]:
    together = zip(problem.free_params, problem.linear.tolist(), strict=True)
    return [problem.params.index(name) for name, is_linear in together if is_linear]


def _wrapped(phase: float, turn: float) -> float:
    return phase - turn * math.ceil(phase / turn - 0.5)


def _with(point: Floats, others: dict[int, float]) -> Floats:
    made = point.copy()
    for i, value in others.items():
        made[i] = value
    return made
