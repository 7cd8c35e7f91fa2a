"""Every printed number of the worked example, over HTTP on a real socket, in float32."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import pytest

from service.certification.case import DATA

TUTORIAL = json.loads((DATA / "thermometer.json").read_text())
MODEL = "t_c = w * t_u + b"


def ask(service: httpx.Client, route: str, **body: Any) -> dict[str, Any]:
    answer = service.post(route, json={"model": MODEL, "data": TUTORIAL["data"], **body})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def raw_start(scale: float) -> dict[str, float]:
    """The start of the tables, which is for scaled inputs, as a request has it."""
    return {"w": TUTORIAL["start"]["w"] * scale, "b": TUTORIAL["start"]["b"]}


def agrees(got: float, printed: float, *, loss: bool = False) -> bool:
    """Issue 2's tolerances: any sensible order of float32 operations passes."""
    if math.isnan(printed):
        return math.isnan(got)
    if math.isinf(printed):
        return got == printed
    if loss:
        return abs(got - printed) <= 2e-6 * abs(printed)
    if abs(printed) > 1e5:
        return abs(got - printed) <= 2e-4 * abs(printed)
    return abs(got - printed) <= 1.5e-4 + 2e-6 * abs(printed)


@pytest.mark.parametrize("run", TUTORIAL["runs"], ids=lambda run: run["name"])
def test_every_printed_row(service: httpx.Client, run: dict[str, Any]) -> None:
    fit = ask(
        service,
        "/fit",
        params=raw_start(run["scale"]),
        optimizer={"name": "sgd", "learning_rate": run["learning_rate"]},
        scaling={"t_u": {"scale": run["scale"]}},
        epochs=run["epochs"],
        record_every=1,
        on_divergence="continue",
        dtype="float32",
    )
    history = fit["history"]
    assert history["total"] == run["epochs"]
    assert not history["thinned"]
    for row in run["rows"]:
        i = history["epoch"].index(row["epoch"])
        assert agrees(float(history["loss"][i]), float(row["loss"]), loss=True), row
        for name in ("w", "b"):
            assert agrees(float(history["params"][name][i]), float(row[name])), (name, row)
            slope = float(history["gradient"][name][i])
            assert agrees(slope, float(row[f"grad_{name}"])), (name, row)


def test_the_start(service: httpx.Client) -> None:
    start, printed = TUTORIAL["start"], TUTORIAL["at_start"]
    predicted = ask(service, "/predict", params=start, dtype="float32")
    assert predicted["predictions"] == pytest.approx(printed["predictions"], rel=1e-6)
    loss = ask(service, "/loss", params=start, dtype="float32")
    assert loss["loss"] == pytest.approx(printed["loss"], rel=1e-6)


def test_the_three_gradients_at_the_start(service: httpx.Client) -> None:
    printed = TUTORIAL["at_start"]
    delta = printed["numeric_gradient_delta"]
    for gradient in ("analytic", "autograd", {"method": "numeric", "delta": delta}):
        slope = ask(service, "/gradient", params=TUTORIAL["start"], gradient=gradient)["gradient"]
        assert slope == pytest.approx(printed["gradient"], rel=1e-6)


def test_one_numeric_step(service: httpx.Client) -> None:
    printed = TUTORIAL["at_start"]
    gradient = {"method": "numeric", "delta": printed["numeric_gradient_delta"]}
    fit = ask(
        service,
        "/fit",
        params=TUTORIAL["start"],
        optimizer={"name": "sgd", "learning_rate": 0.01, "gradient": gradient},
        epochs=1,
    )
    after = printed["after_one_numeric_step_at_learning_rate_0_01"]
    assert fit["params"] == pytest.approx(after, abs=1e-3)


def test_the_exact_answer(service: httpx.Client) -> None:
    exact, fit = TUTORIAL["exact"], ask(service, "/fit")
    assert fit["optimizer"] == "exact"
    assert fit["params"]["w"] == pytest.approx(exact["w"], abs=1e-6)
    assert fit["params"]["b"] == pytest.approx(exact["b"], abs=1e-6)
    assert fit["loss"] == pytest.approx(exact["mse"], rel=1e-7)
    assert fit["statistics"]["stderr"] == pytest.approx(exact["stderr"], rel=1e-4)
    assert fit["statistics"]["r_squared"] == pytest.approx(exact["r_squared"], abs=1e-5)


def test_the_suggested_fixes_of_a_divergence(service: httpx.Client) -> None:
    """1e-2 diverges; diagnostics report the limit and the imbalance, and their patches fix both."""
    optimizer = {"name": "sgd", "learning_rate": 0.01}
    sick = ask(service, "/fit", params=TUTORIAL["start"], optimizer=optimizer, epochs=100)
    assert sick["stop_reason"] == "diverged"
    assert sick["status"] == "succeeded"
    assert (sick["verdict"], sick["trustworthy"]) == ("untrustworthy", False)
    found = {d["code"]: d for d in sick["diagnostics"]}
    assert "0.00034" in found["learning_rate_too_high"]["message"]
    assert "54.7 times" in found["gradient_imbalance"]["message"]
    assert "33,599" in found["gradient_imbalance"]["message"]
    rate = found["learning_rate_too_high"]["suggestion"]["optimizer"]["learning_rate"]
    slow = ask(
        service,
        "/fit",
        params=TUTORIAL["start"],
        optimizer={"name": "sgd", "learning_rate": rate},
        epochs=100,
    )
    assert slow["stop_reason"] == "max_epochs"
    cured = ask(
        service,
        "/fit",
        params=TUTORIAL["start"],
        optimizer=optimizer,
        epochs=2000,
        **found["gradient_imbalance"]["suggestion"],
    )
    assert (cured["verdict"], cured["trustworthy"]) == ("trustworthy", True)
    raw = cured["params_unscaled"]["values"]
    assert raw["w"] == pytest.approx(TUTORIAL["exact"]["w"], rel=1e-6)


def test_float64_and_raw_units(service: httpx.Client) -> None:
    fit = ask(
        service,
        "/fit",
        params=raw_start(0.1),
        optimizer={"name": "sgd", "learning_rate": 0.01},
        scaling={"t_u": {"scale": 0.1}},
        epochs=5000,
    )
    assert fit["history"]["epoch"][-1] == 5000
    assert fit["history"]["loss"][-1] == pytest.approx(2.92764669, abs=5e-9)
    assert fit["params_unscaled"]["values"] == pytest.approx(
        {"w": 0.53671, "b": -17.3012}, abs=5e-5
    )
    assert len(fit["history"]["epoch"]) <= 100


def test_two_identical_requests_give_identical_bits(service: httpx.Client) -> None:
    body = {
        "params": TUTORIAL["start"],
        "optimizer": {"name": "adam", "learning_rate": 0.1, "batch_size": 4},
        "epochs": 60,
        "seed": 7,
    }
    one, two = (ask(service, "/fit", **body) for _ in range(2))
    own = ("job_id", "timings", "urls")
    assert {k: v for k, v in one.items() if k not in own} == {
        k: v for k, v in two.items() if k not in own
    }
