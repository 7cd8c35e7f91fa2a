"""Diagnostics say what is wrong, and the request that they suggest is the better for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests import thermometer
from tests.fitting.fits import codes, cured, fit, merge
from tests.fitting.grouped import fit as fit_groups

pytestmark = pytest.mark.usefixtures("device")

BASE: dict[str, Any] = {
    "model": thermometer.MODEL,
    "data": thermometer.DATA,
    "params": thermometer.START,
    "epochs": 100,
}


def sgd(rate: float, **options: Any) -> dict[str, Any]:
    return {**BASE, "optimizer": {"name": "sgd", "learning_rate": rate, **options}}


def test_the_merge_patch_of_rfc_7396() -> None:
    """Some of the cases of its appendix A."""
    assert merge({"a": "b"}, {"a": "c"}) == {"a": "c"}
    assert merge({"a": "b", "b": "c"}, {"a": None}) == {"b": "c"}
    assert merge({"a": ["b"]}, {"a": "c"}) == {"a": "c"}
    assert merge({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}) == {"a": {"b": "d"}}
    assert merge({"a": "foo"}, {"a": {"b": {"c": None}}}) == {"a": {"b": {}}}
    assert merge(["a"], {"a": "b"}) == {"a": "b"}


@pytest.mark.long
@pytest.mark.parametrize("epochs", [100, 2000])
@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 1.0}]
)
def test_too_high_a_learning_rate_is_cured(options: dict[str, Any], epochs: int) -> None:
    before, after = cured({**sgd(1e-2, **options), "epochs": epochs}, "learning_rate_too_high")
    assert codes(before)["learning_rate_too_high"] == "error"
    assert before.stop_reason == "diverged"
    assert before.verdict == "untrustworthy"
    assert after.stop_reason == "max_epochs"
    assert "learning_rate_too_high" not in codes(after)
    assert after.loss < 40 < before.best.loss + 1e4


def test_the_limit_that_is_claimed_is_the_limit() -> None:
    """2/λmax: 3.40e-4 raw, 0.0330 with inputs scaled by 0.1."""
    for scale, limit in ((1.0, 3.40e-4), (0.1, 0.0330)):
        scaling = {"t_u": {"scale": scale}}
        below = {**sgd(0.99 * limit), "scaling": scaling, "epochs": 3000}
        above = {**sgd(1.01 * limit), "scaling": scaling, "epochs": 3000}
        assert "learning_rate_too_high" not in codes(fit(**below))
        assert fit(**below).stop_reason == "max_epochs"
        said = codes(fit(**above))
        assert said["learning_rate_too_high"] == "error"
        assert fit(**above).stop_reason == "diverged"


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "factor"),
    [({"momentum": 0.5}, 2 * 1.5), ({"momentum": 0.9, "nesterov": True}, 2 * 1.9 / 2.8)],
)
def test_the_limits_of_momentum(options: dict[str, Any], factor: float) -> None:
    """2(1+β)/λ and 2(1+β)/((1+2β)λ), λmax of the raw thermometer 2/3.40e-4 = 5883."""
    x = np.array(thermometer.DATA["t_u"])
    design = np.stack([x, np.ones_like(x)], axis=1)
    largest = float(np.linalg.eigvalsh(2 * design.T @ design / len(x))[-1])
    limit = factor / largest
    for rate, reason in ((0.97 * limit, "max_epochs"), (1.03 * limit, "diverged")):
        answer = fit(**{**sgd(rate, **options), "epochs": 3000})
        assert answer.stop_reason == reason
        assert ("learning_rate_too_high" in codes(answer)) is (reason == "diverged")


TWO = {"a": 1.0, "b": 0.0}
X = np.linspace(0, 5, 20)
NOISE = np.random.default_rng(0).standard_normal(20)
SLOW: dict[str, tuple[dict[str, Any], int]] = {
    "gradient_imbalance": (sgd(3e-4), 400_000),
    "learning_rate_too_high": (
        {
            "model": "y = a*exp(-b*x)",
            "data": {"x": X, "y": 2 * np.exp(-0.7 * X) + 0.02 * NOISE},
            "params": {"a": 1.0, "b": 0.1},
            "optimizer": {"name": "sgd", "learning_rate": 0.5},
        },
        3000,
    ),
    "poor_scale": (
        {
            "model": "y = a*x",
            "data": {"x": 40 * X, "y": 20 * X + NOISE},
            "params": {"a": 1.0},
            "optimizer": {"name": "sgd", "learning_rate": 1e-6},
        },
        3000,
    ),
}
"""Fits whose way is slow, and epochs that bring them to the minimum."""


@pytest.mark.long
@pytest.mark.parametrize("code", SLOW)
def test_a_slow_way_that_came_to_the_minimum_is_a_note(code: str) -> None:
    request, epochs = SLOW[code]
    short = fit(**{**request, "epochs": 2})
    assert codes(short)[code] == "warning"
    assert codes(short)["not_converged"] == "error"
    whole = fit(**{**request, "epochs": epochs, "record_every": 1000})
    assert codes(whole) == {code: "info"}
    assert (whole.verdict, whole.trustworthy) == ("trustworthy", True)


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        {"loss": "mae"},
        {"model": {"name": "mlp", "hidden": [2]}, "params": {}, "scaling": {"x": {"scale": 1.0}}},
        {"model": "y = a*x + b", "params": TWO, "data": {"x": [100.0, 200.0], "y": [51.0, 99.0]}},
    ],
)
def test_where_the_minimum_cannot_be_told_a_slow_way_is_a_warning(change: dict[str, Any]) -> None:
    request, epochs = SLOW["poor_scale"]
    answer = fit(**{**request, "epochs": epochs, "record_every": 1000, **change})
    assert codes(answer)["poor_scale"] == "warning"
    data = {**request, **change}["data"]
    data = {**data, "g": ["a"] * len(data["x"])}
    many = fit_groups(**{**request, "epochs": epochs, **change, "data": data, "group_by": "g"})
    assert {each.code: each.severity for each in many.diagnostics}["poor_scale"] == "warning"


@pytest.mark.long
@pytest.mark.parametrize("code", SLOW)
def test_of_groups_too(code: str) -> None:
    request, epochs = SLOW[code]
    data = {name: np.tile(column, 2) for name, column in request["data"].items()}
    rows = len(next(iter(request["data"].values())))
    data["g"] = np.repeat([0.0, 1.0], rows)
    found = fit_groups(**{**request, "data": data, "group_by": "g", "epochs": epochs})
    assert found.groups.diagnostics == [[code]] * 2
    assert found.groups.verdict == ["trustworthy"] * 2
    assert [(each.code, each.severity) for each in found.diagnostics] == [(code, "info")]
    assert (found.verdict, found.trustworthy) == ("trustworthy", True)


def test_of_groups_each_by_its_own_end() -> None:
    """The second's input is too small for the rate, and it hardly moves."""
    request, epochs = SLOW["poor_scale"]
    x = np.concatenate([40 * X, 1e-3 * X])
    data = {"x": x, "y": 0.5 * x + np.tile(NOISE, 2), "g": np.repeat([0.0, 1.0], 20)}
    found = fit_groups(**{**request, "data": data, "group_by": "g", "epochs": epochs})
    assert found.groups.diagnostics == [["poor_scale"], ["poor_scale", "not_converged"]]
    assert found.groups.verdict == ["trustworthy", "untrustworthy"]
    told = {each.code: each.severity for each in found.diagnostics}
    assert told == {"poor_scale": "warning", "not_converged": "error"}


def test_the_verdict_of_groups_is_the_worst_of_them() -> None:
    good = thermometer.DATA
    few = {name: column[:3] for name, column in good.items()}
    none = {name: column[:1] for name, column in good.items()}
    for groups, verdicts in (
        ([good], ["trustworthy"]),
        ([good, few], ["trustworthy", "doubtful"]),
        ([few, none, good], ["doubtful", "untrustworthy", "trustworthy"]),
    ):
        data: dict[str, Any] = {
            name: [value for group in groups for value in group[name]] for name in good
        }
        data["g"] = [float(i) for i, group in enumerate(groups) for _ in group["t_u"]]
        found = fit_groups(model=thermometer.MODEL, data=data, group_by="g")
        assert found.groups.verdict == verdicts
        assert found.groups.trustworthy == [said == "trustworthy" for said in verdicts]
        worst = next(v for v in ("untrustworthy", "doubtful", "trustworthy") if v in verdicts)
        assert found.verdict == worst
        assert found.trustworthy == (worst == "trustworthy")


@pytest.mark.parametrize(
    "options",
    [{"batch_size": 4}, {"schedule": {"name": "exponential", "gamma": 0.99}}],
)
def test_no_limit_is_claimed_where_none_is_known(options: dict[str, Any]) -> None:
    answer = fit(**sgd(1e-2, **options))
    assert "learning_rate_too_high" not in codes(answer)
    assert codes(answer)["not_converged"] == "error"


def test_an_imbalanced_gradient_is_cured() -> None:
    before, after = cured(sgd(1e-2), "gradient_imbalance")
    said = next(d for d in before.diagnostics if d.code == "gradient_imbalance")
    assert said.params == ["w", "b"]
    assert "54.7 times" in said.message
    assert "gradient_imbalance" not in codes(after)
    assert after.loss < 40 < 1000 < before.best.loss
    longer = fit(**{**merge(sgd(1e-2), said.suggestion), "epochs": 2000})
    assert longer.loss == pytest.approx(2.92764557, rel=1e-8)
    assert longer.trustworthy


def test_a_round_surface_is_not_called_imbalanced() -> None:
    """x has mean 0 and spread 1, so every rate suits both params; b merely starts at its answer."""
    x = [-1.5, -0.5, 0.5, 1.5]
    data = {"x": [v / 1.118033988749895 for v in x], "y": [-2.9, -1.1, 1.0, 3.01]}
    answer = fit(
        model="w*x + b", data=data, params={"w": 0.0, "b": 0.0}, optimizer="sgd", epochs=10
    )
    assert "gradient_imbalance" not in codes(answer)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad"])
def test_a_fit_that_stopped_short_is_cured(optimizer: str) -> None:
    request = {**BASE, "optimizer": {"name": optimizer, "learning_rate": 1e-4}}
    before, after = cured(request, "not_converged")
    assert codes(before)["not_converged"] == "error"
    assert before.verdict == "untrustworthy"
    assert after.trustworthy
    assert after.loss == pytest.approx(2.9276456, abs=1e-7)


def test_a_divergence_without_a_known_cause_is_cured() -> None:
    before, after = cured(sgd(1e-2, batch_size=4), "not_converged")
    assert before.stop_reason == "diverged"
    assert after.trustworthy


@pytest.mark.parametrize("given", [{}, {"v": 1.0}, {"v": {"min": -5.0}}])
def test_dependent_params_are_cured(given: dict[str, Any]) -> None:
    request = {
        "model": "t_c = w*t_u + v*t_u + b",
        "data": thermometer.DATA,
        "params": given,
        "optimizer": "levenberg_marquardt",
    }
    before, after = cured(request, "rank_deficient")
    assert before.verdict == "untrustworthy"
    assert "rank_deficient" not in codes(after)
    assert after.loss == pytest.approx(before.loss, rel=1e-9)


def test_a_limit_that_holds_back_is_cured() -> None:
    request = {"model": thermometer.MODEL, "data": thermometer.DATA, "params": {"w": {"max": 0.4}}}
    before, after = cured(request, "at_bound")
    assert before.params["w"] == 0.4
    assert "at_bound" not in codes(after)
    assert after.loss == pytest.approx(2.9276456, abs=1e-7)


def test_a_param_at_infinity_is_not_at_a_bound() -> None:
    answer = fit(**{**sgd(1e306), "epochs": 1})
    assert answer.params["w"] == float("-inf")
    assert "at_bound" not in codes(answer)


def test_an_ill_conditioned_fit_is_cured() -> None:
    data = {"x": [1e6 + i for i in range(10)], "y": [float(i * i % 7) for i in range(10)]}
    before, after = cured({"model": {"name": "polynomial"}, "data": data}, "ill_conditioned")
    assert codes(before)["ill_conditioned"] == "warning"
    assert "ill_conditioned" not in codes(after)
    assert after.loss == pytest.approx(before.loss, rel=1e-4)


def test_outliers_are_cured() -> None:
    x = np.linspace(0, 5, 30)
    y = 2 * x + 1 + 0.1 * np.sin(17 * x)
    y[7] += 30
    before, after = cured({"data": {"x": x.tolist(), "y": y.tolist()}}, "outliers")
    assert "8" in next(d.message for d in before.diagnostics if d.code == "outliers")
    assert abs(after.params["b"] - 1) < 0.2 * abs(before.params["b"] - 1)
    assert abs(after.params["w"] - 2) < abs(before.params["w"] - 2)


def test_a_non_finite_fit_answers_with_its_best() -> None:
    answer = fit(**{**sgd(1e-2), "on_divergence": "continue", "dtype": "float32"})
    assert codes(answer)["non_finite"] == "error"
    assert answer.params["w"] != answer.params["w"]
    assert answer.best.epoch == 1
    assert answer.best.params == thermometer.START
    assert answer.predict.params == thermometer.START
    assert answer.statistics.stderr is not None


def test_a_good_fit_has_nothing_to_say() -> None:
    answer = fit(model=thermometer.MODEL, data=thermometer.DATA)
    assert answer.diagnostics == []
    assert (answer.verdict, answer.trustworthy) == ("trustworthy", True)


def test_few_rows_are_told() -> None:
    answer = fit(data={"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 4.0]})
    assert codes(answer) == {"few_degrees_of_freedom": "warning"}
    assert (answer.verdict, answer.trustworthy) == ("doubtful", False)
    assert fit(data={"x": [1.0], "y": [2.0]}).verdict == "untrustworthy"


def _lost_peak() -> dict[str, Any]:
    """From all ones Levenberg-Marquardt creeps into a dip beside the peak (R² = 0.12)."""
    x = np.linspace(0, 10, 40)
    noise = 0.03 * np.random.default_rng(0).standard_normal(40)
    y = 3 * np.exp(-((x - 6.2) ** 2) / 0.32) + 0.5 + noise
    model = "y = a*exp(-(x - m)**2/(2*s**2)) + c"
    start = {"a": 1.0, "m": 1.0, "s": 1.0, "c": 1.0}
    return {"model": model, "params": start, "data": {"x": x, "y": y}}


def test_a_minimum_that_does_not_beat_chance_is_not_trusted_and_cured() -> None:
    before, after = cured(_lost_peak(), "better_minimum")
    assert before.stop_reason == "converged"
    assert before.statistics.r_squared is not None
    assert 0.05 < before.statistics.r_squared < 0.15
    assert codes(before)["unexplained"] == "error"
    assert before.verdict == "untrustworthy"
    assert after.trustworthy
    assert after.params["m"] == pytest.approx(6.2, abs=0.01)


def test_nor_is_a_group_of_the_same() -> None:
    request = _lost_peak()
    data = {name: np.tile(column, 2) for name, column in request["data"].items()}
    data["g"] = np.repeat([0.0, 1.0], 40)
    found = fit_groups(**{**request, "data": data, "group_by": "g"})
    assert found.groups.stop_reason == ["converged"] * 2
    assert found.groups.verdict == ["untrustworthy"] * 2
    assert all("unexplained" in said for said in found.groups.diagnostics)


def test_a_weak_curve_that_converged_is_no_error() -> None:
    x, rng = np.linspace(0, 10, 60), np.random.default_rng(3)
    y = np.exp(-0.5 * (x - 5) ** 2) + 1.2 * rng.standard_normal(60)
    start = {"a": 1.0, "m": 5.0, "s": 1.0}
    found = fit(model="y = a*exp(-(x - m)**2/(2*s**2))", params=start, data={"x": x, "y": y})
    assert found.converged
    assert codes(found).get("unexplained") != "error"


def test_a_line_through_a_peak_is_doubtful() -> None:
    x = np.linspace(-3, 3, 40)
    answer = fit(data={"x": x, "y": np.exp(-(x**2)) + 0.01 * np.cos(40 * x)})
    assert codes(answer)["unexplained"] == "warning"
    assert answer.verdict == "doubtful"


@pytest.mark.parametrize("start", [{}, {"a": 5, "b": 1, "c": 1}])
@pytest.mark.parametrize("level", [0.0, 2.0])
@pytest.mark.parametrize("more", [{}, {"sigma": 0.1, "sigma_absolute": True}])
def test_a_constant_target_determines_no_curve(start: Any, level: float, more: Any) -> None:
    """Its residuals are the rounding's, and so are the standard errors."""
    data = {"x": [i / 2 for i in range(12)], "y": [level] * 12}
    asked = {"model": "y = a*exp(-b*x) + c", "params": start, **more}
    found = fit(data=data, **asked)
    assert found.verdict != "trustworthy"
    if found.statistics.stderr is None:
        assert found.verdict == "untrustworthy"
    twice = {name: column * 2 for name, column in data.items()}
    groups = fit_groups(data={**twice, "g": [1] * 12 + [2] * 12}, group_by="g", **asked).groups
    assert "trustworthy" not in groups.verdict


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("sigma", [1e300, 1e-300])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_sigma_whose_squares_are_lost_is_told(sigma: float, absolute: bool) -> None:
    data: dict[str, Any] = {"x": [1, 2, 3, 4, 5, 6], "y": [2.1, 3.9, 6.2, 7.8, 10.1, 12]}
    asked = {"model": "y = a*x + b", "sigma": sigma, "sigma_absolute": absolute}
    found = fit(data=data, **asked)
    said = {each.code: each.message for each in found.diagnostics}
    assert found.verdict == "untrustworthy"
    assert "relative to sigma that the squares of its residuals" in said["poor_scale"]
    twice = {name: column * 2 for name, column in data.items()}
    groups = fit_groups(data={**twice, "g": [1] * 6 + [2] * 6}, group_by="g", **asked).groups
    assert all("poor_scale" in codes for codes in groups.diagnostics)


def test_a_constant_target_is_no_fault_of_a_line() -> None:
    found = fit(model="y = a*x + b", data={"x": [1, 2, 3, 4, 5, 6], "y": [2.0] * 6})
    assert found.verdict == "trustworthy"


def test_a_network_with_more_params_than_rows_is_doubtful() -> None:
    x = np.linspace(-1, 1, 12)
    network = {"name": "mlp", "hidden": [8]}
    answer = fit(model=network, data={"x": x, "y": x**2}, epochs=30)
    assert codes(answer)["few_degrees_of_freedom"] == "warning"
    assert "smaller network" in answer.diagnostics[0].message
