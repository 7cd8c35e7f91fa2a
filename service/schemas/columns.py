"""Columns of data: JSON numbers on the wire, float64 arrays inside."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema


class _AsColumn:
    """Validates `[1, 2.5, null]` straight into a float64 array (null becomes NaN)."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        numbers = core_schema.list_schema(
            core_schema.nullable_schema(core_schema.float_schema(strict=True)), fail_fast=True
        )
        from_list = core_schema.no_info_after_validator_function(_to_array, numbers)
        array = core_schema.is_instance_schema(np.ndarray)
        return core_schema.json_or_python_schema(
            json_schema=from_list,
            python_schema=core_schema.union_schema([array, from_list]),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _to_list, return_schema=numbers
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "array", "items": {"type": ["number", "null"]}}


def _to_array(values: list[float | None]) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def _to_list(column: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]


Column = Annotated[npt.NDArray[np.float64], _AsColumn]
"""One named column: numbers, with null where a value is missing."""

Name = Annotated[str, AfterValidator(lambda name: unicodedata.normalize("NFKC", name))]
"""A column's or a param's name, folded as a formula's names are."""

Data = dict[Name, Column]
"""Named columns of equal length."""
