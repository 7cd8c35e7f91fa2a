"""Groups that share params, and conditions on rows, over HTTP."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.certification.case import LABORATORY
from tests.serving import serving
from tests.soon import PATIENCE_S

CSV = {"content-type": "text/csv"}
MUSCLE = "Length = a + b*exp(-Conc/th)"
SHARED = {"model": MUSCLE, "group_by.column": "Strip", "group_by.shared": "th"}


@pytest.fixture(scope="module")
def service() -> Iterator[httpx.Client]:
    with (
        serving(max_groups="500") as address,
        httpx.Client(base_url=f"http://{address}", timeout=PATIENCE_S) as client,
    ):
        yield client


def text(name: str) -> str:
    return (LABORATORY / name).read_text()


def fitted(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def columns(table: str) -> dict[str, list[Any]]:
    rows = list(csv.DictReader(io.StringIO(table)))
    found: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in rows[0]}
    for name in ("Conc", "Length"):
        if name in found:
            found[name] = [float(value) for value in found[name]]
    return found


def test_muscle_to_the_printed_digits(service: httpx.Client) -> None:
    body = {
        "model": MUSCLE, "data": columns(text("muscle.csv")),
        "group_by": {"column": "Strip", "shared": ["th"]},
    }  # fmt: skip
    found = fitted(service.post("/fit", json=body))
    assert found["shared"]["params"]["th"] == pytest.approx(0.7969085, abs=5e-8)
    assert found["shared"]["stderr"]["th"] == pytest.approx(0.1265655, abs=5e-8)
    assert found["statistics"]["residual_std"] == pytest.approx(1.114868, abs=5e-7)
    assert found["statistics"]["degrees_of_freedom"] == 17
    assert found["groups"]["params"]["a"][0] == pytest.approx(23.454085, abs=5e-7)
    assert found["groups"]["stderr"]["b"][0] == pytest.approx(6.873191, abs=5e-7)
    by_csv = fitted(service.post("/fit", params=SHARED, content=text("muscle.csv"), headers=CSV))
    assert by_csv["shared"] == found["shared"]
    assert by_csv["groups"] == found["groups"]


def test_every_form_of_the_answer_has_the_shared_params(service: httpx.Client) -> None:
    def answered(form: str) -> str:
        params = {**SHARED, "format": form}
        answer = service.post("/fit", params=params, content=text("muscle.csv"), headers=CSV)
        assert answer.status_code == 200, answer.text
        return answer.text

    rows = list(csv.DictReader(io.StringIO(answered("csv"))))
    assert len(rows) == 21
    assert {row["th"] for row in rows} == {rows[0]["th"]}
    assert float(rows[0]["th_stderr"]) == pytest.approx(0.1265655, abs=5e-8)
    report = answered("text")
    assert "Shared params" in report
    assert "0.80±0.13" in report
    assert "17 degrees of freedom" in report
    lines = answered("oneline").splitlines()
    assert len(lines) == 21
    assert all("th=0.80±0.13" in line for line in lines)


def test_puromycin_and_its_predictions(service: httpx.Client) -> None:
    query = {
        "model": "rate = Vm*conc/(K + conc)", "group_by.column": "state", "group_by.shared": "K",
    }  # fmt: skip
    found = fitted(service.post("/fit", params=query, content=text("puromycin.csv"), headers=CSV))
    assert found["shared"]["params"]["K"] == pytest.approx(0.0579718, abs=5e-8)
    assert found["groups"]["params"]["Vm"][1] == pytest.approx(166.604097, abs=5e-7)
    data = {"conc": [0.0579718, 1.0], "state": ["untreated", "treated"]}
    body = {"job_id": found["job_id"], "data": data}
    predicted = fitted(service.post("/predict", json=body))["predictions"]
    assert predicted[0] == pytest.approx(166.604097 / 2, rel=1e-5)
    assert predicted[1] == pytest.approx(found["groups"]["params"]["Vm"][0] / 1.0579718, rel=1e-6)


def test_reports_and_bands_use_own_and_shared_params(service: httpx.Client) -> None:
    query = {
        "model": "rate = Vm*conc/(K + conc)", "group_by.column": "state", "group_by.shared": "K",
        "report.slope": "Vm/K",
    }  # fmt: skip
    found = fitted(service.post("/fit", params=query, content=text("puromycin.csv"), headers=CSV))
    slope, half = found["groups"]["report"]["slope"], found["shared"]["params"]["K"]
    assert slope["value"][1] == pytest.approx(166.604097 / 0.0579718, rel=1e-6)
    variance, across = found["groups"]["covariance"]["Vm"]["Vm"][1], found["groups"]["covariance"]
    at = [1 / half, -slope["value"][1] / half]
    spread = (
        at[0] ** 2 * variance
        + 2 * at[0] * at[1] * across["Vm"]["K"][1]
        + at[1] ** 2 * found["shared"]["covariance"]["K"]["K"]
    )
    assert slope["stderr"][1] == pytest.approx(spread**0.5, rel=1e-9)
    body = {
        "job_id": found["job_id"], "data": {"conc": [0.5], "state": ["untreated"]},
        "interval": "confidence",
    }  # fmt: skip
    band = fitted(service.post("/predict", json=body))
    assert band["lower"][0] < band["predictions"][0] < band["upper"][0]
    for form, words in (("csv", "slope_stderr"), ("text", "slope"), ("oneline", " slope=")):
        answer = service.post(
            "/fit", params={**query, "format": form}, content=text("puromycin.csv"), headers=CSV
        )
        assert words in answer.text


def test_profile_intervals_of_the_shared_param(service: httpx.Client) -> None:
    query = {**SHARED, "confidence_interval.method": "profile"}
    found = fitted(service.post("/fit", params=query, content=text("muscle.csv"), headers=CSV))
    interval, th = found["shared"]["confidence_interval"], found["shared"]["params"]["th"]
    assert interval["method"] == "profile"
    lower, upper = interval["lower"]["th"], interval["upper"]["th"]
    assert lower < th < upper
    assert upper - th > th - lower


def test_several_columns_make_one_key(service: httpx.Client) -> None:
    table = "x,y,plate,well\n" + "".join(
        f"{x},{(p + 1) * x + w},P{p},{w:03d}\n" for p in (0, 1) for w in (1, 2) for x in range(4)
    )
    query = {"model": "y = a*x + b", "group_by": "plate,well"}
    found = fitted(service.post("/fit", params=query, content=table, headers=CSV))
    keys = [["P0", "001"], ["P0", "002"], ["P1", "001"], ["P1", "002"]]
    assert found["groups"]["by"] == ["plate", "well"]
    assert found["groups"]["key"] == keys
    assert found["groups"]["params"]["b"] == pytest.approx([1, 2, 1, 2])
    answer = service.post("/fit", params={**query, "format": "csv"}, content=table, headers=CSV)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [[row["plate"], row["well"]] for row in rows] == keys
    data = {"x": [10.0, 10.0], "plate": ["P1", "P0"], "well": ["002", "001"]}
    job = {"job_id": found["job_id"], "data": data}
    assert fitted(service.post("/predict", json=job))["predictions"] == pytest.approx([22, 11])
    data["well"] = ["002", "009"]
    refused = service.post("/predict", json=job)
    assert refused.status_code == 422
    assert "P0, 009" in refused.json()["errors"][0]["detail"]


def test_progress_counts_epochs_where_groups_share_params(service: httpx.Client) -> None:
    query = {**SHARED, "background": "true"}
    answer = service.post("/fit", params=query, content=text("muscle.csv"), headers=CSV)
    assert answer.status_code == 202
    job = service.get(answer.json()["urls"]["self"], params={"wait": 20}).json()
    assert job["status"] == "succeeded"
    assert job["progress"]["unit"] == "epoch"


def test_a_condition_chooses_the_rows_in_every_form(service: httpx.Client) -> None:
    table = "x,y,s\n0,1,a\n1,3,a\n2,5,a\n3,99,b\n4,9,a\n"
    body = {"model": "y = a*x + b", "data": {"x": [0, 1, 2, 3, 4], "y": [1, 3, 5, 99, 9]},
            "rows": "x < 3 or x > 3"}  # fmt: skip
    found = fitted(service.post("/fit", json=body))
    assert found["rows"] == {"used": 4, "of": 5}
    assert found["params"] == pytest.approx({"a": 2, "b": 1})
    for query in ("rows=s=='a'", "rows=x<3+or+x>3", "rows=x%20%3C%203%20or%20x%20%3E%203"):
        answer = service.post(f"/fit?model=y~a*x%2Bb&{query}", content=table, headers=CSV)
        assert fitted(answer)["params"] == pytest.approx({"a": 2, "b": 1})
    report = service.post("/fit?format=text", json=body).text
    assert "4 of 5 rows" in report
    params = {"model": "y = a*x + b", "params": "a:2,b:1", "rows": "y > 50", "format": "csv"}
    written = service.post("/predict", params=params, content=table, headers=CSV).text
    assert written.splitlines() == ["x,y,s,prediction", "3.0,99.0,b,7.0"]


def test_a_refusal_names_the_row_and_the_line_as_they_were_sent(service: httpx.Client) -> None:
    table = "x,y\n0,1\n1,3\n2,\n3,7\n"
    query = {"model": "y = a*x + b", "rows": "x > 1"}
    answer = service.post("/fit", params=query, content=table, headers=CSV)
    (error,) = answer.json()["errors"]
    assert answer.status_code == 422
    assert "row 3 is missing" in error["detail"]
    assert "(line 4 of the body)" in error["detail"]
    data = {"x": [0, 1, 2, 3], "y": [1, 3, None, 7]}
    (error,) = service.post("/fit", json={**query, "data": data}).json()["errors"]
    assert error["pointer"] == "/data/y/2"


@pytest.mark.parametrize("path", ["/fit", "/predict", "/loss", "/gradient", "/plot"])
def test_no_row_left_is_refused(service: httpx.Client, path: str) -> None:
    body: dict[str, Any] = {"model": "y = a*x", "data": {"x": [1, 2], "y": [2, 4]}, "rows": "x > 9"}
    if path != "/fit":
        body["params"] = {"a": 1.0}
    if path == "/plot":
        body["view"] = "fit"
    answer = service.post(
        path, content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/rows"
    assert "no row satisfies" in error["detail"]
