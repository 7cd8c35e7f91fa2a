"""Groups over HTTP: fitted in one request, followed, and predicted from."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from tests.serving import serving
from tests.soon import PATIENCE_S

LINE = "y = a*x + b"
MOST = 500


@pytest.fixture(scope="module")
def service() -> Iterator[httpx.Client]:
    with (
        serving(max_groups=str(MOST)) as address,
        httpx.Client(base_url=f"http://{address}", timeout=PATIENCE_S) as client,
    ):
        yield client


def rows(groups: int = 4, each: int = 12) -> dict[str, list[Any]]:
    """Lines y = k·x + 10·k of keys k0, k1, …, with a little noise."""
    rng = np.random.default_rng(1)
    k = np.repeat(np.arange(groups), each)
    x = np.tile(np.arange(each, dtype=float), groups)
    y = k * x + 10 * k + 0.01 * rng.standard_normal(len(k))
    return {"x": x.tolist(), "y": y.tolist(), "id": [f"k{i}" for i in k]}


def fitted(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx.Response) -> tuple[str, str, str]:
    """A refusal's type, pointer and detail."""
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    (error,) = problem["errors"]
    return problem["type"], error["pointer"], error["detail"]


def test_json_csv_and_arrow_give_the_same_fit(service: httpx.Client) -> None:
    data = rows()
    request = {"model": LINE, "group_by": "id"}
    by_json = fitted(service.post("/fit", json={**request, "data": data}))

    table = ["x,y,id", *(",".join(map(str, row)) for row in zip(*data.values(), strict=True))]
    text, headers = "\n".join(table), {"content-type": "text/csv"}
    by_csv = fitted(service.post("/fit", params=request, content=text, headers=headers))

    stream = io.BytesIO()
    columns = pa.table(data)
    with pa.ipc.new_stream(stream, columns.schema) as writer:
        writer.write_table(columns)
    headers = {"content-type": "application/vnd.apache.arrow.stream"}
    by_arrow = fitted(
        service.post("/fit", params=request, content=stream.getvalue(), headers=headers)
    )

    assert by_json["groups"] == by_csv["groups"] == by_arrow["groups"]
    found = by_json["groups"]
    assert (found["by"], found["key"]) == ("id", ["k0", "k1", "k2", "k3"])
    assert (found["n"], found["history"]) == ([12] * 4, None)
    assert found["status"] == ["succeeded"] * 4
    assert np.allclose(found["params"]["a"], range(4), atol=0.01)
    assert np.allclose(found["params"]["b"], [0, 10, 20, 30], atol=0.05)
    assert by_json["optimizer"] == "exact"


def test_a_failed_group_is_reported_in_its_row(service: httpx.Client) -> None:
    data = rows()
    pairs = zip(data["x"], data["id"], strict=True)
    data["x"] = [0.0 if key == "k2" else x + 1 for x, key in pairs]
    answer = fitted(
        service.post("/fit", json={"model": "y = a*log(x) + b", "data": data, "group_by": "id"})
    )
    found = answer["groups"]
    assert found["status"] == ["succeeded", "succeeded", "failed", "succeeded"]
    assert found["params"]["a"][2] == found["stderr"]["b"][2] == "NaN"
    assert "non_finite" in found["diagnostics"][2]
    assert "non_finite" not in found["diagnostics"][1]
    assert answer["status"] == "succeeded"
    assert (answer["verdict"], answer["trustworthy"]) == ("untrustworthy", False)
    assert found["verdict"][2] == "untrustworthy"
    told = service.post(
        "/predict", json={"job_id": answer["job_id"], "data": {"x": [1, 1], "id": ["k2", "k1"]}}
    )
    assert told.json()["predictions"][0] == "NaN"
    assert told.json()["predictions"][1] == pytest.approx(found["params"]["b"][1])


def test_grouped_background_job(service: httpx.Client) -> None:
    request = {
        "model": "y = a*exp(-b*x) + c",
        "params": {"a": 1, "b": 0.1, "c": 1},
        "data": rows(),
        "group_by": {"column": "id", "history": True},
        "background": True,
    }
    accepted = service.post("/fit", json=request)
    assert accepted.status_code == 202
    at = accepted.headers["location"]
    job = service.get(at, params={"wait": 30}).json()
    assert job["status"] == "succeeded"
    progress = job["progress"]
    assert (progress["epoch"], progress["epochs"]) == (4, 4)
    result = job["result"]
    histories = result["groups"]["history"]
    assert [each["total"] for each in histories] == result["groups"]["epochs"]
    assert all(each["epoch"][0] == 1 for each in histories)
    history = service.get(f"{at}/history").json()
    assert history["epoch"] == []
    assert sorted(history["params"]) == ["a", "b", "c"]
    events = service.get(f"{at}/events", headers={"accept": "application/jsonl"})
    lines = [json.loads(line) for line in events.text.splitlines()]
    assert lines
    assert "done" in json.dumps(lines[-1])


@pytest.mark.parametrize(
    ("change", "kind", "pointer", "said"),
    [
        ({"group_by": "di"}, "unknown-name", "/group_by", "did you mean 'id'"),
        ({"model": "y = a*id + b"}, "invalid-data", "/data/id/0", "the text 'k0'"),
        (
            {"data": rows(MOST + 1, 1)},
            "budget-exceeded",
            "/group_by",
            "501 groups, more than the 500 allowed",
        ),
    ],
)
def test_invalid_requests_are_refused_with_a_remedy(
    service: httpx.Client, change: Any, kind: str, pointer: str, said: str
) -> None:
    request = {"model": LINE, "data": rows(), "group_by": "id", **change}
    found = refused(service.post("/fit", json=request))
    assert found[:2] == (kind, pointer)
    assert said in found[2]


def test_each_row_is_predicted_by_its_group(service: httpx.Client) -> None:
    request = {"model": LINE, "data": rows(), "group_by": "id", "scaling": "standardize"}
    fit = fitted(service.post("/fit", json=request))

    def predict(**asked: Any) -> httpx.Response:
        return service.post("/predict", json={"job_id": fit["job_id"], **asked})

    answer = fitted(predict(data={"x": [100, 0, 2], "id": ["k3", "k1", "k0"]}))
    assert answer["target"] == "y"
    assert answer["predictions"] == pytest.approx([330, 10, 0], abs=0.3)
    kind, pointer, said = refused(predict(data={"x": [1, 2], "id": ["k1", "k9"]}))
    assert (kind, pointer) == ("unknown-name", "/data/id/1")
    assert "row 2" in said
    assert refused(predict(data={"x": [1, 2]}))[1] == "/data"
    found = refused(predict(data={"x": [1], "id": ["k1"]}, interval="prediction"))
    assert found[1] == "/interval"
    assert '"covariance": true' in found[2]


def test_a_fit_without_groups_predicts_by_its_job(service: httpx.Client) -> None:
    fit = fitted(service.post("/fit", json={"data": {"x": [1, 2, 3], "y": [2, 4, 6]}}))
    answer = fitted(service.post("/predict", json={"job_id": fit["job_id"], "data": {"x": [5]}}))
    assert answer["predictions"] == pytest.approx([10])
