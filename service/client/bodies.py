"""Requests as they are sent: JSON, or an Arrow stream where the data are large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.client import arrow
from service.client.data import Columns, column, columns, size

LARGE = 100_000
"""Values above which data go as Arrow: about 1 MB of JSON."""


@dataclass(slots=True)
class Wire:
    """What is known of the service's ears."""

    takes_arrow: bool = field(default_factory=arrow.available)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of one of the POST routes: its data, and all else."""

    path: str
    columns: Columns
    options: Mapping[str, Any]

    def large(self) -> bool:
        return size(self.columns) > LARGE

    def as_arrow(self) -> tuple[bytes, str]:
        """The body and its media type."""
        return arrow.stream(to_json(self.options), self.columns), arrow.MEDIA_TYPE

    def as_json(self) -> tuple[bytes, str]:
        """The body and its media type."""
        listed = {name: _listed(values) for name, values in self.columns.items()}
        return to_json({"data": listed, **self.options}), "application/json"


def ask(path: str, given: Any, options: Mapping[str, Any]) -> Ask:
    """A request from what the caller gave; what is not given is left to the service."""
    plain = {name: _option(value) for name, value in options.items()}
    return Ask(path, columns(given), plain)


def fit(model: Any, data: Any, group_by: Any, options: Mapping[str, Any]) -> Ask:
    """The request for a fit."""
    grouping = {} if group_by is None else {"group_by": group_by}
    return ask("/fit", data, {"model": model, **grouping, **options})


def to_json(value: Any) -> bytes:
    """As JSON; schemas and NumPy scalars too. A number that is not finite goes as it is, so that
    the service can say where it stands."""
    from pydantic_core import to_json as write

    return write(value, inf_nan_mode="constants", fallback=_fallback)


def _option(value: Any) -> Any:
    if hasattr(value, "__array__") and getattr(value, "ndim", 0) == 1:
        return _listed(column(value, "sigma"))
    return value


def _listed(values: Any) -> list[Any]:
    if isinstance(values, list):
        return values
    listed: list[Any] = values.tolist()
    if (values != values).any():
        return [None if value != value else value for value in listed]
    return listed


def _fallback(value: Any) -> Any:
    if callable(getattr(value, "item", None)):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be sent: {value!r}")
