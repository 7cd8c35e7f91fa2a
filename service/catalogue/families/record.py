"""The record of a model family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from service.catalogue.options import Option


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
    """A parametric family y = f(x; θ): its formula and its params' meaning.

    Its start is guessed by the function of that name in `engine/models`, where there is one, else
    searched for, as that of any formula.
    """

    name: str
    title: str
    formula: str
    """The formula, with input `x` and target `y`."""
    params: Mapping[str, Meaning]
    """In the order of their first occurrence in the formula."""
    when_to_use: str
    reference: str
    reports: Mapping[str, Report] = field(default_factory=dict)
    """What `"report": "default"` reports, by name."""
    log_x: bool = False
    """Whether pictures have a logarithmic x axis, as over a dose."""
    options: tuple[Option, ...] = ()
    """What the formula depends on besides x and the params, such as a degree."""
    vary: Callable[..., Family] | None = None
    """The family with given values of its options, as keywords."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The options' values of this member of the family; none: the defaults."""

    def with_options(self, values: Mapping[str, Any]) -> Family:
        """The family with these values of its options; without any, itself."""
        if not values:
            return self
        assert self.vary is not None, f"'{self.name}' has no options"
        return replace(self.vary(**values), values=values)
