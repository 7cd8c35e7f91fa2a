"""Bootstrap, coverage and design over HTTP, in every form of answer."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from service.certification.case import LABORATORY
from service.client import Descent


def nasturtium() -> dict[str, Any]:
    with (LABORATORY / "nasturtium.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        "model": "weight = t1/(1 + exp(t2 + t3*log(conc)))",
        "data": {name: [float(row[name]) for row in rows] for name in rows[0]},
        "params": {"t1": 900, "t2": 0, "t3": 1},
    }


@pytest.fixture(scope="module")
def fitted(service: httpx.Client) -> Any:
    request = {
        **nasturtium(),
        "confidence_interval": {"method": "bootstrap", "replicates": 400},
        "report": {"ed50": "exp(-t2/t3)"},
        "coverage": {"simulate": 20},
        "design": {"candidates": {"min": 0.1, "max": 4, "steps": 40}, "of": "ed50"},
    }
    answer = service.post("/fit", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_answer(fitted: Any) -> None:
    interval = fitted["statistics"]["confidence_interval"]
    more = interval["bootstrap"]
    assert (interval["method"], more["kind"], more["interval"]) == (
        "bootstrap", "residual", "percentile",
    )  # fmt: skip
    assert (more["replicates"], more["made"], more["failed"]) == (400, 400, 0)
    for name, value in fitted["params"].items():
        assert interval["lower"][name] < value < interval["upper"][name]
        assert more["stderr"][name] > abs(more["bias"][name])
    assert fitted["report"]["ed50"]["method"] == "bootstrap"
    assert fitted["coverage"]["simulated"] == 20
    assert fitted["coverage"]["method"] == "bootstrap"
    assert len(fitted["design"]["candidates"]["conc"]) == 40


def test_the_draws_in_every_form(service: httpx.Client, fitted: Any) -> None:
    at = f"/jobs/{fitted['job_id']}/draws"
    found = service.get(at).json()
    assert found["replicate"] == list(range(400))
    assert (found["kind"], found["seed"]) == ("residual", 0)
    t1 = np.array(found["params"]["t1"])
    lower = fitted["statistics"]["confidence_interval"]["lower"]["t1"]
    assert np.quantile(t1, 0.025, method="weibull") == pytest.approx(lower, rel=1e-12)
    due = np.exp(-np.array(found["params"]["t2"]) / np.array(found["params"]["t3"]))
    assert found["report"]["ed50"] == pytest.approx(due, rel=1e-12)
    rows = list(csv.DictReader(io.StringIO(service.get(f"{at}?format=csv").text)))
    assert [float(row["t1"]) for row in rows] == t1.tolist()
    stream = pa.ipc.open_stream(service.get(f"{at}?format=arrow").content)
    table = stream.read_all().to_pydict()
    assert list(table) == ["replicate", "t1", "t2", "t3", "ed50"]
    assert table["t1"] == t1.tolist()
    text = service.get(f"{at}?format=text").text
    assert "400 replicates" in text
    assert service.get(f"{at}?format=oneline").text.startswith("replicate=0 t1=")


def test_the_fit_in_every_form(service: httpx.Client, fitted: Any) -> None:
    at = f"/jobs/{fitted['job_id']}"
    text = service.get(f"{at}?format=text").text
    for words in ("by bootstrap", "Bootstrap\n", "Coverage\n", "The next reading\n"):
        assert words in text
    rows = list(csv.DictReader(io.StringIO(service.get(f"{at}?format=csv").text)))
    lower = fitted["statistics"]["confidence_interval"]["lower"]
    assert {row["name"]: float(row["lower"]) for row in rows if row["name"] in lower} == lower
    assert service.get(f"{at}?format=oneline").text.startswith("t1=")


def test_unknowns_take_the_same_draws(service: httpx.Client, fitted: Any) -> None:
    data = {"weight": [309, 296, 419, 500], "sample": ["a", "a", "a", "b"]}
    asked = {"job_id": fitted["job_id"], "data": data, "interval": "bootstrap"}
    found = service.post("/invert", json=asked).json()
    assert found["interval"]["kind"] == "bootstrap"
    assert found["failed"] == [0, 0]
    assert found["stderr"][0] == pytest.approx(0.2863, abs=0.05)
    assert found["lower"][0] < found["estimate"][0] < found["upper"][0]
    assert service.post("/invert", json=asked).json() == found
    text = service.post("/invert?format=text", json=asked).text
    assert "bootstrap intervals" in text
    rows = service.post("/invert?format=csv", json=asked).text.splitlines()
    assert rows[0].startswith("sample,n,mean,estimate,stderr,lower,upper")
    predicted = service.post(
        "/predict", json={"job_id": fitted["job_id"], "data": {"conc": [1.0]}}
    ).json()
    assert len(predicted["predictions"]) == 1


def test_unknowns_without_replicates_are_refused(service: httpx.Client) -> None:
    plain = service.post("/fit", json=nasturtium()).json()
    for request in (
        {"job_id": plain["job_id"], "data": {"weight": [309]}, "interval": "bootstrap"},
        {**plain["predict"], "data": {"weight": [309]}, "interval": "bootstrap"},
    ):
        answer = service.post("/invert", json=request)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/interval/kind"
    answer = service.get(f"/jobs/{plain['job_id']}/draws")
    assert answer.status_code == 409
    assert "bootstrap" in answer.json()["detail"]
    assert service.get("/jobs/job_none/draws").status_code == 404


def test_a_csv_body_and_groups(service: httpx.Client) -> None:
    x = np.tile(np.arange(6.0), 3)
    noise = np.random.default_rng(2).normal(0, 0.1, 18)
    rows = zip(np.repeat(list("abc"), 6), x, 1 + 2 * x + noise, strict=True)
    body = "g,x,y\n" + "".join(f"{g},{a},{b}\n" for g, a, b in rows)
    query = {
        "group_by": "g",
        "confidence_interval.method": "bootstrap",
        "confidence_interval.kind": "wild",
        "confidence_interval.replicates": "99",
    }
    kind = {"content-type": "text/csv"}
    found = service.post("/fit", params=query, content=body, headers=kind).json()
    interval = found["groups"]["confidence_interval"]
    assert interval["bootstrap"]["made"] == [99] * 3
    query["format"] = "csv"
    table = service.post("/fit", params=query, content=body, headers=kind).text
    first = next(csv.DictReader(io.StringIO(table)))
    assert float(first["b_lower"]) == interval["lower"]["b"][0]


def test_the_client(service: httpx.Client) -> None:
    with Descent(str(service.base_url)) as client:
        asked = nasturtium()
        job = client.submit(
            asked["model"], asked["data"], params=asked["params"],
            confidence_interval={"method": "bootstrap", "replicates": 50},
        )  # fmt: skip
        fit = job.wait()
        draws = job.draws()
        assert len(draws.replicate) == 50
        assert draws.params["t1"].std() > 0
        interval = fit.statistics.confidence_interval
        assert interval is not None
        assert interval.bootstrap is not None
        assert interval.bootstrap.made == 50
