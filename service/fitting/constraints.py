"""The constraints of a request: the order of params, and their bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from service.engine.formula import Formula
from service.engine.order import Order, Step
from service.engine.problem import Model, Problem
from service.errors import InvalidRequest, UnknownName
from service.fitting.ties import texts_of
from service.schemas.fit import FitRequest
from service.schemas.options import Param

_SIGN = re.compile(r"(<=|>=|<|>)")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


class Pair(NamedTuple):
    """smaller ≤ larger, of two params."""

    smaller: str
    larger: str
    text: str
    pointer: str


class Limit(NamedTuple):
    """A bound of a param."""

    name: str
    side: str
    """`min` or `max`."""
    value: float
    text: str
    pointer: str


def with_limits(request: FitRequest, formula: Model) -> FitRequest:
    """The request with the bounds that its constraints give. Raises InvalidRequest."""
    if not request.constraints:
        return request
    params = dict(request.params)
    for limit in _read(request, formula)[1]:
        given = params.get(limit.name)
        param = given if isinstance(given, Param) else Param(value=given)
        before, low = getattr(param, limit.side), limit.side == "min"
        tighter = before is None or (limit.value > before if low else limit.value < before)
        if tighter:
            param = param.model_copy(update={limit.side: limit.value})
        if param.min is not None and param.max is not None and not param.min < param.max:
            raise InvalidRequest(
                f"'{limit.name}' would be at least {param.min:g} and at most {param.max:g}: the "
                "constraints and bounds contradict each other",
                pointer=limit.pointer,
            )
        params[limit.name] = param
    return request.model_copy(update={"params": params})


def with_order(problem: Problem, request: FitRequest) -> Problem:
    """The problem with the order of its params by the constraints. Raises InvalidRequest."""
    if not request.constraints:
        return problem
    pairs, limits = _read(request, problem.formula)
    named = tuple((limit.name, limit.text) for limit in limits)
    return replace(problem, order=_order(request, problem, pairs), limited=named)


def _order(request: FitRequest, problem: Problem, pairs: list[Pair]) -> Order | None:
    if not pairs:
        return None
    _check_request(request)
    rank = _ranks(pairs)
    pairs = _needed(pairs)
    links: dict[str, list[Pair]] = {}
    for pair in pairs:
        links.setdefault(pair.smaller, []).append(pair)
        links.setdefault(pair.larger, []).append(pair)
    steps: list[Step] = []
    trees: list[tuple[int, ...]] = []
    seen: set[str] = set()
    for name in sorted(links, key=lambda name: rank[name]):
        if name in seen:
            continue
        tree = _tree(name, links)
        root = _root(tree, problem, links)
        steps += _steps(root, links, problem.params)
        seen |= set(tree)
        trees.append(tuple(problem.params.index(each) for each in sorted(tree, key=rank.get)))  # type: ignore[arg-type]
    return Order(len(problem.params), tuple(steps), tuple(trees))


def _read(request: FitRequest, formula: Model) -> tuple[list[Pair], list[Limit]]:
    """The constraints as pairs of params, and as bounds. Raises InvalidRequest."""
    if not isinstance(formula, Formula):
        raise InvalidRequest(
            "constraints are on the params of a formula, not of a network", pointer="/constraints"
        )
    pairs, limits = [], []
    for i, text in enumerate(request.constraints):
        at = f"/constraints/{i}"
        parts = [part.strip() for part in _SIGN.split(text)]
        if len(parts) < 3 or not all(parts):
            raise InvalidRequest(
                f"'{text}' is no constraint; write two or more params or numbers with < between "
                "them, such as 'a < b'",
                pointer=at,
            )
        for left, sign, right in zip(parts[0::2], parts[1::2], parts[2::2], strict=False):
            small, large = (left, right) if sign.startswith("<") else (right, left)
            below, above = _value(small, formula, at), _value(large, formula, at)
            if below is None and above is None:
                pairs.append(Pair(small, large, f"{small} {sign.replace('>', '<')} {large}", at))
            elif above is not None and below is None:
                limits.append(Limit(small, "max", above, f"{left} {sign} {right}", at))
            elif below is not None and above is None:
                limits.append(Limit(large, "min", below, f"{left} {sign} {right}", at))
            else:
                raise InvalidRequest(f"'{text}' compares two numbers", pointer=at)
    return pairs, limits


def _value(part: str, formula: Formula, at: str) -> float | None:
    """The number, or None for a param. Raises InvalidRequest."""
    if _NUMBER.fullmatch(part):
        value = float(part)
        if not math.isfinite(value):
            raise InvalidRequest(f"'{part}' is beyond float64", pointer=at)
        return value
    if part in texts_of(formula):
        raise InvalidRequest(
            f"'{part}' is computed by its `expr` and cannot be constrained; constrain the params "
            "in the expression",
            pointer=at,
        )
    if part not in formula.params:
        raise UnknownName("param", part, formula.params, pointer=at)
    return None


def _check_request(request: FitRequest) -> None:
    """Raises InvalidRequest for what has no method with ordered params."""
    asked, by = request.confidence_interval, request.group_by
    refused = {
        "/group_by": (
            by is not None and by.is_pooled,
            "groups with shared params or one noise have no ordered params; fit them separately",
        ),
        "/outliers": (request.outliers is not None, "outliers are tested without constraints"),
        "/coverage": (request.coverage is not None, "coverage is simulated without constraints"),
        "/confidence_interval/method": (
            asked.method != "t",
            f"the method '{asked.method}' does not respect constraints; use 't'",
        ),
        "/scaling": (
            request.scaling is not None,
            "constraints are of params in raw units; omit `scaling`",
        ),
    }
    for pointer, (is_asked, why) in refused.items():
        if is_asked:
            raise InvalidRequest(why, pointer=pointer)


def _ranks(pairs: Iterable[Pair]) -> dict[str, int]:
    """A rank of each param, so that a smaller one comes first. Raises InvalidRequest."""
    before: dict[str, set[str]] = {}
    for pair in pairs:
        if pair.smaller == pair.larger:
            raise InvalidRequest(
                f"'{pair.text}' compares a param with itself", pointer=pair.pointer
            )
        before.setdefault(pair.larger, set()).add(pair.smaller)
        before.setdefault(pair.smaller, set())
    try:
        ordered = TopologicalSorter(before).static_order()
        return {name: i for i, name in enumerate(ordered)}
    except CycleError as error:
        cycle = error.args[1]
        raise InvalidRequest(
            f"the constraints form a cycle, {' < '.join(cycle)}; omit one of them, or write one of "
            "these params as an `expr` of another",
            pointer="/constraints",
        ) from None


def _needed(pairs: list[Pair]) -> list[Pair]:
    """The pairs that do not follow from others."""
    left = list({(pair.smaller, pair.larger): pair for pair in pairs}.values())
    for pair in tuple(left):
        others = [each for each in left if each is not pair]
        if _leads(pair.smaller, pair.larger, others):
            left = others
    return left


def _leads(start: str, end: str, pairs: list[Pair]) -> bool:
    reached, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [p.larger for p in pairs if p.smaller == name and p.larger not in reached]
    return end in reached


def _tree(name: str, links: Mapping[str, list[Pair]]) -> set[str]:
    """The params that constraints link with that one. Raises InvalidRequest where they form no
    tree."""
    reached, waiting, used = {name}, [name], set[Pair]()
    while waiting:
        for pair in links[waiting.pop()]:
            if pair in used:
                continue
            used.add(pair)
            other = pair.larger if pair.smaller in reached else pair.smaller
            if {pair.smaller, pair.larger} <= reached:
                raise InvalidRequest(
                    f"'{pair.text}' closes a ring of constraints, which chains and trees of params "
                    "must not have; omit one of the ring",
                    pointer=pair.pointer,
                )
            reached.add(other)
            waiting.append(other)
    return reached


def _root(tree: set[str], problem: Problem, links: Mapping[str, list[Pair]]) -> str:
    """The param of a tree that keeps its bounds. Raises InvalidRequest where two have some."""
    own = [name for name in problem.params if name in tree]
    place = {name: problem.params.index(name) for name in own}
    kept = [
        name
        for name in own
        if not problem.free[place[name]]
        or math.isfinite(float(problem.lower[place[name]]))
        or math.isfinite(float(problem.upper[place[name]]))
    ]
    if len(kept) > 1:
        raise InvalidRequest(
            f"{' and '.join(kept)} are linked by constraints, and each has a bound or is fixed; "
            "one of the params of a chain may: keep one of these bounds, or fix all but one",
            pointer=links[kept[1]][0].pointer,
        )
    return kept[0] if kept else own[0]


def _steps(root: str, links: Mapping[str, list[Pair]], params: tuple[str, ...]) -> list[Step]:
    """The steps from the root to all others of its tree."""
    steps, reached, waiting = [], {root}, [root]
    while waiting:
        name = waiting.pop(0)
        for pair in links[name]:
            other = pair.larger if pair.smaller == name else pair.smaller
            if other in reached:
                continue
            sign = 1 if other == pair.larger else -1
            steps.append(Step(params.index(name), params.index(other), sign, pair.text))
            reached.add(other)
            waiting.append(other)
    return steps
