"""Self-started fits of data whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from benchmarks.self_start import fit, formula_of
from service.catalogue.families import FAMILIES
from service.engine.models import guess

RYEGRASS = {
    0.0: [7.58, 8.0, 8.3285714, 7.25, 7.375, 7.9625],
    0.94: [8.3555556, 6.9142857, 7.75],
    1.88: [6.8714286, 6.45, 5.9222222],
    3.75: [1.925, 2.8857143, 4.2333333],
    7.5: [1.1875, 0.8571429, 1.0571429],
    15.0: [0.6875, 0.525, 0.825],
    30.0: [0.25, 0.22, 0.44],
}
"""Root length against the concentration of ferulic acid: `ryegrass` of R's drc."""

HOBBS = [
    5.308, 7.24, 9.638, 12.866, 17.069, 23.192, 31.443, 38.558, 50.156, 62.948, 75.995, 91.972,
]  # fmt: skip
"""Weeds against time, 1 to 12: Nash, Compact Numerical Methods for Computers (1979), 12.1."""


def test_ryegrass_by_logistic4():
    """The minimum of its sum of squares, to the digits of drc's summary of LL.4.

    SciPy's `least_squares` finds b 2.98222867, c 0.48140995, d 7.79296233, e 3.05795517, and a
    residual standard error of 0.51962557 on 20 degrees of freedom.
    """
    rows = [(dose, length) for dose, lengths in RYEGRASS.items() for length in lengths]
    found, rss, n = _self_started("logistic4", *zip(*rows, strict=True))
    expected = {"b": 2.98222867, "c": 0.48140995, "d": 7.79296233, "e": 3.05795517}
    assert found == pytest.approx(expected)
    assert math.sqrt(rss / (n - 4)) == pytest.approx(0.51962557, rel=1e-7)


def test_the_hobbs_weeds_by_logistic3():
    """b1, b2 and b3 of b1/(1 + b2·exp(−b3·x)) are L, exp(k·x0) and k."""
    found, rss, _ = _self_started("logistic3", range(1, 13), HOBBS)
    assert found["L"] == pytest.approx(196.1863, abs=5e-5)
    assert math.exp(found["k"] * found["x0"]) == pytest.approx(49.0916, abs=5e-5)
    assert found["k"] == pytest.approx(0.3136, abs=5e-5)
    assert rss == pytest.approx(2.587, abs=5e-4)


def test_rising_doses_have_a_negative_slope_and_ordered_limits():
    """As drc has it: c below d, and b below 0 where the response rises."""
    x = torch.tensor([0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0], dtype=torch.float64)
    y = 2 + 5 / (1 + (x / 1.5) ** -1.2)
    found, rss, _ = _self_started("logistic4", x.tolist(), y.tolist())
    assert found == pytest.approx({"c": 2.0, "d": 7.0, "e": 1.5, "b": -1.2}, rel=1e-6)
    assert rss < 1e-12


def _self_started(
    name: str, x: Sequence[float], y: Sequence[float]
) -> tuple[dict[str, float], float, int]:
    """The params, the residual sum of squares and the rows of a fit from the guess."""
    doses, responses = (torch.tensor(column, dtype=torch.float64) for column in (x, y))
    start = guess(FAMILIES[name], doses.unsqueeze(0), responses.unsqueeze(0))[0]
    result = fit(formula_of(name), doses, responses, start)
    assert result.converged
    params = dict(zip(FAMILIES[name].params, result.params.tolist(), strict=True))
    return params, result.loss * len(x), len(x)
