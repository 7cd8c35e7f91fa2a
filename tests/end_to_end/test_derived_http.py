"""Tied params, derived quantities and kinds of covariance over HTTP.

The figures of ryegrass are those of drc 3.0 (LL.4, ED), those of Puromycin are R's; both were
computed again with SciPy.
"""

from __future__ import annotations

import csv
import math
from typing import Any

import httpx
import pytest

from service.certification.case import LABORATORY

LINE = {"x": [1.0, 2, 3, 4, 5, 6], "y": [2.1, 3.9, 6.2, 7.8, 10.1, 12.2]}


def columns(name: str) -> dict[str, Any]:
    with (LABORATORY / name).open() as file:
        rows = list(csv.DictReader(file))
    return {n: [r[n] if n == "state" else float(r[n]) for r in rows] for n in rows[0]}


def ryegrass() -> dict[str, Any]:
    found = columns("ryegrass.csv")
    return {"model": "logistic4", "data": {"x": found["conc"], "y": found["rootl"]}}


def puromycin() -> dict[str, Any]:
    """K is one for both states, Vm is not."""
    found = columns("puromycin.csv")
    treated = [float(state == "treated") for state in found["state"]]
    return {
        "model": "rate = (v + (w - v)*treated) * conc / (K + conc)",
        "data": {"conc": found["conc"], "rate": found["rate"], "treated": treated},
        "params": {"v": 160, "w": 200, "K": 0.05},
    }


def fitted(service: httpx.Client, request: dict[str, Any], **more: Any) -> Any:
    answer = service.post("/fit", json={**request, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(service: httpx.Client, route: str, request: dict[str, Any]) -> tuple[str, str]:
    answer = service.post(route, json=request)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    return error["pointer"], error["detail"]


# --- published figures ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "errors"),
    [
        ("expected", (0.188913, 0.185829, 0.817701)),
        ("observed", (0.186772, 0.185731, 0.845098)),
    ],
)
def test_ed_of_ryegrass(service: httpx.Client, kind: str, errors: tuple[float, ...]) -> None:
    found = fitted(service, ryegrass(), report="default", covariance=kind)
    report = [found["report"][name] for name in ("ec10", "ec50", "ec90")]
    assert [each["value"] for each in report] == pytest.approx(
        [1.463709, 3.057955, 6.388625], abs=6e-7
    )
    assert [each["stderr"] for each in report] == pytest.approx(errors, abs=6e-7)
    assert found["statistics"]["covariance_kind"] == kind
    assert found["statistics"]["stderr"]["e"] == pytest.approx(errors[1], abs=6e-7)
    if kind == "observed":
        ends = [round(each[end], 4) for each in report for end in ("lower", "upper")]
        assert ends == [1.0741, 1.8533, 2.6705, 3.4454, 4.6258, 8.1515]


def test_the_ratio_of_two_vm(service: httpx.Client) -> None:
    report = {
        "ratio": "w/v",
        "fieller": {"expr": "w/v", "method": "fieller"},
        "profile": {"expr": "w/v", "method": "profile"},
        "difference": "w - v",
    }
    found = fitted(service, puromycin(), report=report)
    assert found["params"]["v"] == pytest.approx(166.604097, abs=6e-6)
    assert found["statistics"]["stderr"]["K"] == pytest.approx(0.0059102, abs=6e-8)
    ratio, difference = found["report"]["ratio"], found["report"]["difference"]
    assert (ratio["value"], ratio["stderr"]) == pytest.approx((1.252251, 0.043041), abs=6e-7)
    assert difference["value"] == pytest.approx(42.025973, abs=6e-5)
    assert difference["stderr"] == pytest.approx(6.272142, abs=6e-6)
    # Both intervals allow for the noise of the denominator, and are wider above.
    for name in ("fieller", "profile"):
        each = found["report"][name]
        assert each["upper"] - each["value"] > each["value"] - each["lower"]
    assert found["report"]["fieller"]["upper"] == pytest.approx(
        found["report"]["profile"]["upper"], abs=2e-3
    )


def test_the_ed_of_a_rising_curve(service: httpx.Client) -> None:
    """Mirrored, the effect is the same: the doses are too."""
    falling = ryegrass()
    data = falling["data"]
    rising = {**falling, "data": {"x": data["x"], "y": [9 - y for y in data["y"]]}}
    one = fitted(service, falling, report="default")["report"]
    other = fitted(service, rising, report="default")["report"]
    for name in ("ec10", "ec50", "ec90"):
        assert other[name]["value"] == pytest.approx(one[name]["value"], rel=1e-6)
        assert other[name]["stderr"] == pytest.approx(one[name]["stderr"], rel=1e-5)


# --- properties -----------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "lbfgs"])
def test_a_tie_is_its_substitution(service: httpx.Client, optimizer: str) -> None:
    data = ryegrass()["data"]
    by_hand = "y = d/20 + (d - d/20) / (1 + (x / e)**b)"
    start = {"d": 8, "e": 3, "b": 2}
    one = fitted(service, ryegrass(), params={**start, "c": {"expr": "d/20"}}, optimizer=optimizer)
    other = fitted(service, {"model": by_hand, "data": data}, params=start, optimizer=optimizer)
    own = {name: one["params"][name] for name in other["params"]}
    assert own == pytest.approx(other["params"], rel=1e-6)
    assert one["loss"] == pytest.approx(other["loss"], rel=1e-9)
    assert list(one["params"])[-1] == "c"
    assert one["params"]["c"] == pytest.approx(own["d"] / 20, rel=1e-12)
    stderr = one["statistics"]["stderr"]
    assert stderr["c"] == pytest.approx(stderr["d"] / 20, rel=1e-12)
    assert set(one["statistics"]["covariance"]) == {"d", "e", "b"}
    assert one["model"]["expressions"] == {"c": "d/20"}


@pytest.mark.parametrize(
    "optimizer",
    [
        "exact",
        *({"name": name, "learning_rate": 0.01} for name in ("sgd", "adam", "adamw", "rmsprop")),
        {"name": "adagrad", "learning_rate": 0.5},
    ],
)
def test_every_optimizer_keeps_the_tie(service: httpx.Client, optimizer: Any) -> None:
    found = fitted(
        service,
        {"model": "y = a*x + b", "data": LINE},
        params={"b": {"expr": "0.1*a"}},
        optimizer=optimizer,
        **({} if optimizer == "exact" else {"epochs": 400}),
    )
    by_hand = sum((x + 0.1) * y for x, y in zip(LINE["x"], LINE["y"], strict=True))
    by_hand /= sum((x + 0.1) ** 2 for x in LINE["x"])
    assert found["params"]["a"] == pytest.approx(by_hand, rel=0.05)
    assert found["params"]["b"] == pytest.approx(0.1 * found["params"]["a"])


def test_the_report_of_a_param_is_that_param(service: httpx.Client) -> None:
    report = {"it": "d", "itself": {"expr": "d", "method": "profile"}}
    interval = {"method": "profile"}
    found = fitted(service, ryegrass(), report=report, confidence_interval=interval)
    it, itself = found["report"]["it"], found["report"]["itself"]
    assert it["value"] == itself["value"] == found["params"]["d"]
    assert it["stderr"] == pytest.approx(found["statistics"]["stderr"]["d"], rel=1e-12)
    ends = found["statistics"]["confidence_interval"]
    assert (itself["lower"], itself["upper"]) == pytest.approx(
        (ends["lower"]["d"], ends["upper"]["d"]), rel=1e-8
    )


def test_a_report_is_in_raw_units(service: httpx.Client) -> None:
    plain = fitted(service, ryegrass(), report="default")["report"]
    scaled = fitted(service, ryegrass(), report="default", scaling={"x": {"scale": 0.1}})["report"]
    for name, each in plain.items():
        assert scaled[name]["value"] == pytest.approx(each["value"], rel=1e-6)
        assert scaled[name]["stderr"] == pytest.approx(each["stderr"], rel=1e-5)


def test_a_report_without_raw_units_says_so(service: httpx.Client) -> None:
    """Shifted, a + b·log(x) is no such curve any more."""
    found = fitted(
        service,
        {"model": "y = a + b*log(x)", "data": LINE},
        scaling={"x": {"offset": 1}},
        report={"twice": "2*b"},
    )
    twice = found["report"]["twice"]
    assert twice["value"] is None
    assert "raw units" in twice["reason"]


# --- documents ------------------------------------------------------------------------------------


def test_the_predict_document_keeps_the_tie(service: httpx.Client) -> None:
    found = fitted(service, ryegrass(), params={"c": {"expr": "d/20"}})
    body = found["predict"]
    assert body["params"]["c"] == {"expr": "d/20"}
    asked = {**body, "data": {"x": [0.5, 3.0]}, "interval": "prediction"}
    one = service.post("/predict", json=asked).json()
    by_job = {"job_id": found["job_id"], "data": {"x": [0.5, 3.0]}, "interval": "prediction"}
    assert one == service.post("/predict", json=by_job).json()
    data = ryegrass()["data"]
    by_hand = {"model": "y = d/20 + (d - d/20) / (1 + (x / e)**b)", "data": data}
    same = fitted(service, by_hand, params={n: found["params"][n] for n in ("d", "e", "b")})
    again = {**same["predict"], "data": {"x": [0.5, 3.0]}, "interval": "prediction"}
    other = service.post("/predict", json=again).json()
    assert one["lower"] == pytest.approx(other["lower"], rel=1e-6)
    assert service.get(f"/jobs/{found['job_id']}/plot/fit.svg").status_code == 200


def test_loss_and_gradient_take_ties(service: httpx.Client) -> None:
    params = {"a": 2.0, "b": {"expr": "0.5*a"}}
    tied = {"model": "y = a*x + b", "data": LINE, "params": params}
    by_hand = {"model": "y = a*x + 0.5*a", "data": LINE, "params": {"a": 2.0}}
    for route in ("/loss", "/gradient"):
        one, other = (service.post(route, json=each).json() for each in (tied, by_hand))
        assert one["loss"] == pytest.approx(other["loss"])
        assert one.get("gradient", {}) == pytest.approx(other.get("gradient", {}))


def test_every_group_has_its_own(service: httpx.Client) -> None:
    data = ryegrass()["data"]
    both = {
        "x": data["x"] * 2,
        "y": data["y"] + [y * 1.1 + 0.05 * math.sin(5 * y) for y in data["y"]],
        "g": ["a"] * len(data["x"]) + ["b"] * len(data["x"]),
    }
    more = {
        "params": {"c": {"expr": "d/20"}},
        "covariance": "observed",
        "report": {"ec90": {}, "p": {"expr": "e*9**(1/b)", "method": "profile"}},
    }
    by = {"column": "g", "covariance": True}
    found = fitted(service, {"model": "logistic4", "data": both}, group_by=by, **more)
    groups = found["groups"]
    at = {"x": [0.5, 3.0, 20.0]}
    for i, key in enumerate(groups["key"]):
        own = {n: [v for v, k in zip(both[n], both["g"], strict=True) if k == key] for n in "xy"}
        alone = fitted(service, {"model": "logistic4", "data": own}, **more)
        for name, value in alone["params"].items():
            assert groups["params"][name][i] == pytest.approx(value, rel=1e-6)
            assert groups["stderr"][name][i] == pytest.approx(
                alone["statistics"]["stderr"][name], rel=1e-5
            )
        for name, each in alone["report"].items():
            row = groups["report"][name]
            for field in ("value", "stderr", "lower", "upper"):
                assert row[field][i] == pytest.approx(each[field], rel=1e-5)
        assert groups["covariance"]["d"]["b"][i] == pytest.approx(
            alone["statistics"]["covariance"]["d"]["b"], rel=1e-5
        )
        by_job = {"job_id": found["job_id"], "interval": "prediction"}
        banded = service.post("/predict", json={**by_job, "data": {**at, "g": [key] * 3}}).json()
        asked = {**alone["predict"], "data": at, "interval": "prediction"}
        single = service.post("/predict", json=asked).json()
        for field in ("predictions", "stderr", "lower", "upper"):
            assert banded[field] == pytest.approx(single[field], rel=1e-5)


def test_text_csv_and_one_line_have_the_report(service: httpx.Client) -> None:
    asked = {**ryegrass(), "report": "default", "params": {"c": {"expr": "d/20"}}}
    text = service.post("/fit", json=asked, params={"format": "text"}).text
    assert "Report" in text
    assert "c = d/20" in text
    table = service.post("/fit", json=asked, params={"format": "csv"}).text.splitlines()
    assert [row.split(",")[0] for row in table] == [
        "name", "d", "e", "b", "c", "ec10", "ec50", "ec90",
    ]  # fmt: skip
    line = service.post("/fit", json=asked, params={"format": "oneline"}).text
    assert " ec90=6.6" in line
    found = columns("ryegrass.csv")
    rows = zip(found["conc"], found["rootl"], strict=True)
    body = "\n".join(["x,y", *(f"{x},{y}" for x, y in rows)])
    answer = service.post(
        "/fit",
        params={"model": "logistic4", "report.top": "d", "covariance": "observed"},
        content=body,
        headers={"content-type": "text/csv"},
    )
    assert answer.json()["report"]["top"]["expr"] == "d"


# --- no standard error, and what is refused -------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "report", "said"),
    [
        ({"c": {"value": 0.5, "fixed": True}}, {"q": "2*c"}, "fixed params only (c)"),
        ({"c": {"value": 1, "min": 0.9}}, {"q": "d/c"}, "'c' is at a bound"),
        ({}, {"q": "log(-d)"}, "not finite"),
        ({}, {"q": {"expr": "c - d", "log": True}}, "a value above 0"),
        ({}, {"q": {"expr": "d/c", "method": "fieller"}}, "g ≥ 1"),
    ],
)
def test_why_there_is_no_interval(
    service: httpx.Client, params: Any, report: Any, said: str
) -> None:
    level = {"level": 0.999}
    found = fitted(service, ryegrass(), params=params, report=report, confidence_interval=level)
    q = found["report"]["q"]
    assert said in q["reason"]
    assert q["lower"] is None
    assert q["upper"] is None
    assert (q["stderr"] is None) == ("g ≥ 1" not in said and "above 0" not in said)


def test_what_the_data_do_not_determine_has_no_error(service: httpx.Client) -> None:
    found = fitted(service, {"model": "y = (a + b)*x", "data": LINE}, report={"q": "a*b"})
    assert found["report"]["q"]["stderr"] is None
    assert "do not determine" in found["report"]["q"]["reason"]


@pytest.mark.parametrize(
    ("param", "pointer", "said"),
    [
        ({"expr": "d/20", "value": 1}, "/params/c/value", "omit one of them"),
        ({"expr": "d/20", "fixed": True}, "/params/c/fixed", "cannot be fixed"),
        ({"expr": "d/20", "min": 0}, "/params/c/min", "bound the params in the expression"),
        ({"expr": "d*x"}, "/params/c/expr", "'x' is a column"),
        ({"expr": "dd/20"}, "/params/c/expr", "did you mean 'd'?"),
        ({"expr": "c/2"}, "/params/c/expr", "cycle"),
    ],
)
def test_a_tie_that_cannot_be_is_refused(
    service: httpx.Client, param: Any, pointer: str, said: str
) -> None:
    at, detail = refused(service, "/fit", {**ryegrass(), "params": {"c": param}})
    assert at == pointer
    assert said in detail


@pytest.mark.parametrize(
    ("more", "pointer", "said"),
    [
        ({"report": {"d": "e"}}, "/report/d", "another name"),
        ({"report": {"q": "ee"}}, "/report/q/expr", "did you mean 'e'?"),
        ({"report": {"q": "x"}}, "/report/q/expr", "'x' is a column"),
        ({"report": {"q": {"method": "profile"}}}, "/report/q", "unknown report"),
        (
            {"report": {"q": {"expr": "d - c", "method": "fieller"}}},
            "/report/q/method",
            "a ratio of two params",
        ),
        (
            {"report": {"q": {"expr": "d*d + sin(e)", "method": "profile"}}},
            "/report/q/method",
            "exactly once",
        ),
        (
            {"report": {"q": {"expr": "d", "method": "profile"}}, "covariance": "sandwich"},
            "/report/q/method",
            "constant noise",
        ),
        (
            {"confidence_interval": {"method": "profile"}, "covariance": "sandwich"},
            "/confidence_interval/method",
            "constant noise",
        ),
        ({"model": "y = a*x + b", "report": "default"}, "/report", "write the quantities"),
        ({"model": "mlp", "report": {"q": "a"}}, "/report", "a network has no reports"),
    ],
)
def test_a_report_that_cannot_be_is_refused(
    service: httpx.Client, more: Any, pointer: str, said: str
) -> None:
    at, detail = refused(service, "/fit", {**ryegrass(), **more})
    assert at == pointer
    assert said in detail


def test_a_band_of_groups_needs_their_covariance(service: httpx.Client) -> None:
    data = {**LINE, "g": ["a"] * 3 + ["b"] * 3}
    found = fitted(service, {"model": "linear", "data": data}, group_by="g")
    asked = {"job_id": found["job_id"], "data": {"x": [1.0], "g": ["a"]}, "interval": "confidence"}
    pointer, detail = refused(service, "/predict", asked)
    assert pointer == "/interval"
    assert '"covariance": true' in detail


def test_a_quantity_that_does_not_change_has_no_error(service: httpx.Client) -> None:
    data = {"x": [1, 2, 3, 4, 5], "y": [2.1, 3.9, 6.2, 7.8, 10.1]}
    body = {"model": "y = a*x + c", "data": data, "report": {"none": "exp(-1000*a)"}}
    found = service.post("/fit", json=body).json()["report"]["none"]
    assert (found["value"], found["stderr"], found["lower"]) == (0.0, None, None)
    assert found["reason"] == "its derivative is 0 at these params"
