"""The bootstrap, the coverage and the design of fits with a model of the noise or a likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.errors import InvalidRequest
from service.fitting.drawn import Drawn
from service.fitting.unknowns import unknowns_from
from service.render.report import report
from service.schemas.answers import Fit
from service.schemas.fit import FitRequest
from service.schemas.unknowns import InvertRequest
from tests.fitting.resampled import bootstrap, error, groups, run

RNG = np.random.default_rng(23)
X = np.repeat([1.0, 2.0, 4.0, 8.0, 16.0], 3)
Y = 3 * X * (1 + 0.08 * RNG.standard_normal(len(X)))
RATIO: dict[str, Any] = {
    "model": "y = a*x",
    "data": {"x": X.tolist(), "y": Y.tolist()},
    "sigma": {"expr": "0.1*pred"},
}
"""With noise in proportion to the prediction the fit of y = a·x is the mean of y/x."""
T = [0.0, 1, 2, 3, 4, 5, 6, 8]
DECAY: dict[str, Any] = {
    "model": "y = a*exp(-k*t)",
    "data": {"t": T, "y": [52.0, 39, 20, 16, 14, 8, 2, 1]},
    "likelihood": "poisson",
}
MANY = 1999


def drawn(found: Fit) -> Drawn:
    assert isinstance(found.drawn, Drawn)
    return found.drawn


def of(found: Fit) -> Any:
    assert found.statistics.confidence_interval is not None
    return found.statistics.confidence_interval.bootstrap


@pytest.mark.parametrize("kind", ["residual", "case", "parametric", "wild"])
def test_a_ratio_by_hand(kind: str) -> None:
    ratio, n = Y / X, len(X)
    apart = ratio - ratio.mean()
    due = {
        "residual": apart.std() / np.sqrt((1 - 1 / n) * n),
        "case": apart.std() / np.sqrt(n),
        "parametric": apart.std(ddof=1) / np.sqrt(n),
        "wild": apart.std() / np.sqrt((1 - 1 / n) * n),
    }
    found = bootstrap(RATIO, kind=kind, replicates=MANY)
    assert found.params["a"] == pytest.approx(ratio.mean(), rel=1e-9)
    assert of(found).failed == 0
    assert of(found).stderr["a"] == pytest.approx(due[kind], abs=4 * error(due[kind], MANY))
    values = drawn(found).theta[:, 0]
    assert abs(values.mean() - ratio.mean()) < 4 * due[kind] / np.sqrt(MANY)


def test_estimated_noise_is_estimated_in_each_replicate() -> None:
    request = {**RATIO, "sigma": {"expr": "s*pred**k", "estimate": ["s", "k"]}}
    found = bootstrap(request, kind="parametric", replicates=200)
    stderr = found.statistics.stderr or {}
    assert of(found).failed <= 4
    assert of(found).stderr["a"] == pytest.approx(stderr["a"], rel=0.25)


def test_steps_and_checkpoints_change_no_bit() -> None:
    interval = {"method": "bootstrap", "kind": "wild", "replicates": 50}
    request = {**RATIO, "confidence_interval": interval}
    whole = drawn(run(request)).theta
    assert (drawn(run(request, 7)).theta == whole).all()
    assert (drawn(run(request, 7, resume=True)).theta == whole).all()


def test_groups_have_one_each() -> None:
    twice = {"x": [*X, *X], "y": [*Y, *(2 * Y)], "g": [0.0] * len(X) + [1.0] * len(X)}
    request = {**RATIO, "data": twice, "group_by": "g"}
    found = groups(request, kind="case", replicates=400)
    interval = found.groups.confidence_interval
    assert interval is not None
    lower, upper = interval.lower["a"], interval.upper["a"]
    for group, a in enumerate(found.groups.params["a"]):
        assert lower[group] < a < upper[group]
    assert upper[1] - lower[1] == pytest.approx(2 * (upper[0] - lower[0]), rel=0.3)


def test_a_robust_scale_draws_rows() -> None:
    loss = {"name": "huber", "delta": {"scale": "mad"}}
    request = {"model": "y = a*x", "data": RATIO["data"], "loss": loss}
    found = bootstrap(request, kind="case", replicates=300)
    assert of(found).made == 300
    assert of(found).stderr["a"] > 0
    with pytest.raises(InvalidRequest, match="use the kind 'case'"):
        bootstrap(request, kind="wild")


def test_the_unknowns_of_proportional_noise() -> None:
    found = bootstrap(RATIO, kind="residual", replicates=MANY)
    asked = {"job_id": "job_1", "data": {"y": [3.0, 30.0]}, "interval": "bootstrap"}
    request = FitRequest.model_validate(RATIO)
    unknown = unknowns_from(InvertRequest.model_validate(asked), drawn(found), request)
    small, large = unknown.stderr
    assert small is not None
    assert large is not None
    assert large == pytest.approx(10 * small, rel=0.1)


# --- counts ---------------------------------------------------------------------------------------


def test_counts_are_drawn_from_the_mean() -> None:
    """The rate of equal exposures is the mean of the counts."""
    counts = [4.0, 7, 3, 6, 5, 5]
    request = {
        "model": "y = a + 0*x",
        "data": {"x": [0.0, 1, 2, 3, 4, 5], "y": counts},
        "likelihood": {"name": "poisson", "exposure": 2.0},
    }
    found = bootstrap(request, kind="parametric", replicates=MANY)
    due = np.sqrt(2.5 / 12)
    assert of(found).failed == 0
    assert of(found).stderr["a"] == pytest.approx(due, abs=4 * error(due, MANY))
    assert drawn(found).theta[:, 0] * 12 == pytest.approx(np.rint(drawn(found).theta[:, 0] * 12))


def test_a_report_says_what_was_drawn() -> None:
    text = report(bootstrap(DECAY, kind="parametric", replicates=50))
    assert "counts drawn from the likelihood" in text
    assert "normal noise" not in text
    assert "normal noise" in report(bootstrap(RATIO, kind="parametric", replicates=50))


def test_trials() -> None:
    request = {
        "model": "y = p + 0*x",
        "data": {"x": [0.0, 1, 2, 3], "y": [3.0, 5, 4, 6], "n": [10.0, 12, 9, 20]},
        "likelihood": {"name": "binomial", "n": "n"},
    }
    found = bootstrap(request, kind="parametric", replicates=MANY)
    p = 18 / 51
    due = np.sqrt(p * (1 - p) / 51)
    assert of(found).stderr["p"] == pytest.approx(due, abs=4 * error(due, MANY))


def test_the_coverage_of_counts() -> None:
    found = run({**DECAY, "coverage": {"simulate": 1000}})
    assert found.coverage.failed == 0
    for share in found.coverage.coverage.values():
        assert share == pytest.approx(0.95, abs=0.03)


def test_the_coverage_of_a_model_of_the_noise() -> None:
    """By Student's t, which is nearly exact here."""
    found = run({**RATIO, "coverage": {"simulate": 1000}})
    assert found.coverage.coverage["a"] == pytest.approx(0.95, abs=0.03)


def test_readings_of_counts_have_another_noise_than_residuals() -> None:
    for kind in ("case", "parametric"):
        found = bootstrap(DECAY, kind=kind, replicates=100)
        asked = {"job_id": "job_1", "data": {"y": [20.0]}, "interval": "bootstrap"}
        request = FitRequest.model_validate(DECAY)
        with pytest.raises(InvalidRequest, match='interval of the "mean"'):
            unknowns_from(InvertRequest.model_validate(asked), drawn(found), request)
        asked["interval"] = {"kind": "bootstrap", "of": "mean"}
        unknown = unknowns_from(InvertRequest.model_validate(asked), drawn(found), request)
        assert unknown.stderr[0] is not None


@pytest.mark.parametrize(("change", "pointer"), [
    ({"confidence_interval": {"method": "bootstrap"}}, "/confidence_interval/kind"),
    ({"confidence_interval": {"method": "bootstrap", "kind": "wild"}}, "/confidence_interval/kind"),
    (
        {
            "likelihood": {"name": "poisson", "overdispersion": "pearson"},
            "confidence_interval": {"method": "bootstrap", "kind": "parametric"},
        },
        "/confidence_interval/kind",
    ),
    (
        {"likelihood": {"name": "poisson", "overdispersion": "pearson"}, "coverage": {}},
        "/coverage",
    ),
    ({"design": {"candidates": [1]}}, "/design"),
])  # fmt: skip
def test_what_counts_do_not_have(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        run({**DECAY, **change})
    assert refused.value.errors[0].pointer == pointer


# --- the next reading -----------------------------------------------------------------------------


def test_the_next_reading_has_the_noise_of_its_place() -> None:
    """With noise in proportion each reading tells the same of the ratio; by the weights 1/x it
    tells as much as its x."""
    found = run({**RATIO, "design": {"candidates": [1, 5, 100], "of": "a"}})
    n = len(X)
    due = found.statistics.stderr["a"] * np.sqrt(n / (n + 1))
    assert found.design.stderr == pytest.approx([due] * 3, rel=1e-6)
    plain = {key: RATIO[key] for key in ("model", "data")}
    found = run({**plain, "weights": "1/x", "design": {"candidates": [1, 5, 100], "of": "a"}})
    now, total = found.statistics.stderr["a"], X.sum()
    due = [now * np.sqrt(total / (total + x)) for x in found.design.candidates["x"]]
    assert found.design.stderr == pytest.approx(due, rel=1e-6)


@pytest.mark.parametrize("change", [
    {"weights": [1.0] * len(X)},
    {"data": {**RATIO["data"], "w": [1.0] * len(X)}, "weights": "w"},
    {"data": {**RATIO["data"], "w": [1.0] * len(X)}, "sigma": {"expr": "w*pred"}},
])  # fmt: skip
def test_a_noise_that_is_not_known_there(change: dict[str, Any]) -> None:
    plain = {key: RATIO[key] for key in ("model", "data")}
    request = {**plain, **change, "design": {"candidates": [1]}}
    with pytest.raises(InvalidRequest) as refused:
        run(request)
    assert refused.value.errors[0].pointer == "/design/sigma"
    request["design"] = {"candidates": [1], "sigma": 2}
    assert run(request).design is not None


def test_a_candidate_without_slopes_is_the_last() -> None:
    request = {key: DECAY[key] for key in ("model", "data")}
    found = run({**request, "design": {"candidates": [-1e300, 5]}})
    assert found.design.candidates["t"] == [5, -1e300]
    assert np.isnan(found.design.volume[1])
