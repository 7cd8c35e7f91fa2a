"""Schemas of the catalogue's entries: an object with a `name` and the entry's options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin

from pydantic import Field, create_model

from service.catalogue.options import REQUIRED, Option
from service.catalogue.options import RobustScale as ScaleRecord
from service.schemas.base import Finite, Request
from service.schemas.numbers import RobustScale


class Entry(Protocol):
    """What a record of the catalogue has for its schema."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def options(self) -> tuple[Option, ...]: ...


R = TypeVar("R", bound=Request)


def models_of(entries: Iterable[tuple[Entry, type[R]]], kind: str, home: str) -> dict[str, type[R]]:
    """The schema of each entry, derived from its base, by the entry's name. The schema of `soft_l1`
    of the kind `Loss` is `SoftL1Loss`; `home` is the module that has it as an attribute, where
    pickle looks for it."""
    return {entry.name: _model(entry, base, kind, home) for entry, base in entries}


def by_class_name(models: Mapping[str, type[R]]) -> dict[str, type[R]]:
    """The same models by the names of their classes, as attributes of their module."""
    return {model.__name__: model for model in models.values()}


def _model(entry: Entry, base: type[R], kind: str, home: str) -> type[R]:
    fields: dict[str, Any] = {"name": (Literal[entry.name], entry.name)}
    fields |= {option.name: field_of(option) for option in entry.options}
    return create_model(
        "".join(word.capitalize() for word in entry.name.split("_")) + kind,
        __base__=base,
        __config__={"use_attribute_docstrings": False},
        __doc__=entry.description,
        __module__=home,
        **fields,
    )


def field_of(option: Option) -> tuple[Any, Any]:
    """The type and the default of an option's field."""
    default = ... if option.default is REQUIRED else option.default
    return strict(option.type), Field(default, description=option.description)


def strict(type_: Any) -> Any:
    """A type of the catalogue as a schema has it: its numbers are finite, its tuples lists."""
    if type_ is float:
        return Finite
    if type_ is ScaleRecord:
        return RobustScale
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return Annotated[(strict(arguments[0]), *arguments[1:])]
    if origin in (Union, UnionType):
        return Union[tuple(strict(each) for each in arguments)]  # noqa: UP007
    if origin is tuple:
        return list[strict(arguments[0])]  # type: ignore[misc]
    return type_
