"""Requests as they are sent: JSON, or an Arrow stream where the data are large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.client import arrow
from service.client.data import Columns, column, columns, size

LARGE = 100_000
"""Values above which data are sent as Arrow: about 1 MB of JSON."""


@dataclass(slots=True)
class ArrowSupport:
    """What is known about the service's support of Arrow."""

    takes_arrow: bool = field(default_factory=arrow.available)


@dataclass(frozen=True, slots=True)
class Payload:
    """The payload of a POST route: its data, and its other members."""

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


def ask(path: str, given: Any, options: Mapping[str, Any]) -> Payload:
    """The payload of the caller's arguments; those not given are left to the service."""
    plain = {name: _option(value) for name, value in options.items()}
    return Payload(path, columns(given), plain)


def fit(model: Any, data: Any, group_by: Any, options: Mapping[str, Any]) -> Payload:
    """The request for a fit."""
    grouping = {} if group_by is None else {"group_by": group_by}
    return ask("/fit", data, {"model": model, **grouping, **options})


def to_json(value: Any) -> bytes:
    """JSON, also of schemas and NumPy scalars. Non-finite numbers are sent as they are, so that the
    service can report their place."""
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
