"""Ends of profile intervals, against the losses at them found in another way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.verdicts import FAMILIES, simulated
from service.engine.inference import intervals
from tests.translate.fits import codes, fit

PROBLEMS = [n for n in range(64) if simulated(n).family not in ("two decays", "Richards")][:52]
STARTS = 4


def request(number: int) -> dict[str, Any]:
    problem = simulated(number)
    return {
        "model": FAMILIES[problem.family].formula,
        "data": {"x": problem.x.tolist(), "y": problem.y.tolist()},
        "challenge": False,
    }


def lowest(asked: dict[str, Any], near: dict[str, float], name: str, value: float) -> float:
    """The least loss with a param fixed, of fits from several starts around those params."""
    found, rng = math.inf, np.random.default_rng(0)
    for attempt in range(STARTS):
        away = 0.0 if attempt == 0 else 0.2
        params = {p: v * math.exp(away * rng.normal()) for p, v in near.items()}
        fixed = {**params, name: {"value": value, "fixed": True}}
        found = min(found, fit(**asked, params=fixed).loss)
    return found


@pytest.mark.parametrize("number", PROBLEMS)
def test_the_sum_of_squares_has_risen_as_it_should_at_each_end(number: int) -> None:
    """To a hundredth of a standard error: RSS(end) = RSS + t²s², and less half-way there."""
    asked, truth = request(number), simulated(number).truth
    profile = {"level": 0.9, "method": "profile"}
    found = fit(**asked, params=truth, confidence_interval=profile)
    interval, stats = found.statistics.confidence_interval, found.statistics
    if interval is None or found.verdict == "untrustworthy":
        return
    assert stats.reduced_chi_squared is not None
    rows, variance = stats.n, stats.reduced_chi_squared
    t = t_of(stats.degrees_of_freedom)
    for name, value in found.params.items():
        for end in (interval.lower[name], interval.upper[name]):
            if math.isnan(end):
                continue
            risen = lowest(asked, found.params, name, end) - found.loss
            tau = math.sqrt(max(0.0, risen) * rows / variance)
            assert tau == pytest.approx(t, abs=0.01), (name, end)
            half = lowest(asked, found.params, name, 0.5 * (value + end)) - found.loss
            assert half * rows / variance < t * t, (name, end)


def test_an_end_that_was_not_looked_for_is_not_called_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the work is spent: the ends asked for are unknown, and nothing is said of the data."""
    monkeypatch.setattr(intervals, "WORK", 0.0)
    asked, truth = request(0), simulated(0).truth
    found = fit(**asked, params=truth, confidence_interval={"method": "profile"})
    assert "undetermined" not in codes(found)
    assert found.statistics.confidence_interval is not None
    assert all(map(math.isnan, found.statistics.confidence_interval.lower.values()))


def t_of(degrees: int) -> float:
    """The 95 % quantile of Student's t, by integrating its density (Simpson's rule)."""
    norm = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    scale = math.exp(norm) / math.sqrt(degrees * math.pi)
    grid = np.linspace(0.0, 40.0, 400_001)
    density = scale * (1 + grid**2 / degrees) ** (-(degrees + 1) / 2)
    steps = (density[:-2:2] + 4 * density[1:-1:2] + density[2::2]) * (grid[1] - grid[0]) / 3
    return float(np.interp(0.45, np.cumsum(steps), grid[2::2]))
