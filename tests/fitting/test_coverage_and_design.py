"""The coverage of intervals by simulation, and the design of the next reading."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.errors import BudgetExceeded, InvalidRequest
from service.schemas.answers import Fit
from service.schemas.resampled import Coverage, Design
from tests.fitting.resampled import NASTURTIUM, run

RNG = np.random.default_rng(11)
X = np.repeat([0.0, 1.0, 2.0, 4.0, 8.0], 2)
Y = 1.0 + 0.5 * X + RNG.normal(0, 0.3, len(X))
LINE: dict[str, Any] = {"model": "y = a + b*x", "data": {"x": X.tolist(), "y": Y.tolist()}}
SATURATION: dict[str, Any] = {
    "model": "y = v*x/(k + x)",
    "data": {
        "x": [0.2, 0.2, 0.5, 0.5, 1.0, 1.0],
        "y": [1.9, 1.0, 3.4, 2.2, 3.3, 5.1],
    },
}


def simulated(request: dict[str, Any], count: int, step: int = 100, **interval: Any) -> Coverage:
    found = run({**request, "confidence_interval": interval, "coverage": {"simulate": count}}, step)
    assert isinstance(found, Fit)
    assert found.coverage is not None
    return found.coverage


def designed(request: dict[str, Any], **design: Any) -> Design:
    found = run({**request, "design": design})
    assert isinstance(found, Fit)
    assert found.design is not None
    return found.design


# --- coverage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_a_line_is_covered_as_it_says(level: float) -> None:
    """Student's t is exact for a line."""
    found = simulated(LINE, 2000, level=level)
    error = math.sqrt(level * (1 - level) / 2000)
    assert (found.simulated, found.failed, found.level, found.method) == (2000, 0, level, "t")
    for name in ("a", "b"):
        share = found.coverage[name]
        assert share == pytest.approx(level, abs=4 * error)
        assert found.stderr[name] == pytest.approx(math.sqrt(share * (1 - share) / 2000))
        assert found.n[name] == 2000


def test_known_noise_is_covered_too() -> None:
    request = {**LINE, "sigma": [0.1 + 0.1 * i for i in range(10)], "sigma_absolute": True}
    found = simulated(request, 1000)
    for share in found.coverage.values():
        assert share == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("interval", [
    {"method": "t"},
    {"method": "profile"},
    {"method": "bootstrap", "replicates": 99, "interval": "bca"},
])  # fmt: skip
def test_no_slicing_changes_a_coverage(interval: dict[str, Any]) -> None:
    count = 60
    whole = simulated(NASTURTIUM, count, **interval)
    assert simulated(NASTURTIUM, count, 1, **interval) == whole
    request = {**NASTURTIUM, "confidence_interval": interval, "coverage": {"simulate": count}}
    assert run(request, 7, resume=True).coverage == whole
    for share in whole.coverage.values():
        assert share > 0.8


def test_an_observed_covariance_is_that_of_the_intervals() -> None:
    request = {**NASTURTIUM, "coverage": {"simulate": 200}}
    kinds = [run({**request, "covariance": kind}) for kind in ("expected", "observed", "sandwich")]
    for found in kinds:
        assert all(share > 0.88 for share in found.coverage.coverage.values())


def test_a_bootstrap_of_few_rows_covers_too_little_and_the_cure_covers_more() -> None:
    """Percentiles of six rows are narrower than Student's t on four degrees of freedom."""
    interval = {"method": "bootstrap", "kind": "wild", "replicates": 199}
    request = {
        **LINE, "data": {"x": X[::2].tolist(), "y": Y[::2].tolist()},
        "confidence_interval": interval, "coverage": {"simulate": 300},
    }  # fmt: skip
    found = run(request)
    (low,) = [each for each in found.diagnostics if each.code == "low_coverage"]
    assert found.verdict == "doubtful"
    assert low.suggestion == {
        "confidence_interval": {
            "method": "profile", "kind": None, "replicates": None, "interval": None,
        }
    }  # fmt: skip
    cured = run({**request, "confidence_interval": {"method": "profile"}})
    assert "low_coverage" not in {each.code for each in cured.diagnostics}
    for name in ("a", "b"):
        assert cured.coverage.coverage[name] > found.coverage.coverage[name]


def test_a_stopped_coverage_says_how_far_it_came() -> None:
    request = {**LINE, "coverage": {"simulate": 2000}}
    found = run(request, 100, after=500, stop="time_limit")
    assert 300 < found.coverage.simulated < 1000
    assert found.stop_reason == "time_limit"


# --- design ---------------------------------------------------------------------------------------


def covariance(x: Any, s: float) -> Any:
    design = np.column_stack([np.ones(len(x)), x])
    return s**2 * np.linalg.inv(design.T @ design)


def test_one_more_reading_of_a_line_by_hand() -> None:
    candidates = [0.0, 3.0, 8.0, 12.0]
    found = designed(LINE, candidates=candidates, of="b")
    fit = run(LINE)
    s = fit.statistics.residual_std
    due = {x: math.sqrt(covariance([*X, x], s)[1, 1]) for x in candidates}
    assert found.criterion == "c"
    assert found.stderr is not None
    assert found.candidates["x"] == sorted(due, key=lambda x: due[x])
    assert found.stderr == pytest.approx([due[x] for x in found.candidates["x"]])
    assert found.stderr_now == pytest.approx(fit.statistics.stderr["b"])
    before = np.linalg.det(covariance(X, s))
    for x, volume in zip(found.candidates["x"], found.volume, strict=True):
        after = np.linalg.det(covariance([*X, x], s))
        assert volume == pytest.approx(math.sqrt(after / before))


def test_all_params_and_a_range() -> None:
    found = designed(LINE, candidates={"min": 0.0, "max": 8.0, "steps": 9})
    assert found.criterion == "D"
    assert found.stderr is None
    assert found.candidates["x"][0] == 8.0
    assert found.volume == sorted(found.volume)
    assert len(found.volume) == 9


def test_a_report_may_be_named() -> None:
    """The plateau of a saturation is best known by a reading far out."""
    request = {**SATURATION, "report": {"half": "v/2"}}
    found = designed(request, candidates={"min": 0.01, "max": 10, "steps": 200}, of="half")
    assert found.candidates["x"][0] == 10
    assert found.stderr is not None
    assert found.stderr_now == pytest.approx(run(request).report["half"].stderr)
    plateau = designed(request, candidates={"min": 0.01, "max": 10, "steps": 200}, of="v")
    assert plateau.stderr is not None
    assert found.stderr == pytest.approx([each / 2 for each in plateau.stderr])


def test_the_gain_is_that_of_the_fit_with_the_reading() -> None:
    """To first order: with the reading on the curve, θ̂ and the residuals stay."""
    fit = run(NASTURTIUM)
    found = designed(NASTURTIUM, candidates=[2.0], of="t3")
    value = fit.params["t1"] / (1 + math.exp(fit.params["t2"] + fit.params["t3"] * math.log(2.0)))
    data = {"conc": [*NASTURTIUM["data"]["conc"], 2.0],
            "weight": [*NASTURTIUM["data"]["weight"], value]}  # fmt: skip
    more = run({**NASTURTIUM, "data": data})
    s, s_more = fit.statistics.residual_std, more.statistics.residual_std
    assert found.stderr is not None
    assert found.stderr[0] == pytest.approx(more.statistics.stderr["t3"] * s / s_more, rel=1e-5)


def test_sigma_and_scaling_and_several_inputs() -> None:
    sigma = {**LINE, "sigma": [0.3] * 5 + [0.6] * 5}
    near = designed(sigma, candidates=[8.0], of="b", sigma=0.1)
    far = designed(sigma, candidates=[8.0], of="b", sigma=10.0)
    assert near.stderr is not None
    assert far.stderr is not None
    assert near.stderr[0] < far.stderr[0] < (far.stderr_now or 0)
    plain = designed(LINE, candidates=[0.0, 3.0, 8.0])
    scaled = designed({**LINE, "scaling": "standardize"}, candidates=[0.0, 3.0, 8.0])
    assert scaled.volume == pytest.approx(plain.volume)
    two = {
        "model": "y = a + b*x + c*w",
        "data": {**LINE["data"], "w": [1.0, 0.0] * 5},
    }
    both = designed(two, candidates=[{"x": 8, "w": 0}, {"x": 4, "w": 0}], of="b")
    assert both.candidates == {"x": [8.0, 4.0], "w": [0.0, 0.0]}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "groups": (
        {"data": {**LINE["data"], "g": [0.0, 1.0] * 5}, "group_by": "g", "coverage": {}},
        "/coverage",
    ),
    "a robust loss": ({"loss": "huber", "coverage": {}}, "/coverage"),
    "an unknown name": ({"design": {"candidates": [1], "of": "c"}}, "/design/of"),
    "an unknown input": ({"design": {"candidates": [{"w": 1}]}}, "/design/candidates/0"),
    "an empty range": ({"design": {"candidates": {"min": 2, "max": 1}}}, "/design/candidates"),
    "a sigma that differs": (
        {"sigma": [0.1] * 10, "design": {"candidates": [1]}}, "/design/sigma",
    ),
    "a sigma alone": ({"design": {"candidates": [1], "sigma": 2}}, "/design/sigma"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_meaning_is_refused(case: str) -> None:
    more, pointer = REFUSED[case]
    with pytest.raises(InvalidRequest) as caught:
        run({**LINE, **more})
    assert caught.value.errors[0].pointer == pointer


def test_a_coverage_beyond_the_limits_names_them() -> None:
    interval = {"method": "bootstrap", "replicates": 9999}
    request = {**NASTURTIUM, "confidence_interval": interval, "coverage": {"simulate": 20_000}}
    with pytest.raises(BudgetExceeded) as caught:
        run(request)
    assert caught.value.errors[0].pointer == "/coverage/simulate"
    assert "simulate at most" in str(caught.value)
