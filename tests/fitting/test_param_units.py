"""Units of params follow from those of the columns."""

from __future__ import annotations

import pytest

from service.engine.formula import read_formula
from service.fitting.param_units import units_of_params


@pytest.mark.parametrize(
    ("text", "units", "expected"),
    [
        ("y = w*x + b", {"x": "s", "y": "V"}, {"w": "V/s", "b": "V"}),
        ("y = w*x + b", {"x": "mg/l", "y": "V"}, {"w": "V/(mg/l)", "b": "V"}),
        ("y = a*exp(-k*x) + c", {"x": "s", "y": "V"}, {"a": "V", "k": "1/s", "c": "V"}),
        ("y = v*x/(k + x)", {"x": "mM", "y": "nM"}, {"v": "nM", "k": "mM"}),
        ("y = g/2*x**2", {"x": "s", "y": "m"}, {"g": "m/s^2"}),
        ("y = a*sqrt(x)", {"x": "s", "y": "m"}, {"a": "m/s^(1/2)"}),
        ("y = a*sin(2*pi*f*x + p)", {"x": "s", "y": "V"}, {"a": "V", "f": "1/s"}),
        ("y = a*(x/x0)**n", {"x": "s", "y": "V"}, {"a": "V", "x0": "s"}),
        ("y = w*x + b", {"y": "V"}, {"b": "V"}),  # the unit of x is not known
        ("y = w*x + b", {"x": "s", "y": "V", "w": "mV/ms"}, {}),  # contradicts what is given
        ("y = a + b*log(x)", {"x": "s", "y": "V"}, {}),  # a logarithm of seconds
        ("y = a*b*x", {"x": "s", "y": "V"}, {}),  # of the product alone
    ],
)
def test_units(text: str, units: dict[str, str], expected: dict[str, str]) -> None:
    formula = read_formula(text, frozenset({"x", "y"}))
    assert units_of_params(formula, units) == expected
