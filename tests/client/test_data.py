"""Columns from all supported containers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from service.client.bodies import ask
from service.client.data import columns

X, Y = [1.0, 2.0, 3.0], [2.5, 4.5, 6.5]
PAIR = {"x": X, "y": Y}


class Capsules:
    """Has only the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.table(PAIR).__arrow_c_stream__(requested_schema)


class Dunder:
    """Has only `__array__`."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.values, dtype=dtype)


HOLDERS: dict[str, Callable[[], Any]] = {
    "lists": lambda: PAIR,
    "tuples": lambda: {name: tuple(values) for name, values in PAIR.items()},
    "numpy": lambda: {name: np.array(values) for name, values in PAIR.items()},
    "numpy scalars": lambda: {name: list(np.array(values)) for name, values in PAIR.items()},
    "float32 upside down": lambda: {n: np.array(v[::-1], "f4")[::-1] for n, v in PAIR.items()},
    "structured": lambda: np.array(list(zip(X, Y, strict=True)), dtype=[("x", "f8"), ("y", "f8")]),
    "torch": lambda: {name: torch.tensor(values) for name, values in PAIR.items()},
    "torch with gradients": lambda: {
        n: torch.tensor(v, requires_grad=True) for n, v in PAIR.items()
    },
    "pandas": lambda: pd.DataFrame(PAIR),
    "pandas series": lambda: {name: pd.Series(values) for name, values in PAIR.items()},
    "pandas on arrow": lambda: pd.DataFrame(PAIR).convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda: pl.DataFrame(PAIR),
    "polars series": lambda: {name: pl.Series(values) for name, values in PAIR.items()},
    "arrow": lambda: pa.table(PAIR),
    "capsules": Capsules,
    "dunder": lambda: {name: Dunder(values) for name, values in PAIR.items()},
    "generator": lambda: {name: iter(values) for name, values in PAIR.items()},
    "decimals": lambda: {name: [Decimal(v) for v in values] for name, values in PAIR.items()},
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_all_containers_give_the_same_columns(holder: str) -> None:
    found = columns(HOLDERS[holder]())
    assert {name: list(values) for name, values in found.items()} == PAIR


MISSING: dict[str, Callable[[], Any]] = {
    "none": lambda: [1.0, None, 3.0],
    "nan": lambda: [1.0, float("nan"), 3.0],
    "numpy": lambda: np.array([1.0, np.nan, 3.0]),
    "masked": lambda: np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[False, True, False]),
    "pandas floats": lambda: pd.Series([1.0, None, 3.0]),
    "pandas integers": lambda: pd.Series([1, None, 3], dtype="Int64"),
    "pandas objects": lambda: pd.Series([1, pd.NA, 3], dtype=object),
    "polars": lambda: pl.Series([1, None, 3]),
    "arrow": lambda: pa.chunked_array([[1, None, 3]]),
}


@pytest.mark.parametrize("holder", MISSING)
def test_missing_values_are_null(holder: str) -> None:
    body, _ = ask("/fit", {"y": MISSING[holder]()}, {}).body(arrow=False)
    assert body in (b'{"data":{"y":[1.0,null,3.0]}}', b'{"data":{"y":[1,null,3]}}')


TEXTS: dict[str, Callable[[], Any]] = {
    "list": lambda: ["a", None, "b"],
    "numpy": lambda: np.array(["a", None, "b"], dtype=object),
    "pandas": lambda: pd.Series(["a", None, "b"]),
    "pandas categories": lambda: pd.Series(["a", None, "b"], dtype="category"),
    "polars": lambda: pl.Series(["a", None, "b"]),
}


@pytest.mark.parametrize("holder", TEXTS)
def test_text_columns(holder: str) -> None:
    assert columns({"plate": TEXTS[holder]()}) == {"plate": ["a", None, "b"]}


def test_booleans_are_0_and_1() -> None:
    assert columns({"a": [True, False]}) == {"a": [1, 0]}
    assert list(columns({"a": np.array([True, False])})["a"]) == [1, 0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2, 3], "data must be a mapping"),
        (np.array([[1.0, 2.0]]), "data must be a mapping"),
        ({"x": 5.0}, "column 'x' must be a list or an array, not float"),
        ({"x": "abc"}, "column 'x' must be a list or an array, not str"),
        ({"x": np.zeros((2, 2))}, "one dimension"),
        ({"x": [object()]}, "column 'x' has a object"),
        ({"x": np.array([1j])}, "complex128"),
        (pd.DataFrame({"when": pd.to_datetime(["2026-01-01"])}), "column 'when' is of datetime64"),
    ],
)
def test_invalid_columns_are_reported(data: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message.replace("[", r"\[")):
        columns(data)


def test_infinite_numbers_are_sent() -> None:
    """The service reports the row; null would mean a missing value."""
    body, _ = ask("/fit", {"y": [1.0, float("inf")]}, {}).body(arrow=False)
    assert body == b'{"data":{"y":[1.0,Infinity]}}'


def test_options_may_be_schemas_and_numpy_scalars() -> None:
    from service.schemas.options import Param

    options = {"params": {"w": np.float64(1.5), "b": Param(min=0.0)}, "sigma": np.array([1.0, 2.0])}
    body, _ = ask("/fit", {"y": []}, options).body(arrow=False)
    assert body == (
        b'{"data":{"y":[]},"params":{"w":1.5,"b":{"value":null,"min":0.0,"max":null,'
        b'"fixed":false,"expr":null,"prior":null}},"sigma":[1.0,2.0]}'
    )


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_integers_beyond_float64_are_sent_exactly(kind: Any) -> None:
    """They may be keys, and 2^60 and 2^60 + 1 are different keys."""
    big = np.array([2**60, 2**60 + 1], dtype=kind)
    for data in ({"g": big}, pd.DataFrame({"g": big}), pa.table({"g": big})):
        made = columns(data)
        assert list(made["g"]) == [2**60, 2**60 + 1]
        body, _ = ask("/fit", data, {}).body(arrow=False)
        assert b"[1152921504606846976,1152921504606846977]" in body
