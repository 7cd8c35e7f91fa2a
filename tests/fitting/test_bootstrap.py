"""The bootstrap: its replicates against those of a loop, its figures, its refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.engine.resampling.philox import BOOTSTRAP, normal, uniforms
from service.errors import BudgetExceeded, InvalidRequest
from service.fitting import Drawn, curve, unknowns_from
from service.schemas.answers import Fit
from service.schemas.fit import FitRequest
from service.schemas.resampled import Bootstrap
from service.schemas.statistics import ConfidenceInterval
from service.schemas.unknowns import InvertRequest
from tests.fitting.resampled import NASTURTIUM, bootstrap, columns, error, groups, run

SEED, MANY = 3, 1999
RNG = np.random.default_rng(5)
X = np.linspace(0.0, 9.0, 13)
Y = 1.5 + 0.7 * X + RNG.normal(0, 0.5, len(X)) + 0.4 * RNG.exponential(1.0, len(X))
SIGMA = np.where(X < 5, 0.5, 1.0)
LINE: dict[str, Any] = {
    "model": "y = a + b*x", "data": {"x": X.tolist(), "y": Y.tolist()}, "seed": SEED,
}  # fmt: skip
WEIGHTED = {**LINE, "sigma": SIGMA.tolist()}
KINDS = ("residual", "case", "parametric", "wild")


def interval(found: Fit) -> tuple[ConfidenceInterval, Bootstrap]:
    made = found.statistics.confidence_interval
    assert made is not None
    assert made.bootstrap is not None
    return made, made.bootstrap


def draws(found: Fit) -> Drawn:
    made = curve(found)
    assert isinstance(made, Drawn)
    return made


def by_hand(kind: str, sigma: Any) -> Any:
    """The replicates of the line by a plain loop over numpy's least squares."""
    sd = np.ones(len(X)) if sigma is None else sigma
    design = np.column_stack([np.ones(len(X)), X]) / sd[:, None]
    z = Y / sd
    theta = np.linalg.lstsq(design, z)[0]
    hat = np.diag(design @ np.linalg.pinv(design))
    e = z - design @ theta
    pool = e / np.sqrt(1 - hat)
    s = math.sqrt(e @ e / (len(X) - 2))
    found = []
    for b in range(MANY):
        at = np.array([0]), np.array([b]), np.array([len(X)])
        u = uniforms(SEED, BOOTSTRAP, *at)
        drawn = (u * len(X)).astype(int)
        rows = np.arange(len(X))
        noise = {
            "residual": (pool - pool.mean())[drawn],
            "parametric": s * normal(u),
            "wild": np.where(u < 0.5, -1, 1) * pool,
            "case": e,
        }[kind]
        if kind == "case":
            rows = drawn
            noise = e[drawn]
        target = design[rows] @ theta + noise
        found.append(np.linalg.lstsq(design[rows], target)[0])
    return np.array(found), theta


@pytest.mark.parametrize("request_", [LINE, WEIGHTED], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_line_by_hand(kind: str, request_: dict[str, Any]) -> None:
    due, theta = by_hand(kind, SIGMA if "sigma" in request_ else None)
    found = bootstrap(request_, kind=kind)
    made, more = interval(found)
    assert (more.kind, more.replicates, more.made, more.failed) == (kind, MANY, MANY, 0)
    assert draws(found).theta == pytest.approx(due, rel=1e-9)
    low, high = np.quantile(due, [0.025, 0.975], axis=0, method="weibull")
    for i, name in enumerate(("a", "b")):
        assert made.lower[name] == pytest.approx(low[i], rel=1e-9)
        assert made.upper[name] == pytest.approx(high[i], rel=1e-9)
        assert more.stderr[name] == pytest.approx(due[:, i].std(ddof=1), rel=1e-9)
        assert more.bias[name] == pytest.approx(due[:, i].mean() - theta[i], abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_bca_by_hand(kind: str) -> None:
    from statistics import NormalDist

    due, theta = by_hand(kind, None)
    design = np.column_stack([np.ones(len(X)), X])
    back = np.linalg.pinv(design)
    e = Y - design @ theta
    hat = np.diag(design @ back)
    skewed = np.zeros(2)
    if kind == "case":  # the jackknife itself: a line is linear
        alone = np.array([
            np.linalg.lstsq(np.delete(design, i, 0), np.delete(Y, i))[0] for i in range(len(X))
        ])  # fmt: skip
        apart = alone.mean(axis=0) - alone
        skewed = (apart**3).sum(axis=0) / (6 * (apart**2).sum(axis=0) ** 1.5)
    elif kind == "residual":
        pool = e / np.sqrt(1 - hat)
        pool = pool - pool.mean()
        second, third = (pool**2).mean(), (pool**3).mean()
        skewed = (back**3).sum(axis=1) * third / (6 * ((back**2).sum(axis=1) * second) ** 1.5)
    found = bootstrap(LINE, kind=kind, interval="bca", level=0.9)
    made, _ = interval(found)
    phi, z = NormalDist().cdf, NormalDist().inv_cdf(0.95)
    for i, name in enumerate(("a", "b")):
        shift = NormalDist().inv_cdf((due[:, i] < theta[i]).mean())
        for sign, end in ((-1, made.lower), (1, made.upper)):
            along = shift + sign * z
            part = phi(shift + along / (1 - skewed[i] * along))
            limit = np.quantile(due[:, i], part, method="weibull")
            assert end[name] == pytest.approx(limit, rel=1e-7)


def test_nasturtium_and_its_unknown() -> None:
    """CAPABILITIES: 0.2863 by 9,999 residual replicates, published 0.2861; [1.805, 2.927]."""
    request = {**NASTURTIUM, "report": {"ed50": "exp(-t2/t3)"}}
    found = bootstrap(request, replicates=9999)
    readings = {"weight": [309.0, 296.0, 419.0], "sample": ["a", "a", "a"]}
    asked = InvertRequest.model_validate(
        {"job_id": "job_1", "data": readings, "interval": "bootstrap"}
    )
    unknown = unknowns_from(asked, draws(found), FitRequest.model_validate(NASTURTIUM))
    assert unknown.estimate[0] == pytest.approx(2.263851, abs=1e-6)
    assert unknown.stderr[0] == pytest.approx(0.2863, abs=4 * error(0.2863, 9999))
    assert unknown.lower[0] == pytest.approx(1.805, abs=0.015)
    assert unknown.upper[0] == pytest.approx(2.927, abs=0.03)
    assert unknown.failed is not None
    assert unknown.failed.tolist() == [0]
    made, more = interval(found)
    errors = found.statistics.stderr or {}
    for name, value in more.stderr.items():
        assert value == pytest.approx(errors[name], rel=0.05)
    assert found.report is not None
    report = found.report["ed50"]
    theta = draws(found).theta
    due = np.exp(-theta[:, 1] / theta[:, 2])
    assert report.method == "bootstrap"
    assert report.stderr == pytest.approx(due.std(ddof=1), rel=1e-9)
    assert report.lower == pytest.approx(np.quantile(due, 0.025, method="weibull"), rel=1e-9)
    assert made.level == 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_no_slicing_changes_a_bit(kind: str) -> None:
    request = {**NASTURTIUM, "confidence_interval": {
        "method": "bootstrap", "kind": kind, "replicates": 60, "interval": "bca",
    }}  # fmt: skip
    whole = run(request)
    for other in (run(request, 1), run(request, 7), run(request, 13, resume=True)):
        assert (draws(other).theta == draws(whole).theta).all()
        assert other.statistics == whole.statistics
    other = run({**request, "seed": 1})
    assert not (draws(other).theta == draws(whole).theta).any()


def test_fewer_replicates_are_the_first_of_more() -> None:
    few, many = (draws(bootstrap(NASTURTIUM, replicates=n)).theta for n in (40, 90))
    assert (few == many[:40]).all()


def test_rows_that_do_not_determine_the_params_fail() -> None:
    """With three doses of two rows each, a case bootstrap often drops one of them."""
    data = {"x": [1, 1, 2, 2, 4, 4], "y": [1.1, 0.9, 2.3, 2.2, 2.8, 3.1]}
    request = {"model": "y = a + b*x + c*x**2", "data": data}
    found = bootstrap(request, kind="case", replicates=500)
    _, more = interval(found)
    # 1 − P(all three) by inclusion and exclusion, about 0.26.
    chance = 3 * (2 / 3) ** 6 - 3 * (1 / 3) ** 6
    assert more.failed == pytest.approx(500 * chance, abs=4 * math.sqrt(500 * chance))
    assert np.isnan(draws(found).theta).all(axis=1).sum() == more.failed
    (lost,) = [each for each in found.diagnostics if each.code == "lost_replicates"]
    assert f"{more.failed} of 500" in lost.message
    residual = bootstrap(request, replicates=500)
    assert interval(residual)[1].failed == 0
    assert "lost_replicates" not in {each.code for each in residual.diagnostics}


@pytest.mark.parametrize("stop", ["cancelled", "time_limit"])
def test_a_stop_in_the_middle_keeps_what_is_there(stop: Any) -> None:
    request = {**NASTURTIUM, "confidence_interval": {"method": "bootstrap", "replicates": 999}}
    found = run(request, 50, after=400, stop=stop)
    made, more = interval(found)
    assert 300 < more.made < 500
    assert more.replicates == 999
    whole = draws(bootstrap(NASTURTIUM, replicates=999)).theta[: more.made]
    assert (draws(found).theta == whole).all()
    assert found.stop_reason == stop
    assert found.status == ("cancelled" if stop == "cancelled" else "succeeded")
    assert found.converged
    assert found.verdict == "doubtful"
    low = np.quantile(whole[:, 0], 0.025, method="weibull")
    assert made.lower["t1"] == pytest.approx(low, rel=1e-12)


def test_a_stop_before_the_first_replicate_has_no_interval() -> None:
    request = {**NASTURTIUM, "confidence_interval": {"method": "bootstrap"}}
    found = run(request, 1, after=1, stop="cancelled")
    assert found.statistics.confidence_interval is None
    assert found.stop_reason == "cancelled"
    assert isinstance(curve(found), bytes)


def test_groups_are_as_alone_but_for_their_draws() -> None:
    data = NASTURTIUM["data"]
    both = {
        "plate": ["p"] * 42 + ["q"] * 42,
        "conc": data["conc"] * 2,
        "weight": [*data["weight"], *(1.1 * w for w in data["weight"])],
    }
    request = {**NASTURTIUM, "data": both, "group_by": "plate", "report": {"e": "exp(-t2/t3)"}}
    found = groups(request, replicates=300, interval="bca").groups
    made = found.confidence_interval
    assert made is not None
    assert made.bootstrap is not None
    assert (made.bootstrap.made, made.bootstrap.failed) == ([300, 300], [0, 0])
    alone = bootstrap(
        {**NASTURTIUM, "report": {"e": "exp(-t2/t3)"}}, replicates=300, interval="bca"
    )
    one, more = interval(alone)
    for name in ("t1", "t2", "t3"):
        assert made.lower[name][0] == pytest.approx(one.lower[name], rel=1e-9)
        assert made.upper[name][0] == pytest.approx(one.upper[name], rel=1e-9)
        assert made.bootstrap.stderr[name][0] == pytest.approx(more.stderr[name], rel=1e-9)
        assert made.bootstrap.bias[name][0] == pytest.approx(more.bias[name], rel=1e-6, abs=1e-9)
    assert made.bootstrap.stderr["t1"][1] == pytest.approx(1.1 * more.stderr["t1"], rel=0.2)
    assert found.report is not None
    assert alone.report is not None
    assert found.report["e"].lower[0] == pytest.approx(alone.report["e"].lower, rel=1e-9)
    assert found.report["e"].method == "bootstrap"


def test_a_robust_loss_has_errors_by_drawing_rows() -> None:
    found = bootstrap({**LINE, "loss": "huber"}, kind="case", replicates=200)
    _, more = interval(found)
    assert found.statistics.covariance_kind == "robust"
    assert more.failed == 0
    assert 0.02 < more.stderr["b"] < 0.3


def test_tied_params_and_bounds() -> None:
    request = {**LINE, "params": {"c": {"expr": "a + b"}}, "model": "y = a + b*x + 0*c"}
    found = bootstrap(request, replicates=200)
    made, more = interval(found)
    theta = draws(found).theta
    assert more.stderr["c"] == pytest.approx((theta[:, 0] + theta[:, 1]).std(ddof=1), rel=1e-9)
    assert made.lower["c"] < found.params["c"] < made.upper["c"]
    held = bootstrap({**LINE, "params": {"b": {"value": 0.5, "max": 0.6}}}, replicates=100)
    assert max(draws(held).theta[:, 1]) <= 0.6
    fixed = bootstrap({**LINE, "params": {"b": {"value": 0.5, "fixed": True}}}, replicates=100)
    assert set(interval(fixed)[1].stderr) == {"a"}


def test_no_noise_to_draw_from_is_no_interval() -> None:
    found = bootstrap({"data": {"x": [1, 2], "y": [1, 3]}}, replicates=50)
    assert found.statistics.confidence_interval is None


def test_the_noise_of_readings_may_be_left_out() -> None:
    found = draws(bootstrap(NASTURTIUM, replicates=999))
    fitted = FitRequest.model_validate(NASTURTIUM)
    data = {"weight": [309.0, 296.0, 419.0, 900.0], "sample": ["a", "a", "a", "b"]}
    asked: dict[str, Any] = {"job_id": "job_1", "data": data}
    kinds = {"kind": "bootstrap", "of": "mean"}
    mean = unknowns_from(InvertRequest.model_validate({**asked, "interval": kinds}), found, fitted)
    assert mean.stderr[0] == pytest.approx(0.13, abs=0.02)
    wald = {"kind": "wald", "of": "mean"}
    due = unknowns_from(InvertRequest.model_validate({**asked, "interval": wald}), found, fitted)
    assert mean.stderr[0] == pytest.approx(due.stderr[0], rel=0.15)
    assert mean.failed is not None
    assert math.isnan(mean.estimate[1])
    assert math.isnan(mean.lower[1])
    doubled = {**asked, "interval": kinds, "dilution": 2.0}
    twice = unknowns_from(InvertRequest.model_validate(doubled), found, fitted)
    assert twice.lower[0] == pytest.approx(2 * mean.lower[0])


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "options without it": (
        {"confidence_interval": {"kind": "case"}}, "/confidence_interval/kind", "bootstrap",
    ),
    "shared params": (
        {"data": {**LINE["data"], "g": [0.0] * 6 + [1.0] * 7},
         "group_by": {"column": "g", "shared": ["b"]}},
        "/confidence_interval/method", "profile",
    ),
    "a robust loss": ({"loss": "huber"}, "/confidence_interval/kind", "case"),
    "a network": (
        {"model": {"name": "mlp", "hidden": [2]}}, "/confidence_interval/method", "'t'",
    ),
    "a scaled report": (
        {"scaling": "standardize", "report": {"q": {"expr": "a/b", "method": "bootstrap"}}},
        "/report/q/method", "delta",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_meaning_is_refused(case: str) -> None:
    more, pointer, cure = REFUSED[case]
    request = {**LINE, "confidence_interval": {"method": "bootstrap"}, **more}
    with pytest.raises(InvalidRequest) as caught:
        run(request)
    (complaint,) = caught.value.errors
    assert complaint.pointer == pointer
    assert cure in complaint.detail


def test_a_report_by_bootstrap_needs_one() -> None:
    with pytest.raises(InvalidRequest) as caught:
        run({**LINE, "report": {"q": {"expr": "a/b", "method": "bootstrap"}}})
    assert caught.value.errors[0].pointer == "/report/q/method"


@pytest.mark.parametrize("rows", [20_000, 2_000_000])
def test_a_bootstrap_beyond_the_limits_names_them(rows: int) -> None:
    x = np.linspace(0, 1, rows).tolist()
    request = {**LINE, "data": {"x": x, "y": x},
               "confidence_interval": {"method": "bootstrap", "replicates": 100_000}}  # fmt: skip
    with pytest.raises(BudgetExceeded) as caught:
        run(request)
    assert caught.value.errors[0].pointer == "/confidence_interval/replicates"
    assert "use at most" in str(caught.value)


def test_data_of_the_reference() -> None:
    assert len(columns("nasturtium.csv")["conc"]) == 42
