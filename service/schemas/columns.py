"""Columns of data: JSON arrays in bodies; float64 arrays, or labels for text, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from service.schemas.names import Name

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A column of text: each row's label as an index into `names`, or −1 where it is missing.

    Labels only identify groups; no arithmetic is done with them.
    """

    codes: npt.NDArray[np.int32]
    """(rows,)"""
    names: tuple[str, ...]
    """The distinct labels."""

    @classmethod
    def of(cls, values: Iterable[str | None]) -> Labels:
        """The column of `values`, with `names` in order of appearance."""
        places: dict[str, int] = {}
        codes = [-1 if v is None else places.setdefault(v, len(places)) for v in values]
        return cls(np.array(codes, dtype=np.int32), tuple(places))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, which: Any) -> Labels:
        """The rows selected by an index, a slice or a mask."""
        return Labels(self.codes[which], self.names)

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + sum(map(len, self.names))

    def tolist(self) -> list[str | None]:
        return [None if code < 0 else self.names[code] for code in self.codes.tolist()]


class _AsColumn:
    """Validates `[1, 2.5, null]` straight into a float64 array (null becomes NaN), `["a", "b"]`
    into labels."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def column(item: core_schema.CoreSchema, made: Any) -> core_schema.CoreSchema:
            items = core_schema.list_schema(core_schema.nullable_schema(item), fail_fast=True)
            return core_schema.no_info_after_validator_function(made, items)

        def from_list(*, finite: bool) -> core_schema.CoreSchema:
            number = core_schema.float_schema(strict=True, allow_inf_nan=not finite)
            numbers = column(number, _to_array)
            labels = column(core_schema.str_schema(strict=True), Labels.of)
            return core_schema.union_schema(
                [(numbers, "numbers"), (labels, "labels")], mode="left_to_right"
            )

        made = [core_schema.is_instance_schema(kind) for kind in (np.ndarray, Labels)]
        return core_schema.json_or_python_schema(
            # In an array, a bare NaN could not be distinguished from a missing value.
            json_schema=from_list(finite=True),
            python_schema=core_schema.union_schema([*made, from_list(finite=False)]),
            serialization=core_schema.plain_serializer_function_ser_schema(_to_list),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kinds = ("number", "string")
        return {"anyOf": [{"type": "array", "items": {"type": [k, "null"]}} for k in kinds]}


def _to_array(values: list[float | None]) -> Numbers:
    return np.array(values, dtype=np.float64)


def _to_list(column: Numbers | Labels) -> list[float | None] | list[str | None]:
    if isinstance(column, Labels):
        return column.tolist()
    return [None if value != value else value for value in column.tolist()]


Column = Annotated[Numbers | Labels, _AsColumn]
"""One named column: numbers or text, with null where a value is missing."""

Data = dict[Name, Column]
"""Named columns of equal length."""

Units = Annotated[dict[Name, Annotated[str, Field(max_length=64)]], Field(max_length=1000)]
"""Units of columns, by name."""
