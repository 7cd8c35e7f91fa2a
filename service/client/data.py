"""Columns from any supported container, without importing its library.


Lists, NumPy arrays, torch tensors and anything else with `__array__`; mappings of those; pandas and
polars frames, Arrow tables, structured arrays, and anything else with `__arrow_c_stream__` (the
Arrow PyCapsule interface). A missing value (None, NaN, NA, masked) becomes null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from service.schemas.keys import EXACT_TO

if TYPE_CHECKING:
    import numpy.typing as npt

Value = float | int | str | None
Values = "npt.NDArray[np.float64] | npt.NDArray[np.integer] | list[Value]"
"""One column: numbers with NaN for what is missing, whole ones as they are where they go beyond
2^53, or a list with None for what is missing."""
Columns = dict[str, Any]
"""Names to `Values`."""

_MISSING = {"NAType", "NaTType", "NoneType", "MaskedConstant"}
_KNOWN = (
    "a mapping of names to columns, a pandas or polars frame, an Arrow table, or a structured array"
)


def columns(data: Any) -> Columns:
    """The columns of `data` by name. TypeError where that is not columns of numbers or text."""
    return {name: column(values, name) for name, values in _named(data).items()}


def size(given: Columns) -> int:
    """The count of values."""
    return sum(len(values) for values in given.values())


def _named(data: Any) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        return {str(name): values for name, values in data.items()}
    names = _names(data)
    if names is not None:
        return {str(name): data[name] for name in names}
    if hasattr(data, "__arrow_c_stream__"):
        table = _arrow_table(data)
        return {name: table.column(name) for name in table.column_names}
    raise TypeError(f"data must be {_KNOWN}, not {type(data).__name__}")


def _names(data: Any) -> Iterable[Any] | None:
    """The names of the columns of a frame, a table or a structured array."""
    names = getattr(getattr(data, "dtype", None), "names", None)
    if names is None:
        names = getattr(data, "column_names", None)  # Arrow's tables
    if names is None and hasattr(data, "__getitem__"):
        names = getattr(data, "columns", None)  # frames
    return names if isinstance(names, Iterable) else None


def _arrow_table(data: Any) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise TypeError(
            f"reading a {type(data).__name__} needs pyarrow (pip install pyarrow), "
            "or give a mapping of names to arrays"
        ) from None
    return pyarrow.table(data)


def column(values: Any, name: str) -> Any:
    """One column as `Values`."""
    if isinstance(values, list | tuple | range):
        return [_plain(value, name) for value in values]
    if not hasattr(values, "__array__"):
        if isinstance(values, Iterable) and not isinstance(values, str | bytes | Mapping):
            return [_plain(value, name) for value in values]
        raise TypeError(f"column '{name}' must be a list or an array, not {_kind(values)}")
    return _from_array(_array(values, name), name)


def _array(values: Any, name: str) -> npt.NDArray[Any]:
    import numpy as np

    for step in ("detach", "cpu"):  # a torch tensor with a gradient, or on another device
        values = getattr(values, step, lambda values=values: values)()
    masked = isinstance(values, np.ma.MaskedArray)
    array = np.array(values.tolist(), dtype=object) if masked else np.asarray(values)
    if array.ndim != 1:
        raise TypeError(f"column '{name}' must have one dimension, not the shape {array.shape}")
    return array


def _from_array(array: npt.NDArray[Any], name: str) -> Any:
    import numpy as np

    if array.dtype.kind in "iu" and not _are_exact(array):
        return np.ascontiguousarray(array)  # keys, perhaps, for the service to tell apart or refuse
    if array.dtype.kind in "fiub":
        return np.ascontiguousarray(array, dtype=np.float64)
    if array.dtype.kind in "OUST":
        return [_plain(value, name) for value in array.tolist()]
    raise TypeError(
        f"column '{name}' is of {array.dtype}: a column holds numbers or text; convert it, or "
        "leave it out"
    )


def _are_exact(whole: npt.NDArray[Any]) -> bool:
    """Whether the integers are exact in float64."""
    return not whole.size or bool(whole.min() >= -EXACT_TO and whole.max() <= EXACT_TO)


def _plain(value: Any, name: str) -> Value:
    """A value as JSON."""
    if type(value) is float:
        return None if value != value else value
    if type(value) is int or type(value) is str:
        return value
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if callable(getattr(value, "item", None)):  # a NumPy or torch scalar
        return _plain(value.item(), name)
    try:
        return _plain(float(value), name)
    except (TypeError, ValueError):
        raise TypeError(
            f"column '{name}' has a {_kind(value)}: a column holds numbers or text"
        ) from None


def _kind(value: Any) -> str:
    return type(value).__name__
