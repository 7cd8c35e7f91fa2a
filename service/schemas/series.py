"""Numbers in answers: arrays in memory, lists in JSON.

An answer may have millions of them. An array takes 8 bytes each and is serialized in slices
(`pieces`); a Python list would take 32, and block the event loop while it is serialized.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema, to_json

from service.schemas.base import Answer, Number, Sparse

Array = npt.NDArray[Any]
SLICE = 2**12
"""Numbers that are serialized at a time: half a millisecond."""


class _OnWire:
    """Validates a list of that kind into a float64 array, and serializes the array as a list."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        wire = handler.generate_schema(self._kind)
        read = core_schema.no_info_after_validator_function(_to_array, wire)
        made = core_schema.is_instance_schema(np.ndarray)
        return core_schema.json_or_python_schema(
            json_schema=read,
            python_schema=core_schema.union_schema([made, read]),
            serialization=core_schema.plain_serializer_function_ser_schema(
                np.ndarray.tolist, return_schema=wire, when_used="json"
            ),
        )


def _to_array(values: list[Any]) -> Array:
    return np.array(values, dtype=np.float64)


Series = Annotated[npt.NDArray[np.float64], _OnWire(list[Number])]
"""One number per row."""
Grid = Annotated[npt.NDArray[np.float64], _OnWire(list[list[Number]] | list[Number])]
"""Numbers in one or two dimensions."""


def pieces(answer: Answer) -> Iterator[bytes]:
    """The JSON of a long answer in pieces; joined, they equal its `document`."""
    return written(answer.model_dump(exclude_none=isinstance(answer, Sparse)))


def written(value: object) -> Iterator[bytes]:
    """JSON in pieces, for nested objects and arrays of one or two dimensions."""
    if isinstance(value, Mapping):
        opening = b"{"
        for name, member in value.items():
            yield opening + to_json(name) + b":"
            yield from written(member)
            opening = b","
        yield b"}" if value else b"{}"
    elif isinstance(value, np.ndarray):
        yield from _listed(value)
    else:
        yield to_json(value, inf_nan_mode="strings")


def columns(names: Sequence[str], table: Array) -> Iterator[bytes]:
    """The JSON of an object with one column of `table`, (rows, names), for each name."""
    step = max(1, SLICE // max(1, len(table)))
    if len(table) > SLICE:
        yield from written({name: table[:, i] for i, name in enumerate(names)})
        return
    opening = b"{"
    for start in range(0, len(names), step):
        some = names[start : start + step]
        lists = table[:, start : start + step].T.tolist()
        member = to_json(dict(zip(some, lists, strict=True)), inf_nan_mode="strings")
        yield opening + member[1:-1]
        opening = b","
    yield b"}" if names else b"{}"


def _listed(array: Array) -> Iterator[bytes]:
    opening = b"["
    step = max(1, SLICE // max(1, array.size // max(1, len(array))))
    for start in range(0, len(array), step):
        part = array[start : start + step].tolist()
        yield opening + to_json(part, inf_nan_mode="strings")[1:-1]
        opening = b","
    yield b"]" if len(array) else b"[]"
