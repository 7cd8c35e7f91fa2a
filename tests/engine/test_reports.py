"""Intervals of derived quantities, by their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from service.engine.formula import read_formula
from service.engine.inference.reparametrised import solve
from service.engine.inference.reports import Estimates, Quantity, Spread, estimate

FORMULA = read_formula("y = a*x + b*x**2 + c", frozenset({"x", "y"}))
COVARIANCE = np.array([[[0.04, 0.01, 0.0], [0.01, 0.09, 0.0], [0.0, 0.0, 1.0]]])
T = 2.1


def estimated(text: str, theta: list[float]) -> Estimates:
    asked = (Quantity("q", text, "fieller"),)
    derived = FORMULA.derived((("q", text),))
    values, slopes = derived.read(torch.tensor([theta], dtype=torch.float64))
    spread = Spread(COVARIANCE, np.array([T]), [None], np.zeros((1, 3), dtype=bool), FORMULA.params)
    return estimate(derived, asked, values, slopes, derived.depends, spread)


def test_fieller_is_the_formula_of_the_textbook() -> None:
    a, b, (v11, v12, v22) = 3.0, 2.0, (0.04, 0.01, 0.09)
    ratio, g = a / b, T**2 * v22 / b**2
    inner = v11 - 2 * ratio * v12 + ratio**2 * v22 - g * (v11 - v12**2 / v22)
    ends = [(ratio - g * v12 / v22 + sign * T / b * math.sqrt(inner)) / (1 - g) for sign in (-1, 1)]
    found = estimated("a/b", [a, b, 0.0])
    assert [found.lower[0, 0], found.upper[0, 0]] == pytest.approx(ends, rel=1e-12)
    assert found.reasons[0, 0] is None


def test_fieller_of_a_denominator_near_0_is_unbounded() -> None:
    found = estimated("a/b", [3.0, 0.5, 0.0])
    assert np.isnan([found.lower[0, 0], found.upper[0, 0]]).all()
    assert "g ≥ 1" in found.reasons[0, 0]
    assert found.stderr[0, 0] > 0


def test_fieller_of_negative_params() -> None:
    """Both signs turned, the ratio is the same."""
    one, other = estimated("a/b", [3.0, 2.0, 0.0]), estimated("a/b", [-3.0, -2.0, 0.0])
    assert one.lower == pytest.approx(other.lower, rel=1e-12)
    assert one.upper == pytest.approx(other.upper, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "a + b*2", "a - b", "b - a", "a*b", "a/b", "b/a", "-a", "exp(a)", "log(a)", "log10(a)",
        "sqrt(a)", "abs(a)", "a**3", "2**a", "b*9**(1/a)", "2*sqrt(2*log(2))*abs(a) + b",
    ],
)  # fmt: skip
def test_a_quantity_is_solved_for_a_param(text: str) -> None:
    """Put into the solution, the quantity gives back the param."""
    found = solve(FORMULA, text, ("a",), "q")
    assert found is not None
    theta = torch.tensor([[1.7, 0.6, 0.0]], dtype=torch.float64)
    value = FORMULA.derived((("q", text),)).read(theta)[0][0, 0]
    own = read_formula("y = (q + b + c)*x", frozenset({"x", "y"}))
    back = own.derived_trees({"a": found.tree})
    at = torch.tensor([[value, 0.6, 0.0]], dtype=torch.float64)
    assert back.read(at)[0][0, 0] == pytest.approx(1.7, rel=1e-12)


@pytest.mark.parametrize("text", ["a + a*b", "sin(a)", "max(a, b)", "a*log(a)"])
def test_one_that_cannot_be_solved_is_not(text: str) -> None:
    assert solve(FORMULA, text, ("a",), "q") is None
