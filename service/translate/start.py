"""Where a fit sets out from: as given, guessed by its family, or drawn."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.linear import least_squares
from service.engine.models import Family
from service.engine.models.mlp import Network
from service.engine.problem import Problem
from service.errors import InvalidRequest, UnknownName
from service.schemas.fit import FitRequest
from service.schemas.options import Param
from service.translate.columns import escape
from service.translate.models import Resolved

MOST_GUESSED = 2**16
"""Rows that a guess is made from, at most."""

_GUESS = Param()


@dataclass(frozen=True, slots=True)
class Start:
    """Initial values and limits, (params,) float64 each, and the params without a value given."""

    initial: Tensor
    lower: Tensor
    upper: Tensor
    free: tuple[bool, ...]
    guessed: tuple[str, ...]


def to_start(request: FitRequest, resolved: Resolved, target: Tensor) -> Start:
    """Initial values and limits: as given, else 1, or drawn for a network."""
    given, names = request.params, resolved.formula.params
    known_names(given, names)
    params = {name: _param(given.get(name)) for name in names}
    guessed = tuple(name for name in names if params[name].value is None)
    guesses = dict.fromkeys(names, 1.0)
    if isinstance(resolved.formula, Network):
        drawn = resolved.formula.initial(target, request.seed).tolist()
        guesses = dict(zip(names, drawn, strict=True))
    values, lower, upper = [], [], []
    for name, param in params.items():
        low = float("-inf") if param.min is None else param.min
        high = float("inf") if param.max is None else param.max
        values.append(_value(name, param, low, high, guesses[name]))
        lower.append(low)
        upper.append(high)
    return Start(
        torch.from_numpy(np.array(values)),
        torch.from_numpy(np.array(lower)),
        torch.from_numpy(np.array(upper)),
        tuple(not param.fixed for param in params.values()),
        guessed,
    )


def known_names(given: Iterable[str], names: Collection[str], pointer: str = "/params") -> None:
    """Raises UnknownName for a param that the formula lacks."""
    for name in given:
        if name not in names:
            raise UnknownName("param", name, names, pointer=f"{pointer}/{escape(name)}")


def _param(given: float | Param | None) -> Param:
    if isinstance(given, Param):
        return given
    return _GUESS if given is None else Param(value=float(given))


def _value(name: str, param: Param, low: float, high: float, guess: float) -> float:
    at = f"/params/{escape(name)}"
    if low > high or (low == high and not param.fixed):
        raise InvalidRequest(
            f"'{name}' has min {low:g} and max {high:g}; min must be below max, or fix the param",
            pointer=at,
        )
    if param.value is None:
        if param.fixed:
            raise InvalidRequest(f"'{name}' is fixed, but has no value", pointer=f"{at}/value")
        return min(max(guess, low), high)
    if not low <= param.value <= high:
        raise InvalidRequest(
            f"'{name}' starts at {param.value:g}, outside its limits {low:g} to {high:g}",
            pointer=f"{at}/value",
        )
    return float(param.value)


def guessed(
    problem: Problem,
    start: Start,
    resolved: Resolved,
    inputs: Mapping[str, Tensor],
    target: Tensor,
) -> Tensor:
    """The start with the family's guesses in place of what was not given; long data are thinned."""
    assert resolved.family is not None
    every = slice(None, None, -(-len(target) // MOST_GUESSED))
    thinned = {name: column[every] for name, column in inputs.items()}
    guesses = _guess(resolved, resolved.family, thinned, target[every])
    values = [
        guesses[name] if name in start.guessed else value
        for name, value in zip(problem.params, start.initial.tolist(), strict=True)
    ]
    initial = torch.from_numpy(np.array(values)).to(problem.initial.dtype)
    return torch.minimum(torch.maximum(initial, problem.lower), problem.upper)


def _guess(
    resolved: Resolved, family: Family, inputs: Mapping[str, Tensor], target: Tensor
) -> dict[str, float]:
    names, guess = resolved.formula.params, None
    if isinstance(resolved.formula, Formula):
        guess = least_squares(resolved.formula, inputs, target)
    if guess is None:
        x = next(iter(inputs.values()), torch.zeros_like(target))
        names = tuple(family.params)
        guess = family.guess(x.unsqueeze(0), target.unsqueeze(0))[0].tolist()
    return {
        name: value if math.isfinite(value) else 1.0
        for name, value in zip(names, guess, strict=True)
    }
