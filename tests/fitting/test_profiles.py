"""Ends of profile intervals, against the losses at them found in another way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.verdicts import FAMILIES, simulated
from service.engine.inference import intervals
from tests.fitting import grouped
from tests.fitting.fits import codes, fit

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


SHORT = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7, 2.0, 2.3, 2.6])
"""Decays of which some are followed too briefly to tell their level from their rate."""
GROUPS = 8


def decays(noise: float = 0.05) -> dict[str, Any]:
    """Groups of decays that end sooner and sooner, one of them a line."""
    rng = np.random.default_rng(3)
    columns: dict[str, list[float]] = {"x": [], "y": [], "g": []}
    for g in range(GROUPS):
        x = SHORT * (1.0 - 0.1 * g)
        y = 3 * np.exp(-0.8 * x) + 0.5 if g else 3 - x
        columns["x"] += x.tolist()
        columns["y"] += (y + noise * rng.normal(size=x.size)).tolist()
        columns["g"] += [float(g)] * x.size
    return {"model": "y = a*exp(-k*x) + c", "data": columns, "group_by": "g"}


def of_group(asked: dict[str, Any], group: int, params: dict[str, float]) -> dict[str, Any]:
    """The request for one group alone, from those params."""
    data = asked["data"]
    rows = [i for i, g in enumerate(data["g"]) if g == group]
    own = {name: [data[name][i] for i in rows] for name in ("x", "y")}
    rest = {name: value for name, value in asked.items() if name != "group_by"}
    return {**rest, "data": own, "params": params, "challenge": False}


@pytest.mark.parametrize("level", [0.6, 0.95])
def test_the_profile_intervals_of_a_group_are_those_of_its_data_alone(level: float) -> None:
    profile = {"confidence_interval": {"level": level, "method": "profile"}}
    asked = {**decays(), **profile}
    groups = grouped.fit(**asked).groups
    interval = groups.confidence_interval
    assert interval is not None
    assert (interval.level, interval.method) == (level, "profile")
    open_ended = 0
    for group in range(GROUPS):
        params = {name: values[group] for name, values in groups.params.items()}
        alone = fit(**of_group(asked, group, params))
        own = alone.statistics.confidence_interval
        assert own is not None
        for name in params:
            for ends, end in ((interval.lower, own.lower[name]), (interval.upper, own.upper[name])):
                assert ends[name][group] == pytest.approx(end, rel=1e-5, nan_ok=True)
        told = {"undetermined", "nonlinear_interval", "better_minimum"}
        assert told & {*groups.diagnostics[group]} == told & codes(alone).keys()
        open_ended += "undetermined" in groups.diagnostics[group]
    assert 0 < open_ended < GROUPS


def test_what_the_data_of_a_group_do_not_determine_is_said_unasked() -> None:
    found = grouped.fit(**decays())
    assert found.groups.confidence_interval is None
    said = ["undetermined" in codes for codes in found.groups.diagnostics]
    assert 0 < sum(said) < GROUPS
    for is_said, verdict in zip(said, found.groups.verdict, strict=True):
        assert not is_said or verdict == "untrustworthy"


def test_profiles_of_groups_that_nobody_asked_for_take_little_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where none is left, it is only said that intervals by standard errors would be wrong."""
    whole = grouped.fit(**decays()).groups
    nonlinear = ["nonlinear_interval" in each for each in whole.diagnostics]
    monkeypatch.setattr(intervals, "UNASKED", 0.0)
    none = grouped.fit(**decays()).groups
    assert ["nonlinear_interval" in each for each in none.diagnostics] == nonlinear
    assert not any("undetermined" in each for each in none.diagnostics)


def t_of(degrees: int) -> float:
    """The 95 % quantile of Student's t, by integrating its density (Simpson's rule)."""
    norm = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    scale = math.exp(norm) / math.sqrt(degrees * math.pi)
    grid = np.linspace(0.0, 40.0, 400_001)
    density = scale * (1 + grid**2 / degrees) ** (-(degrees + 1) / 2)
    steps = (density[:-2:2] + 4 * density[1:-1:2] + density[2::2]) * (grid[1] - grid[0]) / 3
    return float(np.interp(0.45, np.cumsum(steps), grid[2::2]))
