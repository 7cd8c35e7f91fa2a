"""Options of the catalogue's entries, from which the schemas and the catalogue routes are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from typing_extensions import Doc

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Lt(1)]
Share = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True)
class RobustScale:
    """A number in units of a robust scale of the residuals of the fit itself, as the type of an
    option; the schema is `service.schemas.numbers.RobustScale`."""


REQUIRED: Any = dataclasses.MISSING
"""The default of an option that has none."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its type with bounds (`Annotated[float, Gt(0)]`), default and description."""

    name: str
    type: Any
    default: Any
    description: str | None = None
    tuning: float | None = None
    """The value in units of a robust scale of the residuals, where it has one."""


@cache
def options_of(record: type) -> tuple[Option, ...]:
    """The options that the fields of a dataclass are, described by `Doc`."""
    hints = get_type_hints(record, include_extras=True)
    return tuple(
        Option(field.name, _undescribed(hints[field.name]), field.default, _doc(hints[field.name]))
        for field in dataclasses.fields(record)
    )


def _doc(hint: Any) -> str | None:
    found = (each.documentation for each in get_args(hint)[1:] if isinstance(each, Doc))
    return next(found, None) if get_origin(hint) is Annotated else None


def _undescribed(hint: Any) -> Any:
    """The type without its description."""
    if get_origin(hint) is not Annotated:
        return hint
    plain, *metadata = get_args(hint)
    kept = tuple(each for each in metadata if not isinstance(each, Doc))
    return Annotated[(plain, *kept)] if kept else plain


@dataclass(frozen=True, slots=True)
class NoOptions:
    """No options."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def table(entries: Iterable[N]) -> Mapping[str, N]:
    """The entries by name, in their order. Raises ValueError for a name that occurs twice."""
    found: dict[str, N] = {}
    for entry in entries:
        if entry.name in found:
            raise ValueError(f"two entries of the catalogue are named '{entry.name}'")
        found[entry.name] = entry
    return found
