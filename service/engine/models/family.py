"""The record of a family of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

Guess = Callable[[Tensor, Tensor], Tensor]
"""Input x (groups, rows) and target y (groups, rows) -> θ (groups, params)."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a param, and its unit in terms of the units [x] and [y]."""

    meaning: str
    unit: str


@dataclass(frozen=True, slots=True)
class Report:
    """A quantity that the users of a family want, as an expression of its params."""

    expr: str
    meaning: str
    unit: str


@dataclass(frozen=True, slots=True)
class Family:
    """A parametric family y = f(x; θ): its formula, its params' meaning, and a start."""

    name: str
    title: str
    formula: str
    """The formula, with input `x` and target `y`."""
    params: Mapping[str, Meaning]
    """In the order of their first occurrence in the formula."""
    guess: Guess
    when_to_use: str
    reference: str
    reports: Mapping[str, Report] = field(default_factory=dict)
    """What `"report": "default"` reports, by name."""
