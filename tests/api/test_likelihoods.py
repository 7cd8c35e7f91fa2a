"""Counts over HTTP: published fits to their printed digits, groups, global fits, and refusals."""

from __future__ import annotations

import copy
import csv
import math
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.fits import fit

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = Path(__file__).parents[1] / "data" / "csv"


def columns(name: str) -> dict[str, list[float]]:
    """The columns of a file, all of numbers."""
    with (FILES / name).open() as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows] for key in rows[0]}


DOBSON = {
    "x": [-1, -1, 0, 0, 0, 0, 1, 1, 1],
    "y": [2, 3, 6, 7, 8, 9, 10, 12, 15],
}
"""Dobson and Barnett, An Introduction to Generalized Linear Models, Poisson with identity link."""
LINE = "y = a + b*x"
BEETLES = columns("beetle.csv")
"""Bliss 1935; the logit of Dobson and Barnett, ch. 7."""
LOGIT = "dead = 1/(1 + exp(-(a + b*log10_dose)))"
HISTOGRAM = columns("fitting_demo.csv")
"""ROOT's FittingDemo; its figures are those of Minuit's likelihood fit."""
PEAK = "count = (p0 + p1*x + p2*x**2 + peak*width/(2*pi)/((x - mid)**2 + width**2/4))/0.05"
"""The formula of FittingDemo, which is the mean of a bin of 0.05: here the density."""


async def refused(client: httpx.AsyncClient, **body: Any) -> tuple[str, str]:
    """The pointer and the message of a refusal."""
    answer = await client.post("/fit", json=body)
    assert answer.status_code == 422, answer.text
    (first, *_) = answer.json()["errors"]
    return first["pointer"], first["detail"]


def counted(found: dict[str, Any]) -> dict[str, Any]:
    """The figures of the likelihood."""
    likelihood: dict[str, Any] = found["statistics"]["likelihood"]
    return {n: v for n, v in likelihood.items() if n not in ("name", "overdispersion")}


async def test_dobson(client: httpx.AsyncClient) -> None:
    found = await fit(client, data=DOBSON, model=LINE, likelihood="poisson")
    assert found["verdict"] == "trustworthy"
    assert found["params"] == pytest.approx({"a": 7.451633, "b": 4.935300}, abs=5e-7)
    stderr = found["statistics"]["stderr"]
    assert stderr == pytest.approx({"a": 0.884124, "b": 1.089176}, abs=5e-7)
    figures = counted(found)
    assert figures["deviance"] == pytest.approx(1.894650, abs=5e-7)
    assert figures["dispersion"] == pytest.approx(figures["pearson"] / 7, rel=1e-12)
    assert found["loss"] == pytest.approx(figures["deviance"] / 9, rel=1e-12)
    mean = 7.451633289 + 4.935300394 * np.array(DOBSON["x"])
    y = np.array(DOBSON["y"])
    logs = float((y * np.log(mean) - mean - [math.lgamma(k + 1) for k in y]).sum())
    assert figures["log_likelihood"] == pytest.approx(logs, abs=1e-8)
    statistics = found["statistics"]
    assert statistics["aic"] == pytest.approx(4 - 2 * logs, abs=1e-8)
    assert statistics["bic"] == pytest.approx(2 * math.log(9) - 2 * logs, abs=1e-8)
    assert statistics["r_squared"] is statistics["residual_std"] is None
    interval = statistics["confidence_interval"]
    assert interval["upper"]["a"] == pytest.approx(7.451633 + 1.959964 * 0.884124, abs=2e-6)


async def test_beetles(client: httpx.AsyncClient) -> None:
    body = {"data": BEETLES, "model": LOGIT, "likelihood": {"name": "binomial", "n": "total"}}
    found = await fit(client, **body, report={"ld50": "-a/b"})
    assert found["params"] == pytest.approx({"a": -60.717455, "b": 34.270326}, abs=5e-7)
    stderr = {"a": 5.180711, "b": 2.912140}
    assert found["statistics"]["stderr"] == pytest.approx(stderr, abs=5e-7)
    assert counted(found)["deviance"] == pytest.approx(11.232231, abs=5e-7)
    assert found["statistics"]["aic"] == pytest.approx(41.430269, abs=5e-7)
    assert found["report"]["ld50"]["value"] == pytest.approx(60.717455 / 34.270326, abs=1e-6)
    # The logit is the natural link, of which the observed information is the expected one.
    observed = await fit(client, **body, covariance="observed")
    assert observed["statistics"]["stderr"] == pytest.approx(stderr, abs=5e-7)


async def test_fitting_demo(client: httpx.AsyncClient) -> None:
    """Over bins, with Minos' errors; Minuit's Hesse is by finite differences, and so 0.035459."""
    asked = {"level": 0.682689492137086, "method": "profile"}
    body = {"model": PEAK, "likelihood": "poisson", "covariance": "observed"}
    found = await fit(client, data=HISTOGRAM, **body, bins=["lo", "hi"], confidence_interval=asked)
    params = found["params"]
    assert params["peak"] == pytest.approx(12.829313, abs=5e-7)
    assert params["width"] == pytest.approx(0.1575166, abs=5e-8)
    assert params["mid"] == pytest.approx(0.9879197, abs=5e-8)
    assert counted(found)["deviance"] == pytest.approx(55.668382, abs=5e-7)
    assert found["statistics"]["stderr"]["width"] == pytest.approx(0.035459, rel=3e-4)
    interval = found["statistics"]["confidence_interval"]
    assert interval["lower"]["width"] - params["width"] == pytest.approx(-0.032005, abs=1e-6)
    assert interval["upper"]["width"] - params["width"] == pytest.approx(0.039696, abs=1e-6)
    assert found["model"]["inputs"] == ["x"]
    centres = {
        "x": [(lo + hi) / 2 for lo, hi in zip(HISTOGRAM["lo"], HISTOGRAM["hi"], strict=True)],
        "count": HISTOGRAM["count"],
    }
    found = await fit(client, data=centres, **{**body, "model": PEAK.removesuffix("/0.05")})
    expected = {"peak": 12.982631, "width": 0.1631564, "mid": 0.9879748}
    some = {name: found["params"][name] for name in expected}
    assert some == pytest.approx(expected, rel=1e-6)


async def test_means_add_up_to_counts(client: httpx.AsyncClient) -> None:
    """Where a param scales the mean, Σμ = Σy; Neyman's weights 1/y lose counts."""
    rng, x = np.random.default_rng(5), np.linspace(0, 4, 60)
    y = rng.poisson(9 * np.exp(-x))
    data = {"x": x.tolist(), "y": y.tolist()}
    assert (y == 0).sum() > 5
    for model in ("y = a*exp(-k*x)", "exponential_decay"):
        found = await fit(client, data=data, model=model, likelihood="poisson")
        rest = {"data": {"x": data["x"]}, **found["predict"]}
        answer = await client.post("/predict", json=rest)
        if model == "y = a*exp(-k*x)":
            assert sum(answer.json()["predictions"]) == pytest.approx(y.sum(), rel=1e-9)
        assert found["trustworthy"], found["diagnostics"]


async def test_exposure(client: httpx.AsyncClient) -> None:
    """Twice the time counts twice: the same as the rate times the time, written out."""
    t = [1, 2, 4, 8, 1, 2, 4, 8]
    data = {"x": [0, 1, 2, 3, 4, 5, 6, 7], "y": [9, 13, 25, 33, 2, 6, 4, 9], "t": t}
    rate = await fit(
        client, data=data, model="y = a*exp(-k*x)",
        likelihood={"name": "poisson", "exposure": "t"},
    )  # fmt: skip
    whole = await fit(client, data=data, model="y = t*a*exp(-k*x)", likelihood="poisson")
    assert rate["params"] == pytest.approx(whole["params"], rel=1e-8)
    assert counted(rate) == pytest.approx(counted(whole), rel=1e-8)
    for name in ("stderr", "aic"):
        assert rate["statistics"][name] == pytest.approx(whole["statistics"][name], rel=1e-8)


@pytest.mark.parametrize("optimizer", ["lbfgs", {"name": "adam", "learning_rate": 0.1}])
@pytest.mark.parametrize("method", ["analytic", "autograd", "numeric"])
async def test_other_optimizers(client: httpx.AsyncClient, optimizer: Any, method: str) -> None:
    chosen = {"name": optimizer} if isinstance(optimizer, str) else optimizer
    found = await fit(
        client, data=DOBSON, model=LINE, likelihood="poisson", epochs=3000,
        params={"a": 5, "b": 1}, optimizer={**chosen, "gradient": method},
    )  # fmt: skip
    assert found["params"] == pytest.approx({"a": 7.451633, "b": 4.935300}, abs=1e-4)


async def test_start_outside_the_domain(client: httpx.AsyncClient) -> None:
    """A start with negative means is replaced; a trial step to one is rejected."""
    found = await fit(
        client, data=DOBSON, model=LINE, likelihood="poisson", params={"a": -50, "b": 90}
    )
    assert found["params"] == pytest.approx({"a": 7.451633, "b": 4.935300}, abs=5e-7)
    data = {"x": [0, 1, 2, 3, 4, 5, 6, 7], "y": [0, 0, 0, 1, 0, 2, 5, 4]}
    found = await fit(client, data=data, model="y = a + b*x + c*x**2", likelihood="poisson")
    assert math.isfinite(found["loss"])


async def test_overdispersion_has_a_cure(client: httpx.AsyncClient) -> None:
    rng, x = np.random.default_rng(1), np.linspace(0, 3, 40)
    y = rng.negative_binomial(2, 2 / (2 + 40 * np.exp(-x)))
    body = {
        "data": {"x": x.tolist(), "y": y.tolist()},
        "model": "y = a*exp(-k*x)",
        "likelihood": "poisson",
    }
    plain = await fit(client, **body)
    (found,) = [each for each in plain["diagnostics"] if each["code"] == "overdispersed"]
    assert plain["verdict"] == "doubtful"
    cured = await fit(client, **merged(body, found["suggestion"]))
    assert "overdispersed" not in [each["code"] for each in cured["diagnostics"]]
    scale = math.sqrt(counted(plain)["dispersion"])
    for name, error in plain["statistics"]["stderr"].items():
        assert cured["statistics"]["stderr"][name] == pytest.approx(scale * error, rel=1e-6)
    assert counted(cured)["log_likelihood"] is cured["statistics"]["aic"] is None
    # Exposure stays in the object that the patch is merged into.
    asked = {"name": "poisson", "exposure": 2}
    kept = merged({"likelihood": asked}, found["suggestion"])["likelihood"]
    assert kept == {**asked, "overdispersion": "pearson"}


def merged(body: Any, patch: Any) -> Any:
    """JSON merge patch, RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    found = copy.deepcopy(body) if isinstance(body, dict) else {}
    for name, value in patch.items():
        found[name] = merged(found.get(name), value)
        if value is None:
            del found[name]
    return found


async def test_single_trials(client: httpx.AsyncClient) -> None:
    """0 and 1 without n, whose deviance is no goodness of fit; the same as rows of many trials."""
    rng = np.random.default_rng(2)
    dose = np.repeat(np.linspace(-2, 2, 9), 20)
    y = (rng.random(len(dose)) < 1 / (1 + np.exp(-1.5 * dose - 0.3))).astype(int)
    model = "y = 1/(1 + exp(-(a + b*dose)))"
    single = await fit(
        client, data={"dose": dose.tolist(), "y": y.tolist()}, model=model, likelihood="binomial"
    )
    assert single["trustworthy"], single["diagnostics"]
    sums = y.reshape(9, 20).sum(axis=1)
    many = await fit(
        client, data={"dose": dose[::20].tolist(), "y": sums.tolist()}, model=model,
        likelihood={"name": "binomial", "n": 20},
    )  # fmt: skip
    assert single["params"] == pytest.approx(many["params"], rel=1e-7)
    assert single["statistics"]["stderr"] == pytest.approx(many["statistics"]["stderr"], rel=1e-7)


def spectra() -> dict[str, list[Any]]:
    """Three decays with one rate, of few and of many counts."""
    rng, x = np.random.default_rng(7), np.linspace(0, 5, 25)
    data: dict[str, list[Any]] = {"x": [], "y": [], "g": []}
    for key, height in (("low", 6), ("mid", 40), ("high", 300)):
        data["x"] += x.tolist()
        data["y"] += rng.poisson(height * np.exp(-0.7 * x)).tolist()
        data["g"] += [key] * len(x)
    return data


@pytest.mark.parametrize("overdispersion", [None, "pearson"])
async def test_groups_equal_each_alone(
    client: httpx.AsyncClient, overdispersion: str | None
) -> None:
    data, model = spectra(), "y = a*exp(-k*x)"
    likelihood = {"name": "poisson", "overdispersion": overdispersion}
    found = await fit(client, data=data, model=model, likelihood=likelihood, group_by="g")
    groups = found["groups"]
    for i, key in enumerate(groups["key"]):
        own = [at for at, g in enumerate(data["g"]) if g == key]
        alone = await fit(
            client, data={name: [data[name][at] for at in own] for name in ("x", "y")},
            model=model, likelihood=likelihood,
        )  # fmt: skip
        for name in ("a", "k"):
            assert groups["params"][name][i] == pytest.approx(alone["params"][name], rel=1e-6)
            error = alone["statistics"]["stderr"][name]
            assert groups["stderr"][name][i] == pytest.approx(error, rel=1e-6)
        for name in ("deviance", "pearson", "dispersion", "log_likelihood"):
            expected = counted(alone)[name]
            got = groups["likelihood"][name][i]
            assert got == (expected if expected is None else pytest.approx(expected, rel=1e-6))
    assert groups["r_squared"] == groups["residual_std"] == [None] * 3


async def test_global_fit_equals_the_dense_one(client: httpx.AsyncClient) -> None:
    data = spectra()
    found = await fit(
        client, data=data, model="y = a*exp(-k*x)", likelihood="poisson",
        group_by={"column": "g", "shared": ["k"]},
    )  # fmt: skip
    keys = ["low", "mid", "high"]
    flags = {key: [float(g == key) for g in data["g"]] for key in keys}
    dense = await fit(
        client, data={"x": data["x"], "y": data["y"], **flags},
        model="y = (a1*low + a2*mid + a3*high)*exp(-k*x)", likelihood="poisson",
    )  # fmt: skip
    shared, statistics = found["shared"], dense["statistics"]
    assert shared["params"]["k"] == pytest.approx(dense["params"]["k"], rel=1e-7)
    assert shared["stderr"]["k"] == pytest.approx(statistics["stderr"]["k"], rel=1e-6)
    for i in range(3):
        name = f"a{i + 1}"
        assert found["groups"]["params"]["a"][i] == pytest.approx(dense["params"][name], rel=1e-6)
        error = statistics["stderr"][name]
        assert found["groups"]["stderr"]["a"][i] == pytest.approx(error, rel=1e-6)
    assert counted(found) == pytest.approx(counted(dense), rel=1e-8)
    for name in ("aic", "aicc", "bic", "degrees_of_freedom"):
        assert found["statistics"][name] == pytest.approx(statistics[name], rel=1e-8)


@pytest.mark.parametrize(
    ("change", "pointer", "said"),
    [
        ({"loss": "huber"}, "/loss", "in place of a loss"),
        ({"sigma": 2.0}, "/sigma", "follows from its mean"),
        ({"sigma_absolute": True}, "/sigma_absolute", "follows from its mean"),
        ({"model": "mlp"}, "/likelihood", "network"),
        ({"model": "log(y) = a + b*x"}, "/model", "column of counts"),
        ({"data": {"x": [0, 1, 2], "y": [3, -1, 2]}}, "/data/y/1", "not negative"),
        ({"data": {"x": [0, 1, 2], "y": [3, 1, 2.5]}}, "/data/y/2", "whole numbers"),
        ({"likelihood": {"name": "poisson", "exposure": "tt"}}, "/likelihood/exposure", "'t'"),
        ({"likelihood": {"name": "poisson", "exposure": "z"}}, "/data/z/0", "above 0"),
        ({"likelihood": {"name": "poisson", "n": 4}}, "/likelihood/n", ""),
        ({"likelihood": "gamma"}, "/likelihood", ""),
        ({"optimizer": "exact"}, "/optimizer", "poisson"),
        ({"likelihood": "binomial"}, "/data/y/0", "without `n`"),
        ({"likelihood": {"name": "binomial", "n": 7}}, "/data/y/4", "more than its 7"),
        ({"likelihood": {"name": "binomial", "n": 20.5}}, "/likelihood/n", "whole numbers"),
        ({"bins": ["x", "x"]}, "/bins/1", "differ"),
        ({"bins": ["x", "up"]}, "/bins/1", "up"),
        ({"bins": ["x", "z"]}, "/data/z/1", "above the lower"),
        ({"bins": ["x", "t"], "scaling": "standardize"}, "/scaling", "omit"),
    ],
)
async def test_refusals(
    client: httpx.AsyncClient, change: dict[str, Any], pointer: str, said: str
) -> None:
    data = {**DOBSON, "t": [9.0] * 9, "z": [0.0] + [-1.0] * 8}
    at, detail = await refused(
        client, **{"data": data, "model": LINE, "likelihood": "poisson", **change}
    )
    assert (at, said in detail) == (pointer, True), detail


async def test_fractions_and_single_trials_are_refused_with_a_cure(
    client: httpx.AsyncClient,
) -> None:
    data = {"x": [0, 1, 2, 3], "y": [0.1, 0.5, 0.75, 1]}
    pointer, said = await refused(client, data=data, model=LINE, likelihood="binomial")
    assert pointer == "/data/y/0"
    assert "with `n` for the trials" in said
    data = {"x": [0, 1, 2, 3], "y": [0, 1, 0, 1]}
    likelihood = {"name": "binomial", "overdispersion": "pearson"}
    pointer, said = await refused(client, data=data, model=LINE, likelihood=likelihood)
    assert pointer == "/likelihood/overdispersion"


async def test_other_forms(client: httpx.AsyncClient) -> None:
    """Text, CSV, one line and pictures, of one fit and of groups."""
    body = {"data": HISTOGRAM, "model": PEAK, "likelihood": "poisson", "bins": ["lo", "hi"]}
    report = (await client.post("/fit", json=body, headers={"Accept": "text/plain"})).text
    assert "deviance" in report
    assert "55.6684" in report
    line = (await client.post("/fit?format=oneline", json=body)).text
    assert "deviance=55.6684" in line
    found = await fit(client, **body)
    for view in ("fit", "residuals", "loss"):
        answer = await client.get(f"/jobs/{found['job_id']}/plot/{view}.txt")
        assert answer.status_code == 200, answer.text
    answer = await client.get(f"/jobs/{found['job_id']}/plot/path.txt")
    assert answer.status_code == 422
    asked = {"job_id": found["job_id"], "data": {"x": [1.0]}, "interval": "confidence"}
    band = (await client.post("/predict", json=asked)).json()
    density = 12.829313 / (math.pi / 2 * 0.1575166) / 0.05
    assert band["predictions"][0] > density
    assert band["lower"][0] < band["predictions"][0] < band["upper"][0]
    body = {"data": spectra(), "model": "y = a*exp(-k*x)", "likelihood": "poisson"}
    table = (await client.post("/fit?format=csv", json={**body, "group_by": "g"})).text
    head, *rows = table.splitlines()
    assert "deviance,pearson,dispersion,log_likelihood" in head
    assert len(rows) == 3
    line = (await client.post("/fit?format=oneline", json={**body, "group_by": "g"})).text
    assert line.count("deviance=") == 3


async def test_readings_and_new_counts_have_no_one_noise(client: httpx.AsyncClient) -> None:
    """Bands and unknowns of the curve itself are answered; those of a new count are refused."""
    data = {"x": [0, 1, 2, 3, 4, 5], "y": [60, 41, 22, 15, 9, 6]}
    found = await fit(client, data=data, model="y = a*exp(-k*x)", likelihood="poisson")
    curve = {name: v for name, v in found["predict"].items() if v is not None}
    of_mean = {"kind": "inversion", "of": "mean"}
    body = {**curve, "data": {"y": [30]}, "interval": of_mean}
    answer = await client.post("/invert", json=body)
    assert answer.status_code == 200, answer.text
    lower, estimate, upper = (answer.json()[n][0] for n in ("lower", "estimate", "upper"))
    assert lower < estimate < upper
    answer = await client.post("/invert", json={**body, "interval": "inversion"})
    assert (answer.status_code, "likelihood" in answer.text) == (422, True)
    band = {**curve, "data": {"x": [1.5]}, "interval": "prediction"}
    answer = await client.post("/predict", json=band)
    assert (answer.status_code, "likelihood" in answer.text) == (422, True)


async def test_the_loss_is_the_mean_deviance(client: httpx.AsyncClient) -> None:
    body = {"data": DOBSON, "model": LINE, "likelihood": "poisson"}
    at = {"params": {"a": 7.451633, "b": 4.935300}}
    answer = (await client.post("/loss", json={**body, **at, "residuals": True})).json()
    assert answer["loss"] == pytest.approx(1.894650 / 9, abs=1e-7)
    assert answer["residuals"][0] == pytest.approx(7.451633 - 4.9353 - 2, abs=1e-9)
    slope = (await client.post("/gradient", json={**body, **at, "check": True})).json()
    assert slope["check"]["agree"]
    assert slope["gradient"]["a"] == pytest.approx(0, abs=1e-6)
    answer = await client.post("/gradient", json={**body, **at, "explain": True})
    assert answer.json()["errors"][0]["pointer"] == "/explain"
