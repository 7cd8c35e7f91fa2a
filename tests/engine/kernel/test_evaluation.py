"""The kernel's operations against torch's, on ordinary and on special numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from service.engine.kernel.evaluation import BLOCK, COLUMN, read_params, read_rows
from service.engine.kernel.program import NUMBERS
from service.engine.kernel.types import Floats
from service.engine.operations import OPERATIONS
from tests.engine.kernel.blocks import evaluated

POINTS = {
    "float64": [
        0.0, 5e-324, 1e-310, 1e-300, 1e-20, 1e-8, 0.1, 0.3, 0.5, 0.9, 1.0, 1.2, 1.5, 2.0, 2.7, 3.0,
        7.3, 10.0, 30.0, 171.0, 200.0, 709.5, 745.0, 1e4, 123_456.7, 1e7, 1e16, 1e200, 1.7e308,
    ],
    "float32": [
        0.0, 1e-45, 1e-40, 1e-30, 1e-8, 0.1, 0.3, 0.5, 0.9, 1.0, 1.2, 1.5, 2.0, 2.7, 3.0, 7.3,
        10.0, 30.0, 88.6, 103.0, 1e4, 123_456.7, 1e7, 1e16, 3e38,
    ],
}  # fmt: skip
TOLERANCE = {"float64": 1e-14, "float32": 2e-7}
"""Relative, besides one unit of the smallest subnormal number."""
LOOSER = {("float32", "gamma"): 1e-5, ("float64", "trigamma"): 2e-9}
"""The kernel's gamma of float32 is e to a float32; torch's trigamma has nine digits."""


def grid(arity: int, dtype: str) -> list[Floats]:
    """All combinations of those points with both signs, infinities and NaN; of a fifth of them for
    three arguments."""
    both = [sign * point for point in (*POINTS[dtype], math.inf) for sign in (1.0, -1.0)]
    points = np.array([*both, math.nan], dtype=dtype)[:: 5 if arity == 3 else 1]
    return [each.ravel() for each in np.meshgrid(*[points] * arity)]


@pytest.mark.parametrize("dtype", POINTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_torchs_in_float64(name: str, dtype: str) -> None:
    operation = OPERATIONS[name]
    columns = grid(operation.arity, dtype)
    given = [torch.from_numpy(column).double() for column in columns]
    if name == "where":
        given[0] = given[0] != 0
    expected = operation.evaluate_safe(*given).double().numpy()
    with np.errstate(over="ignore", under="ignore"):
        rounded = expected.astype(dtype)
    np.testing.assert_allclose(
        evaluated(name, *columns),
        rounded,
        rtol=LOOSER.get((dtype, name), TOLERANCE[dtype]),
        atol=float(np.finfo(dtype).smallest_subnormal),
    )


@pytest.mark.parametrize("dtype", POINTS)
@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"where"}))
def test_what_depends_on_params_alone_fills_its_row(name: str, dtype: str) -> None:
    arity = OPERATIONS[name].arity
    given = np.linspace(0.3, 0.7, arity).astype(dtype)
    codes = np.zeros((arity + 1, 4), dtype=np.int32)
    codes[:arity, 0], codes[:arity, 1] = NUMBERS["param"], range(arity)
    codes[arity, 0], codes[arity, 1 : arity + 1] = NUMBERS[name], range(arity)
    values = np.full((arity + 1, BLOCK), np.nan, dtype=dtype)
    read_params(codes, np.zeros(1), arity + 1, given, values)
    expected = evaluated(name, *given.reshape(arity, 1))
    np.testing.assert_array_equal(values[arity], np.repeat(expected, BLOCK))


def test_rows_beyond_a_blocks_count_are_its_last_row() -> None:
    """What was there before can't slow an operation down, nor can it be seen."""
    codes = np.array([[COLUMN, 0, 0, 0], [NUMBERS["erf"], 0, 0, 0], [NUMBERS["log"], 1, 0, 0]])
    values = np.full((3, BLOCK), np.nan)
    columns = np.linspace(0.1, 1.0, 40)[None]
    read_rows(codes.astype(np.int32), 0, 3, columns, 7, 11, values)
    np.testing.assert_array_equal(values[:, 11:16], values[:, 10:11].repeat(5, axis=1))
    np.testing.assert_allclose(values[2, :11], [math.log(math.erf(x)) for x in columns[0, 7:18]])
    assert np.isnan(values[:, 16:]).all()
