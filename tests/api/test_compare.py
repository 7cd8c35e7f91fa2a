"""POST /compare: published comparisons to their printed digits, and what is refused."""

from __future__ import annotations

import asyncio
import csv
import math
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.certification.case import LABORATORY
from service.settings import Settings
from tests.api.in_process import real

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = Path(__file__).parents[1] / "data" / "csv"
DNASE = [
    {"label": "three", "model": "density = Asym/(1 + exp((xmid - log(conc))/scal))"},
    {"label": "four", "model": "density = A + (B - A)/(1 + exp((xmid - log(conc))/scal))"},
]
"""R's SSlogis and SSfpl."""
RISING, FALLING = {"b": {"min": 0}}, {"b": {"max": 0}}
RYEGRASS = [
    {"label": "LL.3", "model": "rootl = d/(1 + (conc/e)**b)"},
    {"label": "LL.4", "model": "logistic4"},
    {"label": "LL.5", "model": "logistic5"},
    {"label": "W1.3", "model": "rootl = d*exp(-(conc/e)**b)", "params": RISING},
    {"label": "W1.4", "model": "rootl = c + (d - c)*exp(-(conc/e)**b)", "params": RISING},
    {"label": "W2.4", "model": "rootl = c + (d - c)*(1 - exp(-(conc/e)**b))", "params": FALLING},
]
"""The models of drc; without their bounds W1.4 and W2.4 are one family."""
EIGHT = {"x": [0.5, 1, 1.5, 2, 3, 4, 6, 8], "y": [1.1, 1.8, 2.7, 3.1, 4.2, 4.9, 5.6, 5.8]}


def columns(name: str, folder: Path = LABORATORY) -> dict[str, list[Any]]:
    with (folder / name).open() as file:
        rows = list(csv.DictReader(file))
    return {k: [row[k] if k == "state" else float(row[k]) for row in rows] for k in rows[0]}


async def compare(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/compare", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def the(tests: list[dict[str, Any]], name: str, null: str, other: str | None) -> dict[str, Any]:
    (found,) = [
        test
        for test in tests
        if (test["test"], test["null"], test["alternative"]) == (name, null, other)
    ]
    return found


async def test_dnase_three_params_against_four(client: httpx.AsyncClient) -> None:
    found = await compare(client, data=columns("dnase1.csv"), models=DNASE, tests=["f", "lrt"])
    test = the(found["tests"], "f", "three", "four")
    assert test["statistic"] == pytest.approx(0.20984, abs=5e-6)
    assert test["p"] == pytest.approx(0.65508, abs=5e-6)
    assert (test["df1"], test["df2"], test["nested"]) == (1, 12, "proved")
    ratio = the(found["tests"], "lrt", "three", "four")
    first, second = (
        next(m for m in found["models"] if m["label"] == label) for label in ("three", "four")
    )
    expected = 2 * (second["log_likelihood"] - first["log_likelihood"])
    assert ratio["statistic"] == pytest.approx(expected)
    assert ratio["df2"] is None
    assert found["best"] == "three"


async def test_ryegrass_by_aic(client: httpx.AsyncClient) -> None:
    found = await compare(
        client,
        data=columns("ryegrass.csv"),
        models=RYEGRASS,
        criterion="aic",
        tests=["f", "lack_of_fit"],
    )
    printed = {
        "W2.4": 41.82703,
        "LL.4": 42.31029,
        "LL.5": 43.75656,
        "W1.4": 44.93439,
        "LL.3": 45.20827,
        "W1.3": 52.44094,
    }
    assert {m["label"]: m["aic"] for m in found["models"]} == pytest.approx(printed, abs=5e-6)
    assert [model["label"] for model in found["models"]] == list(printed)
    assert [model["rank"] for model in found["models"]] == [1, 2, 3, 4, 5, 6]
    assert sum(model["weight"] for model in found["models"]) == pytest.approx(1.0)
    tests = found["tests"]
    assert the(tests, "f", "LL.4", "LL.5")["p"] == pytest.approx(0.51346, abs=5e-6)
    weibull = the(tests, "f", "W1.3", "W1.4")
    assert weibull["statistic"] == pytest.approx(9.72054, abs=5e-6)
    assert weibull["p"] == pytest.approx(0.005422, abs=5e-7)
    lack = the(tests, "lack_of_fit", "W1.4", None)
    assert lack["statistic"] == pytest.approx(0.92364, abs=5e-6)
    assert lack["p"] == pytest.approx(0.45057, abs=5e-6)
    lack = the(tests, "lack_of_fit", "LL.4", None)
    assert lack["statistic"] == pytest.approx(0.24106, abs=5e-6)
    assert lack["p"] == pytest.approx(0.86648, abs=5e-6)
    unproved = the(tests, "f", "LL.3", "W1.4")
    assert (unproved["nested"], unproved["p"]) == ("no", None)
    assert "declare" in unproved["reason"]


async def test_the_order_of_the_models_does_not_matter(client: httpx.AsyncClient) -> None:
    data = columns("ryegrass.csv")
    one = await compare(client, data=data, models=RYEGRASS)
    other = await compare(client, data=data, models=RYEGRASS[::-1])
    for name in ("label", "rank", "aicc", "delta", "weight", "rss"):
        assert [m[name] for m in one["models"]] == [m[name] for m in other["models"]]


async def test_a_declared_pair_is_tested(client: httpx.AsyncClient) -> None:
    pair = ["LL.3", "W2.4"]
    data = columns("ryegrass.csv")
    found = await compare(client, data=data, models=RYEGRASS, nested=[pair])
    test = the(found["tests"], "f", *pair)
    assert test["nested"] == "declared"
    assert test["p"] is not None


async def test_figures_are_those_of_the_fits(client: httpx.AsyncClient) -> None:
    data = columns("ryegrass.csv")
    for options in ({}, {"sigma": 0.5, "sigma_absolute": True}, {"sigma": [0.3, 0.6] * 12}):
        found = await compare(client, data=data, models=["logistic4", "linear"], **options)
        for model in found["models"]:
            body = {"data": data, "model": model["label"], **options}
            fit = (await client.post("/fit", json=body)).json()
            statistics = fit["statistics"]
            for name in ("aic", "aicc", "bic", "residual_std", "degrees_of_freedom", "n"):
                assert model[name] == pytest.approx(statistics[name], rel=1e-10), name
            assert model["params"] == fit["params"]
            assert model["stderr"] == pytest.approx(statistics["stderr"])
            known = options.get("sigma_absolute", False)
            free = len(model["params"])
            assert model["k"] == free + (not known)


async def test_with_a_known_sigma_the_ratio_is_tested_and_f_is_not(
    client: httpx.AsyncClient,
) -> None:
    found = await compare(
        client, data=columns("dnase1.csv"), models=DNASE, tests=["f", "lrt"],
        sigma=0.02, sigma_absolute=True,
    )  # fmt: skip
    f, ratio = found["tests"]
    assert f["p"] is None
    assert "lrt" in f["reason"]
    gained = abs(found["models"][0]["rss"] - found["models"][1]["rss"])
    assert ratio["statistic"] == pytest.approx(gained)


async def test_eight_rows_are_dredged_with_the_catalogue(client: httpx.AsyncClient) -> None:
    found = await compare(client, data=EIGHT)
    note = next(each for each in found["diagnostics"] if each["code"] == "data_dredging")
    assert note["severity"] == "warning"
    assert "8 rows" in note["message"]
    assert found["verdict"] != "trustworthy"
    assert [each["label"] for each in found["skipped"]] == ["antoine"]
    first = found["models"][0]
    assert first["rank"] == 1
    assert first["verdict"] != "untrustworthy"
    without = [m for m in found["models"] if m["aicc"] is None]
    assert all(m["rank"] is None and m["weight"] is None for m in without)
    assert math.fsum(m["weight"] or 0 for m in found["models"]) == pytest.approx(1.0)


async def test_an_untrustworthy_fit_does_not_lead(client: httpx.AsyncClient) -> None:
    # Two decays where the data have one: the second is not determined.
    x = np.linspace(0, 4, 12)
    noise = np.random.default_rng(4).normal(0, 0.05, 12)
    data = {"x": x.tolist(), "y": (3 * np.exp(-x) + noise).tolist()}
    far = {"k": {"value": 1e3, "fixed": True}, "a": {"value": 3, "fixed": True}}
    found = await compare(
        client, data=data,
        models=[
            {"model": "y = a*exp(-k*x) + b*0*x", "label": "lost"},
            {"model": "y = a*exp(-k*x) + c", "params": far, "label": "poor"},
        ],
    )  # fmt: skip
    assert found["best"] == "poor"
    lost = next(m for m in found["models"] if m["label"] == "lost")
    assert (lost["rank"], lost["weight"], lost["verdict"]) == (None, None, "untrustworthy")
    assert lost["delta"] < 0
    assert "better_but_untrustworthy" in [each["code"] for each in found["diagnostics"]]


async def test_a_larger_model_that_ends_worse_has_a_failed_fit(client: httpx.AsyncClient) -> None:
    x = np.linspace(0.1, 8, 30)
    y = 2 * np.sin(1.5 * x) + np.random.default_rng(1).normal(0, 0.1, 30)
    stuck = {
        "label": "stuck", "model": "y = A*sin(w*x + p) + c", "challenge": False, "epochs": 1,
        "params": {"A": 0.01, "w": 20.0, "p": 0.0, "c": 0.0},
    }  # fmt: skip
    found = await compare(
        client, data={"x": x.tolist(), "y": y.tolist()},
        models=[{"label": "small", "model": "y = A*sin(w*x + p)", "params": {"w": 1.5}}, stuck],
    )  # fmt: skip
    row = next(m for m in found["models"] if m["label"] == "stuck")
    assert (row["rank"], row["verdict"]) == (None, "untrustworthy")
    assert "failed_larger_model" in [each["code"] for each in row["diagnostics"]]
    test = the(found["tests"], "f", "small", "stuck")
    assert test["p"] is None
    assert "failed" in test["reason"]
    assert "failed_larger_model" in [each["code"] for each in found["diagnostics"]]


async def test_groups_are_compared_each(client: httpx.AsyncClient) -> None:
    data = columns("kinetics.csv", FILES)
    models = ["rate = Vm*conc/(K + conc)", "rate = a + b*conc", "rate = a + b*conc + c*conc**2"]
    found = await compare(
        client, data=data, models=models, group_by="state", tests=["f", "lack_of_fit"]
    )
    assert found["key"] == ["treated", "untreated"]
    for i, key in enumerate(found["key"]):
        rows = [row for row, state in enumerate(data["state"]) if state == key]
        own = {name: [column[row] for row in rows] for name, column in data.items()}
        one = await compare(client, data=own, models=models, tests=["f", "lack_of_fit"])
        assert found["best"][i] == one["best"]
        for model in one["models"]:
            grouped = next(m for m in found["models"] if m["label"] == model["label"])
            for name in ("rss", "aic", "aicc", "bic", "delta", "weight", "log_likelihood"):
                assert grouped[name][i] == pytest.approx(model[name], rel=1e-8), name
            assert grouped["rank"][i] == model["rank"]
        for test in one["tests"]:
            same = the(found["tests"], test["test"], test["null"], test["alternative"])
            assert same["df1"][i] == test["df1"]
            if test["p"] is not None:
                assert same["p"][i] == pytest.approx(test["p"], rel=1e-6)


async def test_missing_rows_are_dropped_for_every_model(client: httpx.AsyncClient) -> None:
    data = {"y": [1, 2, 2.9, 4.2, 5, 6.1], "x": [1, 2, 3, 4, 5, None], "z": [1, None, 2, 5, 3, 4]}
    models = ["y = a*x", "y = a*x + b*z"]
    found = await compare(client, data=data, models=models, missing="drop")
    assert found["n"] == 4
    assert found["dropped"] == {"count": 2, "rows": [2, 6]}
    assert {model["n"] for model in found["models"]} == {4}


async def test_the_best_model_predicts(client: httpx.AsyncClient) -> None:
    found = await compare(client, data=columns("dnase1.csv"), models=DNASE)
    asked = {"job_id": found["job_id"], "data": {"conc": [1.0, 5.0]}}
    by_job = (await client.post("/predict", json=asked)).json()
    body = {**found["models"][0]["predict"], "data": {"conc": [1.0, 5.0]}}
    assert (await client.post("/predict", json=body)).json() == by_job


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"models": ["y = a*x", "log(y) = a*x"]}, "/models/1", "left side"),
    ({"models": ["y = a*x", {"model": "y = a*x + b", "data": {}}]}, "/models/1/data", "same rows"),
    ({"models": [{"model": "y = a*x", "sigma": 2}]}, "/models/0/sigma", "same rows"),
    ({"models": [{"model": "y = a*x", "loss": "huber"}]}, "/models/0/loss", "'mse'"),
    ({"models": ["y = a*x", "y = a*x"]}, "/models/1", "label"),
    ({"models": ["y = a*x", "lineer"]}, "/models/1", "linear"),
    ({"models": ["y = a*x", "mlp"]}, "/models/1", "network"),
    ({"models": []}, "/models", "at least 1"),
    ({"models": ["y = a*x", {"model": "y = a*q*x", "params": {"z": 1}}]}, "/models/1/params/z", ""),
    ({"models": ["y = a*x"], "criterion": "dic"}, "/criterion", ""),
    ({"models": ["y = a*x"], "tests": ["t"]}, "/tests/0", ""),
    ({"models": ["y = a*x"], "nested": [["y = a*x", "no"]]}, "/nested/0/1", "no"),
    ({"models": ["y = a*x", "y = b*x"], "nested": [["y = a*x", "y = b*x"]]}, "/nested/0", "more"),
    ({"models": ["y = a*x"], "group_by": {"column": "x", "history": True}},
     "/group_by/history", "history"),
    ({"models": [{"model": "y = a*x", "epochs": 10**8, "optimizer":
      {"name": "sgd", "learning_rate": 1e-9}}], "time_limit_s": 1e5}, "/time_limit_s", ""),
]  # fmt: skip


@pytest.mark.parametrize(("body", "pointer", "said"), REFUSED)
async def test_what_cannot_be_compared_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], pointer: str, said: str
) -> None:
    answer = await client.post("/compare", json={"data": EIGHT, **body})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["errors"][0]["pointer"] == pointer, problem
    assert said in problem["errors"][0]["detail"]


async def test_the_cost_of_all_fits_together_is_bounded() -> None:
    async with real(Settings(workers=1, max_operations=1e6)) as client:
        one = {"model": "y = a*exp(-b*x) + c", "epochs": 10_000, "optimizer": "lbfgs"}
        many = [{**one, "label": f"model {i}"} for i in range(3)]
        alone = await client.post("/compare", json={"data": EIGHT, "models": many[:1]})
        assert alone.status_code == 200
        refused = await client.post("/compare", json={"data": EIGHT, "models": many})
        assert refused.status_code == 422
        assert refused.json()["type"] == "budget-exceeded"
        assert refused.json()["errors"][0]["pointer"] == "/models"


async def test_it_is_a_job_like_any_other(client: httpx.AsyncClient) -> None:
    body = {"data": EIGHT, "models": ["linear", "polynomial"], "background": True}
    key = {"Idempotency-Key": "compare-1"}
    first = await client.post("/compare", json=body, headers=key)
    assert first.status_code == 202
    job_id = first.json()["job_id"]
    again = await client.post("/compare", json=body, headers=key)
    assert again.json()["job_id"] == job_id
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await client.post("/compare", json={**body, "criterion": "bic"}, headers=key)
    assert other.status_code == 422
    done = (await client.get(f"/jobs/{job_id}?wait=60")).json()
    assert done["status"] == "succeeded"
    assert done["progress"]["unit"] == "model"
    assert done["progress"]["epoch"] == 2
    assert done["result"]["best"] in ("linear", "polynomial")
    assert done["model"] == "linear | polynomial"
    lines = (await client.get(f"/jobs/{job_id}?format=oneline")).text
    assert "best=" in lines
    history = (await client.get(f"/jobs/{job_id}/history")).json()
    assert history["epoch"] == []
    picture = await client.get(f"/jobs/{job_id}/plot/fit.svg")
    assert picture.status_code == 422


async def test_what_was_fitted_before_a_cancel_is_compared(client: httpx.AsyncClient) -> None:
    endless = {
        "label": "endless", "model": "y = a*exp(-b*x) + c", "epochs": 10**8, "challenge": False,
        "optimizer": {"name": "sgd", "learning_rate": 1e-12}, "params": {"a": 1, "b": 1, "c": 1},
    }  # fmt: skip
    models = ["linear", endless, "polynomial"]
    body = {"data": EIGHT, "models": models, "background": True}
    job_id = (await client.post("/compare", json=body)).json()["job_id"]
    while (await client.get(f"/jobs/{job_id}")).json()["progress"]["epoch"] < 1:
        await asyncio.sleep(0.01)
    done = (await client.post(f"/jobs/{job_id}/cancel")).json()
    assert done["status"] == "cancelled"
    found = done["result"]
    assert found["stop_reason"] == "cancelled"
    assert found["best"] == "linear"
    rows = {model["label"]: model for model in found["models"]}
    assert rows["polynomial"]["rank"] is None
    assert rows["polynomial"]["rss"] is None
    assert rows["endless"]["stop_reason"] == "cancelled"


async def test_a_time_limit_compares_what_was_fitted(client: httpx.AsyncClient) -> None:
    endless = {
        "label": "endless", "model": "y = a*exp(-b*x) + c", "epochs": 10**8, "challenge": False,
        "optimizer": {"name": "sgd", "learning_rate": 1e-12}, "params": {"a": 1, "b": 1, "c": 1},
    }  # fmt: skip
    found = await compare(client, data=EIGHT, models=["linear", endless], time_limit_s=0.2)
    assert found["stop_reason"] == "time_limit"
    assert found["best"] == "linear"


async def test_other_forms_of_answer(client: httpx.AsyncClient) -> None:
    content = (LABORATORY / "ryegrass.csv").read_bytes()
    kind = {"content-type": "text/csv"}
    query = "models=linear,logistic4&tests=f,lack_of_fit"
    text = (await client.post(f"/compare?{query}&format=text", content=content, headers=kind)).text
    assert "By AICc the first is logistic4." in text
    assert "lack of fit of logistic4: F(3, 17) = 0.241063, p = 0.86648" in text
    assert max(map(len, text.splitlines())) <= 80
    table = (await client.post(f"/compare?{query}&format=csv", content=content, headers=kind)).text
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["label"] for row in rows] == ["logistic4", "linear"]
    assert float(rows[0]["aicc"]) == pytest.approx(45.64362, abs=5e-6)
    line = (
        await client.post(f"/compare?{query}&format=oneline", content=content, headers=kind)
    ).text
    assert line.startswith("best=logistic4 aicc=45.6436 weight=1 ")
    grouped = {
        "data": columns("kinetics.csv", FILES), "group_by": "state", "tests": ["lack_of_fit"],
        "models": ["rate = a + b*conc", "rate = Vm*conc/(K + conc)"],
    }  # fmt: skip
    for form in ("text", "csv", "oneline", "arrow"):
        answer = await client.post(f"/compare?format={form}", json=grouped)
        assert answer.status_code == 200
        if form != "arrow":
            assert "untreated" in answer.text


async def test_models_without_residuals_lead_and_have_no_weights(client: httpx.AsyncClient) -> None:
    x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    models = ["y = b*x", "y = a + b*x + c*x**2", "y = a + b*x"]
    data = {"x": x, "y": [2 * each + 1 for each in x]}
    found = await compare(client, data=data, models=models, criterion="bic")
    assert found["models"][0]["label"] == "y = a + b*x"
    assert found["best"] == "y = a + b*x"
    assert [each["weight"] for each in found["models"]] == [None, None, None]
    assert found["models"][0]["rss"] == 0.0
    assert found["models"][0]["bic"] is None
    assert [each["code"] for each in found["diagnostics"]] == ["exact_models"]
    assert all(each["p"] is None for each in found["tests"])
    both = {name: values * 2 for name, values in data.items()}
    both["y"][7:] = [2.1, 3.9, 6.2, 7.8, 10.1, 11.9, 14.05]
    found = await compare(client, data={**both, "g": ["a"] * 7 + ["b"] * 7}, models=models,
                          group_by="g")  # fmt: skip
    assert found["best"] == ["y = a + b*x", "y = b*x"]
    answer = await client.post(
        "/compare?format=text", json={"data": data, "models": models, "group_by": None}
    )
    assert "nan" not in answer.text


async def test_quantities_of_each_model_are_reported(client: httpx.AsyncClient) -> None:
    data = columns("ryegrass.csv")
    data = {"x": data["conc"], "y": data["rootl"]}
    models: list[Any] = ["logistic4", {"model": "y = d/(1 + (x/e)**b)", "report": {"half": "e"}}]
    body = {"data": data, "models": models, "report": "default", "tests": ["lack_of_fit"]}
    found = await compare(client, **body)
    by = {each["label"]: each["report"] for each in found["models"]}
    assert by["logistic4"]["ec90"]["value"] == pytest.approx(6.388625, abs=5e-7)
    assert by["logistic4"]["ec90"]["stderr"] == pytest.approx(0.817701, abs=5e-7)
    assert list(by["y = d/(1 + (x/e)**b)"]) == ["half"]
    body["models"] = [*models, "y = a + b*x"]
    again = await compare(client, **body)
    assert [each["report"] for each in again["models"] if each["label"] == "y = a + b*x"] == [None]
    body["models"] = models
    table = (await client.post("/compare?format=csv", json=body)).text
    first = next(csv.DictReader(table.splitlines()))
    assert float(first["ec90_stderr"]) == by["logistic4"]["ec90"]["stderr"]
    assert float(first["lack_of_fit_p"]) == pytest.approx(0.86648, abs=5e-6)
    text = (await client.post("/compare?format=text", json=body)).text
    assert "Report of logistic4" in text


async def test_a_bad_report_has_its_place(client: httpx.AsyncClient) -> None:
    bad: dict[str, Any] = {"data": EIGHT, "models": ["y = a*x"], "report": {"q": "zz"}}
    answer = await client.post("/compare", json=bad)
    assert answer.json()["errors"][0]["pointer"] == "/report/q/expr"
    bad = {"data": EIGHT, "models": [{"model": "y = a*x", "report": {"q": "zz"}}]}
    answer = await client.post("/compare", json=bad)
    assert answer.json()["errors"][0]["pointer"] == "/models/0/report/q/expr"


async def test_groups_report_quantities(client: httpx.AsyncClient) -> None:
    data = {"x": EIGHT["x"] * 2, "y": EIGHT["y"] * 2, "g": ["a"] * 8 + ["b"] * 8}
    found = await compare(
        client, data=data, models=["y = a*x/(b + x)"], group_by="g", report={"slope": "a/b"}
    )
    report = found["models"][0]["report"]["slope"]
    assert report["value"][0] == report["value"][1] > 0
    found = await compare(
        client, data=data, models=["y = a*x/(b + x)"], group_by="g", null="b",
        report={"slope": {"expr": "a/b", "method": "fieller"}},
    )  # fmt: skip
    assert found["models"][0]["groups"]["report"]["slope"]["stderr"][0] > 0
