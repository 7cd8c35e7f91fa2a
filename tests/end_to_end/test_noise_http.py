"""Noise models, weights, robust losses and outliers over HTTP.

The figures of Puromycin were computed with SciPy, those of stackloss with statsmodels' RLM (H1).
"""

from __future__ import annotations

import csv
import math
from typing import Any

import httpx
import numpy as np
import pytest

from tests.end_to_end.test_derived_http import columns, fitted, refused

MICHAELIS = "rate = Vm*conc/(K + conc)"
PLANE = "stackloss = a + b*airflow + c*watertemp + d*acidconc"
SPOILT = {
    "x": [float(i) for i in range(12)],
    "y": [1.1, 2.9, 5.2, 6.8, 9.1, 11.0, 12.9, 25.0, 17.1, 18.8, 21.2, 22.9],
}
"""A line with an outlier in row 8."""


def treated() -> dict[str, list[float]]:
    found = columns("puromycin.csv")
    rows = [i for i, state in enumerate(found["state"]) if state == "treated"]
    return {name: [found[name][i] for i in rows] for name in ("conc", "rate")}


def printed(value: float, text: str) -> None:
    """The value to a unit of the last printed digit."""
    assert abs(value - float(text)) <= 10.0 ** -len(text.partition(".")[2]), (value, text)


# --- published figures ----------------------------------------------------------------------------


def test_puromycin_with_weights_of_its_own_prediction(service: httpx.Client) -> None:
    """Carroll and Ruppert's fit is the limit of the rounds, no minimum of Σ(y − f)²/f."""
    fit = fitted(service, {"model": MICHAELIS, "data": treated(), "sigma": {"expr": "sqrt(pred)"}})
    statistics = fit["statistics"]
    printed(fit["params"]["Vm"], "207.783545")
    printed(fit["params"]["K"], "0.0567295")
    printed(statistics["stderr"]["Vm"], "9.526614")
    printed(statistics["stderr"]["K"], "0.0084908")
    printed(statistics["residual_std"], "1.213420")
    assert fit["noise"]["expr"] == "sqrt(pred)"
    assert fit["noise"]["rounds"] > 3
    assert fit["trustworthy"]
    other = minimum_of_chi_squared()
    printed(other[0], "206.834776")
    printed(other[1], "0.0546112")


def minimum_of_chi_squared() -> list[float]:
    """Where Σ(y − f)²/f is least, by Newton's method on its gradient."""
    x, y = (np.array(treated()[name]) for name in ("conc", "rate"))

    def slope(theta: Any) -> Any:
        v, k = theta
        f = v * x / (k + x)
        outer = (f * f - y * y) / (f * f)
        return np.array([(outer * f / v).sum(), -(outer * f / (k + x)).sum()])

    theta = np.array([206.8, 0.0546])
    for _ in range(20):
        step = np.diag([1e-4, 1e-7])
        second = np.stack([(slope(theta + h) - slope(theta - h)) / (2 * h.sum()) for h in step])
        theta = theta - np.linalg.solve(second.T, slope(theta))
    return [float(value) for value in theta]


def test_stackloss_by_huber_with_its_own_scale(service: httpx.Client) -> None:
    loss = {"name": "huber", "delta": {"scale": "mad", "k": 1.345}}
    data = columns("stackloss.csv")
    fit = fitted(service, {"model": PLANE, "data": data, "loss": loss})
    for name, value, error in (
        ("a", "-41.026498", "9.791899"),
        ("b", "0.829384", "0.111005"),
        ("c", "0.926066", "0.302930"),
        ("d", "-0.127847", "0.128650"),
    ):
        printed(fit["params"][name], value)
        printed(fit["statistics"]["stderr"][name], error)
    printed(fit["noise"]["scale"], "2.440536")
    assert fit["statistics"]["covariance_kind"] == "robust"
    printed(fit["predict"]["residual_std"], "2.440536")
    default = fitted(
        service, {"model": PLANE, "data": data, "loss": {**loss, "delta": {"scale": "mad"}}}
    )
    assert default["params"] == fit["params"]


# --- weights --------------------------------------------------------------------------------------


def test_weights_are_sigmas(service: httpx.Client) -> None:
    data = treated()
    base = {"model": MICHAELIS, "data": data}
    known = fitted(service, base, sigma=data["conc"])
    for given in ("1/conc**2", [1 / x**2 for x in data["conc"]]):
        found = fitted(service, base, weights=given)
        assert found["params"]["Vm"] == pytest.approx(known["params"]["Vm"], rel=1e-9)
        assert found["statistics"]["aic"] == pytest.approx(known["statistics"]["aic"], rel=1e-9)
    named = fitted(
        service, {**base, "data": {**data, "w": [x**-2 for x in data["conc"]]}}, weights="w"
    )
    assert named["params"]["Vm"] == pytest.approx(known["params"]["Vm"], rel=1e-9)


def test_models_are_compared_with_weights(service: httpx.Client) -> None:
    data = treated()
    request = {"data": data, "models": [MICHAELIS, "rate = a*(1 - exp(-b*conc))"]}
    known = service.post("/compare", json={**request, "sigma": data["conc"]}).json()
    found = service.post("/compare", json={**request, "weights": "1/conc**2"}).json()
    for one, other in zip(found["models"], known["models"], strict=True):
        assert one["model"] == other["model"]
        assert one["aicc"] == pytest.approx(other["aicc"], rel=1e-9)


def test_a_weight_of_0_leaves_the_row_out(service: httpx.Client) -> None:
    weights = [1.0] * 12
    weights[7] = 0.0
    found = fitted(service, {"model": "y = a + b*x", "data": SPOILT}, weights=weights)
    assert found["dropped"] == {"count": 1, "rows": [8]}
    assert found["statistics"]["n"] == 11


def test_a_constant_sigma_is_none(service: httpx.Client) -> None:
    base = {"model": MICHAELIS, "data": treated()}
    plain = fitted(service, base)
    constant = fitted(service, base, sigma={"expr": "2"})
    assert constant["params"]["K"] == pytest.approx(plain["params"]["K"], rel=1e-9)
    for name, error in plain["statistics"]["stderr"].items():
        assert constant["statistics"]["stderr"][name] == pytest.approx(error, rel=1e-8)
    assert constant["statistics"]["aic"] == pytest.approx(plain["statistics"]["aic"], rel=1e-10)


@pytest.mark.parametrize(
    ("given", "pointer", "said"),
    [
        ({"weights": "1/x", "sigma": 1.0}, "/weights", "give one of the two"),
        ({"weights": [1.0] * 11 + [-1.0]}, "/weights/11", "at least 0"),
        ({"weights": "x - 3"}, "/weights", "row 1"),
        ({"weights": "1/x"}, "/weights", "row 1"),
        ({"weights": "1/z"}, "/weights", "z"),
        ({"weights": [1.0, 2.0]}, "/weights", "2 weights for 12 rows"),
        ({"sigma": {"expr": "0.1*q"}}, "/sigma/expr", "q"),
        ({"sigma": {"expr": "x"}}, "/sigma/expr", "row 1"),
        ({"sigma": {"expr": "s*pred", "estimate": ["s", "t"]}}, "/sigma/estimate", "'t'"),
        ({"sigma": {"expr": "x*pred", "estimate": ["x"]}}, "/sigma/estimate", "a column"),
        ({"sigma": {"expr": "0.1*pred"}, "optimizer": "adam"}, "/optimizer", "'auto'"),
        (
            {"sigma": {"expr": "s*pred", "estimate": ["s"]}, "loss": "huber"},
            "/loss",
            "with the loss 'mse'",
        ),
        ({"outliers": "rout", "loss": "huber"}, "/outliers", "'huber'"),
        ({"outliers": "rout", "sigma": {"expr": "0.1*pred"}}, "/outliers", "omit one"),
        ({"loss": "huber", "covariance": "sandwich"}, "/covariance", "robust"),
        (
            {"loss": "huber", "confidence_interval": {"method": "profile"}},
            "/confidence_interval/method",
            "'t'",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(
    service: httpx.Client, given: dict[str, Any], pointer: str, said: str
) -> None:
    at, detail = refused(service, "/fit", {"model": "y = a + b*x", "data": SPOILT, **given})
    assert at == pointer
    assert said in detail


def test_a_sigma_that_is_not_positive_at_the_fit_is_a_failure(service: httpx.Client) -> None:
    request = {"model": "y = a + b*x", "data": SPOILT, "sigma": {"expr": "pred - 5"}}
    answer = service.post("/fit", json=request)
    assert answer.status_code == 422
    assert "row 1, where the prediction is" in answer.json()["detail"]


# --- estimated noise ------------------------------------------------------------------------------


def assay(rows: int = 400, seed: int = 4) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    x = np.geomspace(0.1, 100, rows)
    mean = 2 + 98 * x / (8 + x)
    y = mean + 0.08 * mean**0.8 * rng.standard_normal(rows)
    return {"x": x.tolist(), "y": y.tolist()}


def test_the_params_of_the_noise_are_recovered(service: httpx.Client) -> None:
    asked = {"expr": "s*pred**k", "estimate": ["s", "k"]}
    fit = fitted(service, {"model": "y = c + (d - c)*x/(e + x)", "data": assay()}, sigma=asked)
    noise = fit["noise"]
    for name, true in (("s", 0.08), ("k", 0.8)):
        assert abs(noise["params"][name] - true) < 3 * noise["stderr"][name]
    assert noise["stderr"]["k"] < 0.05
    n, p = 400, 3
    assert fit["predict"]["sigma_scale"] == pytest.approx(math.sqrt(n / (n - p)), rel=1e-6)


def test_aic_counts_the_noise_and_has_its_logarithms(service: httpx.Client) -> None:
    data = assay()
    model = "y = c + (d - c)*x/(e + x)"
    asked = {"expr": "s*pred**k", "estimate": {"s": 0.1, "k": 1}}
    fit = fitted(service, {"model": model, "data": data, "sigma": asked})
    p, noise = fit["params"], fit["noise"]["params"]
    x, y = np.array(data["x"]), np.array(data["y"])
    mean = p["c"] + (p["d"] - p["c"]) * x / (p["e"] + x)
    sigma = noise["s"] * mean ** noise["k"]
    deviance = len(x) * math.log(2 * math.pi) + float(
        (2 * np.log(sigma) + ((y - mean) / sigma) ** 2).sum()
    )
    assert fit["statistics"]["aic"] == pytest.approx(deviance + 2 * (3 + 2), abs=1e-6)
    absolute = fitted(
        service, {"model": model, "data": data, "sigma": asked, "sigma_absolute": True}
    )
    assert absolute["statistics"]["aic"] == pytest.approx(deviance + 2 * (3 + 2), abs=1e-6)


def test_bands_and_unknowns_have_the_noise_there(service: httpx.Client) -> None:
    """Without state, by the `predict` of the fit, and by its job."""
    fit = fitted(
        service,
        {"model": "y = c + (d - c)*x/(e + x)", "data": assay()},
        sigma={"expr": "s*pred**k", "estimate": ["s", "k"]},
    )
    s, k = fit["noise"]["params"]["s"], fit["noise"]["params"]["k"]
    scale = fit["predict"]["sigma_scale"]
    for curve in ({**fit["predict"]}, {"job_id": fit["job_id"]}):
        asked = {**curve, "data": {"x": [0.5, 50.0]}}
        new = service.post("/predict", json={**asked, "interval": "prediction"}).json()
        mean = service.post("/predict", json={**asked, "interval": "confidence"}).json()
        for i, at in enumerate(new["predictions"]):
            noise = math.sqrt(new["stderr"][i] ** 2 - mean["stderr"][i] ** 2)
            assert noise == pytest.approx(scale * s * at**k, rel=1e-9)
        readings = {**curve, "data": {"y": [20.0, 22.0, 60.0], "sample": ["a", "a", "b"]}}
        wald = {"interval": {"kind": "wald"}}
        found = service.post("/invert", json={**readings, **wald}).json()
        whole = service.post(
            "/invert", json={**readings, "interval": {"kind": "wald", "of": "mean"}}
        ).json()
        p = fit["params"]
        for i, (level, count) in enumerate(((21.0, 2), (60.0, 1))):
            at = found["estimate"][i]
            slope = (p["d"] - p["c"]) * p["e"] / (p["e"] + at) ** 2
            own = math.sqrt(found["stderr"][i] ** 2 - whole["stderr"][i] ** 2) * slope
            assert own == pytest.approx(scale * s * level**k / math.sqrt(count), rel=1e-6)


def test_the_picture_of_a_fit_with_a_noise_model(service: httpx.Client) -> None:
    fit = fitted(
        service,
        {"model": MICHAELIS, "data": treated(), "sigma": {"expr": "0.05*pred"}},
    )
    for view in ("fit", "residuals", "loss"):
        assert service.get(f"/jobs/{fit['job_id']}/plot/{view}.txt").status_code == 200


# --- outliers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["flag", "drop"])
def test_an_outlier_is_named_and_both_fits_are_given(service: httpx.Client, action: str) -> None:
    base = {"model": "y = a + b*x", "data": SPOILT}
    kept = [x for x in range(12) if x != 7]
    without = fitted(
        service,
        {**base, "data": {name: [column[i] for i in kept] for name, column in SPOILT.items()}},
    )
    whole = fitted(service, base)
    found = fitted(service, base, outliers={"action": action})
    assert found["outliers"]["rows"] == [8]
    assert found["outliers"]["count"] == 1
    shown, other = (without, whole) if action == "drop" else (whole, without)
    assert found["params"]["b"] == pytest.approx(shown["params"]["b"], rel=1e-9)
    assert found["statistics"]["n"] == shown["statistics"]["n"]
    said = [each["code"] for each in found["diagnostics"]]
    assert ("flagged_outliers" in said) == (action == "flag")
    beside = found["outliers"]["other"]
    assert beside["of"] == ("all_rows" if action == "drop" else "without_outliers")
    assert beside["params"]["b"] == pytest.approx(other["params"]["b"], rel=1e-9)
    assert beside["stderr"]["b"] == pytest.approx(other["statistics"]["stderr"]["b"], rel=1e-8)


def test_outliers_are_named_by_the_rows_that_were_sent(service: httpx.Client) -> None:
    data = {
        "x": [100.0, *SPOILT["x"][:3], None, *SPOILT["x"][3:]],
        "y": [0.0, *SPOILT["y"][:3], 1.0, *SPOILT["y"][3:]],
    }
    found = fitted(
        service,
        {"model": "y = a + b*x", "data": data, "missing": "drop", "rows": "x < 50"},
        outliers="rout",
    )
    assert found["outliers"]["rows"] == [10]


def test_no_outlier_is_looked_for_unasked(service: httpx.Client) -> None:
    assert fitted(service, {"model": "y = a + b*x", "data": SPOILT})["outliers"] is None


# --- other forms ----------------------------------------------------------------------------------


def test_text_csv_and_one_line_have_them(service: httpx.Client) -> None:
    request = {"model": "y = a + b*x", "data": SPOILT, "outliers": {"action": "drop"}}

    def read(body: dict[str, Any], form: str) -> str:
        answer = service.post("/fit", params={"format": form}, json=body)
        assert answer.status_code == 200, answer.text
        return answer.text

    assert "1 outlier by ROUT" in read(request, "text")
    assert "outliers=8" in read(request, "oneline")
    noisy = {
        "model": MICHAELIS,
        "data": treated(),
        "sigma": {"expr": "s*pred**k", "estimate": ["s", "k"]},
    }
    assert "sigma = s*pred**k" in read(noisy, "text")
    assert "noise_k=" in read(noisy, "oneline")
    names = [row["name"] for row in csv.DictReader(read(noisy, "csv").splitlines())]
    assert names == ["Vm", "K", "noise_s", "noise_k"]
    by = {"g": ["a"] * 12 + ["b"] * 12}
    grouped = {
        **request,
        "data": {name: [*column, *column] for name, column in SPOILT.items()} | by,
        "group_by": "g",
    }
    rows = list(csv.DictReader(read(grouped, "csv").splitlines()))
    assert [row["outlier_rows"] for row in rows] == ["8", "20"]
    assert "outliers=20" in read(grouped, "oneline")
    assert "2 outliers in 2 groups" in read(grouped, "text")


def test_options_may_be_in_the_query(service: httpx.Client) -> None:
    text = "\n".join(["conc,rate", *(f"{x},{y}" for x, y in zip(*treated().values(), strict=True))])
    answer = service.post(
        f"/fit?model={MICHAELIS}&sigma.expr=sqrt(pred)",
        content=text,
        headers={"content-type": "text/csv"},
    )
    assert answer.status_code == 200, answer.text
    printed(answer.json()["params"]["Vm"], "207.783545")
