"""What options of the noise do together, and at the edges of what they are defined for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.errors import InvalidRequest
from tests.fitting.resampled import bootstrap, run

X = [0.0, 1, 2, 3, 4, 5, 6, 7]
Y = [0.9, 3.2, 4.8, 7.3, 8.8, 11.4, 12.6, 15.3]
LINE: dict[str, Any] = {"model": "y = a + b*x", "data": {"x": X, "y": Y}}
FIXED = {name: {"value": 1, "fixed": True} for name in ("a", "b")}
MAD = {"name": "huber", "delta": {"scale": "mad"}}


def codes(found: Any) -> dict[str, Any]:
    return {each.code: each for each in found.diagnostics}


@pytest.mark.parametrize("noise", [
    {"sigma": {"expr": "0.1 + 0.05*abs(pred)"}},
    {"sigma": {"expr": "s + 0*pred", "estimate": ["s"]}},
    {"loss": MAD},
], ids=["given", "estimated", "a robust scale"])  # fmt: skip
@pytest.mark.parametrize("by", [None, "g"])
def test_constraints_hold_in_all_rounds(noise: dict[str, Any], by: str | None) -> None:
    data = {**LINE["data"], "g": [1.0] * len(X)}
    request = {**LINE, "data": data, "constraints": ["b < a"], **noise}
    found = run({**request, "group_by": by} if by else request)
    params = found.params if by is None else {n: v[0] for n, v in found.groups.params.items()}
    assert params["b"] == pytest.approx(params["a"], rel=1e-9)
    assert "at_constraint" in codes(found)


@pytest.mark.parametrize("asked", [
    {"confidence_interval": {"method": "bootstrap", "replicates": 50}},
    {"confidence_interval": {"method": "profile"}},
    {"coverage": {"simulate": 20}},
    {"design": {"candidates": [1]}},
    {"outliers": "rout"},
    {"sigma": {"expr": "0.1*pred"}},
    {"loss": MAD},
    {"covariance": "sandwich"},
    {"covariance": "observed"},
    {"sigma_x": {"x": 0.1}},
])  # fmt: skip
def test_a_fit_without_free_params_has_no_errors_of_them(asked: dict[str, Any]) -> None:
    found = run({**LINE, "params": FIXED, **asked})
    assert found.params == {"a": 1.0, "b": 1.0}
    assert not found.statistics.stderr
    assert found.coverage is None
    assert found.design is None


def test_errors_in_x_beyond_all_data_explain_nothing() -> None:
    found = run({**LINE, "sigma": 1.0, "sigma_x": {"x": 1e150}})
    assert found.verdict == "untrustworthy"


def test_a_noise_of_too_many_params() -> None:
    noise = {"expr": "s*t*(1 + pred)", "estimate": ["s", "t"]}
    found = run({**LINE, "sigma": noise})
    assert codes(found)["noise_undetermined"].severity == "warning"
    data = {**LINE["data"], "g": [1.0] * len(X)}
    grouped = run({**LINE, "data": data, "sigma": noise, "group_by": "g"})
    assert "noise_undetermined" in grouped.groups.diagnostics[0]
    one = run({**LINE, "sigma": {"expr": "s*(1 + pred)", "estimate": ["s"]}})
    assert "noise_undetermined" not in codes(one)


def test_a_param_that_the_noise_does_not_have() -> None:
    with pytest.raises(InvalidRequest, match="does not have it") as refused:
        run({**LINE, "sigma": {"expr": "0.1*pred", "estimate": ["s"]}})
    assert refused.value.errors[0].pointer == "/sigma/estimate"


def test_the_standard_errors_of_a_known_noise_need_no_degrees_of_freedom() -> None:
    request = {"model": "y = a*x", "data": {"x": [1.0], "y": [5.0]}, "likelihood": "poisson"}
    found = run(request)
    assert (found.statistics.stderr or {})["a"] == pytest.approx(np.sqrt(5))
    said = codes(found)["few_degrees_of_freedom"].message
    assert "nothing tests the model" in said
    assert "unknown" not in said


def test_the_ends_of_few_replicates_are_said_to_be_extreme() -> None:
    few = codes(bootstrap(LINE, replicates=38))["few_replicates"]
    assert (few.severity, few.suggestion) == (
        "info", {"confidence_interval": {"replicates": 39}},
    )  # fmt: skip
    assert "few_replicates" not in codes(bootstrap(LINE, replicates=39))
    assert "few_replicates" in codes(bootstrap(LINE, replicates=198, level=0.99))


def test_intervals_of_a_bootstrap_are_not_said_to_be_by_profile() -> None:
    request = {"model": "y = a*exp(-k*x)", "data": {"x": X[:5], "y": [9.0, 1.2, 2.1, 0.2, -0.9]}}
    assert "nonlinear_interval" in codes(run(request))
    assert "nonlinear_interval" not in codes(bootstrap(request, replicates=50))


@pytest.mark.parametrize("loss", ["mae", "quantile", MAD])
def test_starts_agree_where_the_loss_has_a_corner(loss: Any) -> None:
    """Near the minimum of such a loss the steps become short before its last digits."""
    rng = np.random.default_rng(2)
    x = np.repeat([0.1, 0.3, 1, 3, 10, 30, 100.0], 3)
    request = {"model": "y = c + (d - c)*x/(e + x)", "loss": loss}
    for _ in range(3):
        y = (2 + 93 * x / (7 + x)) * (1 + 0.05 * rng.standard_normal(21))
        found = run({**request, "data": {"x": x.tolist(), "y": y.tolist()}})
        assert "multi_start_disagrees" not in codes(found)


def test_groups_say_what_the_data_add_to_the_prior() -> None:
    request = {
        **LINE, "sigma": 0.2, "sigma_absolute": True,
        "params": {"b": {"prior": {"mean": 1.9, "sd": 0.05}}},
    }  # fmt: skip
    one = run(request).prior
    data = {"x": X * 2, "y": Y + [y + 1 for y in Y], "g": [1.0] * 8 + [2.0] * 8}
    both = run({**request, "data": data, "group_by": "g"}).groups.prior
    assert both.rows == one.rows == 1
    assert both.chi_squared[0] == pytest.approx(one.chi_squared, rel=1e-9)
    own, alone = both.params["b"], one.params["b"]
    assert (own.mean, own.sd) == (alone.mean, alone.sd)
    assert own.apart == pytest.approx([alone.apart] * 2, rel=1e-6)
    assert own.share == pytest.approx([alone.share] * 2, rel=1e-6)
