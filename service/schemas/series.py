"""Numbers in answers: arrays in memory, lists in JSON.

An answer may have millions of them. An array takes 8 bytes each and is serialized in slices
(`pieces`); a Python list would take 32, and block the event loop while it is serialized.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema, to_json

from service.schemas.base import Answer, Number, Sparse

Array = npt.NDArray[Any]
Objects = npt.NDArray[np.object_]
SLICE = 2**12
"""Numbers that are serialized at a time: half a millisecond."""


class Gapped(np.ndarray[Any, np.dtype[np.float64]]):
    """Numbers of which some do not exist: NaN in memory, null in JSON, missing in a table."""

    def tolist(self) -> Any:
        """The numbers, None for NaN."""
        return [None if value != value else value for value in super().tolist()]


class OnWire:
    """Validates a list of that kind into an array, and serializes the array as a list."""

    def __init__(self, kind: Any, to_array: Callable[[list[Any]], Array]) -> None:
        self._kind, self._to_array = kind, to_array

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        wire = handler.generate_schema(self._kind)
        read = core_schema.no_info_after_validator_function(self._to_array, wire)
        made = core_schema.is_instance_schema(np.ndarray)
        return core_schema.json_or_python_schema(
            json_schema=read,
            python_schema=core_schema.union_schema([made, read]),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _listed_whole, return_schema=wire, when_used="json"
            ),
        )


def _listed_whole(array: Array) -> list[Any]:
    found: list[Any] = array.tolist()
    return found


def _floats(values: list[Any]) -> Array:
    return np.array(values, dtype=np.float64)


def gapped(values: Any) -> Gapped:
    """Numbers, of which NaN and None do not exist."""
    return np.asarray(values, dtype=np.float64).view(Gapped)


def cells(values: Sequence[Any]) -> Objects:
    """Values of any type as an array, which is serialized in slices."""
    return np.fromiter(values, dtype=np.object_, count=len(values))


def _counts(values: list[int]) -> Array:
    return np.array(values, dtype=np.int64)


Series = Annotated[npt.NDArray[np.float64], OnWire(list[Number], _floats)]
"""One number per row."""
Gaps = Annotated[npt.NDArray[np.float64], OnWire(list[Number | None], gapped)]
"""One number per row, or null."""
Counts = Annotated[npt.NDArray[np.int64], OnWire(list[int], _counts)]
"""One count per row."""
Keys = Annotated[Objects, OnWire(list[Number | str | None], cells)]
"""One number or text per row, or null."""
Words = Annotated[Objects, OnWire(list[str | None], cells)]
"""One text per row, or null."""
Flags = Annotated[Objects, OnWire(list[bool | None], cells)]
"""True, false or null for each row."""
Lists = Annotated[Objects, OnWire(list[list[Number] | None], cells)]
"""A list of numbers for each row, or null."""
Grid = Annotated[npt.NDArray[np.float64], OnWire(list[list[Number]] | list[Number], _floats)]
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
