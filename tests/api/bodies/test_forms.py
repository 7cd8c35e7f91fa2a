"""The forms over HTTP: the same request, whichever form its data have."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from service.api.bodies import forms
from service.jobs.job import Job
from service.schemas.requests import JobRequest
from tests.api.bodies.test_arrow import written
from tests.api.bodies.test_multipart import body, disposed
from tests.api.bodies.test_npz import saved
from tests.api.fakes import FakeJobs, job
from tests.api.in_process import fake

pytestmark = pytest.mark.asyncio(loop_scope="module")

ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
X = np.linspace(0.0, 4.0, 30)
COLUMNS = {"x": X.tolist(), "y": (2.5 * np.exp(-1.3 * X) + 0.5).tolist()}


def arrow_body(columns: dict[str, Any] = COLUMNS) -> bytes:
    return bytes(written(pa.table(columns)))


async def test_a_fit_of_an_arrow_body_is_that_of_json(client: httpx.AsyncClient) -> None:
    asked = {"model": "y = a*exp(-b*x)+c", "optimizer": "levenberg_marquardt"}
    by_json = await client.post("/fit", json={**asked, "data": COLUMNS})
    by_arrow = await client.post(
        "/fit?model=y~a*exp(-b*x)+c&optimizer=levenberg_marquardt",
        content=arrow_body(),
        headers=ARROW,
    )
    assert by_arrow.status_code == 200, by_arrow.text
    assert by_arrow.json()["params"] == by_json.json()["params"]
    assert by_arrow.json()["model"] == by_json.json()["model"]


async def test_predict_loss_and_gradient_read_it_too(client: httpx.AsyncClient) -> None:
    asked = {"model": "y = a*x", "params": {"a": 2.0}}
    query = "model=y~a*x&params=a:2"
    for path in ("/predict", "/loss", "/gradient"):
        by_json = await client.post(path, json={**asked, "data": COLUMNS})
        by_arrow = await client.post(f"{path}?{query}", content=arrow_body(), headers=ARROW)
        assert by_arrow.status_code == 200, by_arrow.text
        assert by_arrow.json() == by_json.json()


CSV = "x,y\n" + "".join(f"{x},{y}\n" for x, y in zip(*COLUMNS.values(), strict=True))
QUERY = "model=y~a*exp(-b*x)%2Bc&optimizer=levenberg_marquardt"
NPZ = saved(x=np.array(COLUMNS["x"]), y=np.array(COLUMNS["y"]))
PARTS = body(
    (disposed("request"), '{"model": "y ~ a*exp(-b*x)+c", "optimizer": "levenberg_marquardt"}'),
    (disposed("data", "data.csv"), CSV),
)
FORMS = {
    "text/csv": (CSV.encode(), QUERY),
    "text/tab-separated-values": (CSV.replace(",", "\t").encode(), QUERY),
    "application/x-npz": (NPZ, QUERY),
    "application/zip": (NPZ, QUERY),
    "application/octet-stream": (NPZ, QUERY),
    "application/vnd.apache.arrow.stream": (arrow_body(), QUERY),
    "application/vnd.apache.arrow.file": (arrow_body(), QUERY),
    "multipart/form-data": (PARTS, ""),
}


async def test_every_form_is_here_and_on_the_page() -> None:
    assert set(FORMS) == set(forms.FORMS)
    path = Path(__file__).parents[3] / "docs" / "reference" / "data.md"
    page = path.read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in FORMS)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FORMS)
async def test_a_fit_is_the_same_whatever_the_form(
    client: httpx.AsyncClient, name: str, packed: bool
) -> None:
    asked = {"model": "y = a*exp(-b*x)+c", "optimizer": "levenberg_marquardt"}
    by_json = (await client.post("/fit", json={**asked, "data": COLUMNS})).json()
    content, query = FORMS[name]
    headers = {"content-type": f"{name}; boundary=b-1" if "multipart" in name else name}
    if packed:
        content, headers["content-encoding"] = gzip.compress(content), "gzip"
    answer = await client.post(f"/fit?{query}", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    for member in ("params", "loss", "statistics", "model", "epochs"):
        assert found[member] == by_json[member]


async def test_bytes_of_no_stated_form_may_be_arrow(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/octet-stream"}
    answer = await client.post(f"/fit?{QUERY}", content=arrow_body(), headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", ["text/csv", "application/vnd.apache.arrow.stream"])
async def test_a_job_predicts_for_any_form(client: httpx.AsyncClient, name: str) -> None:
    content, query = FORMS[name]
    headers = {"content-type": name}
    fit = (await client.post(f"/fit?{query}", content=content, headers=headers)).json()
    answer = await client.post(
        f"/predict?job_id={fit['job_id']}&interval=confidence", content=content, headers=headers
    )
    assert answer.json()["predictions"] == pytest.approx(COLUMNS["y"], abs=1e-9)
    assert len(answer.json()["lower"]) == len(COLUMNS["y"])


async def test_errors_about_rows_name_the_line(client: httpx.AsyncClient) -> None:
    lines = "# a comment\nx,y\n1,2\n\n2,oops\n3,\n"
    headers = {"content-type": "text/csv"}
    odd = (await client.post("/fit?model=y~a*x", content=lines, headers=headers)).json()
    assert odd["errors"][0]["pointer"] == "/data/y/1"
    assert "row 2 is the text 'oops'" in odd["detail"]
    assert odd["detail"].endswith("(line 5 of the body)")
    missing = await client.post("/fit", content=lines.replace("oops", "4"), headers=headers)
    assert missing.json()["detail"].endswith("(line 6 of the body)")
    assert missing.json()["errors"][0]["pointer"] == "/data/y/2"


async def test_text_and_units_arrive_from_every_form() -> None:
    """Groups are told apart by text; units are kept."""
    columns = {"well": ["a", "b", "a"], "x": [1.0, 2.0, 3.0]}
    csv = "well,x [s]\n" + "".join(f"{g},{x}\n" for g, x in zip(*columns.values(), strict=True))
    bodies = {
        "text/csv": csv.encode(),
        "application/x-npz": saved(well=np.array(columns["well"]), x=np.array(columns["x"])),
        "application/vnd.apache.arrow.stream": arrow_body(columns),
    }
    for name, content in bodies.items():
        jobs = Remembering(job(result=b"{}"))
        async with fake(jobs) as client:
            answer = await client.post(
                "/fit?group_by=well&units.well=id", content=content, headers={"content-type": name}
            )
        assert answer.status_code == 200, answer.text
        assert jobs.read.data["well"].tolist() == columns["well"]
        assert jobs.read.data["x"].tolist() == columns["x"]
        assert jobs.read.group_by is not None
        assert jobs.read.group_by.column == "well"
        assert jobs.read.units == {"well": "id", **({"x": "s"} if name == "text/csv" else {})}


class Remembering(FakeJobs):
    read: JobRequest

    async def submit(self, request: JobRequest, **asked: Any) -> tuple[Job, bool]:
        self.read = request
        return await super().submit(request, **asked)


async def test_what_is_read_is_listed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fit", content=b"a=1", headers={"content-type": "text/html"})
    assert answer.status_code == 415
    assert all(name in answer.json()["detail"] for name in FORMS)


async def test_a_large_arrow_body(client: httpx.AsyncClient) -> None:
    x = np.arange(200_000.0)
    answer = await client.post("/fit", content=arrow_body({"x": x, "y": 3 * x + 1}), headers=ARROW)
    assert answer.status_code == 200, answer.text
    assert answer.json()["params"]["w"] == pytest.approx(3.0, rel=1e-9)


async def test_a_malformed_body_is_400(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fit", content=b"garbage" * 10, headers=ARROW)
    assert answer.status_code == 400
    assert answer.json()["type"] == "malformed-body"


async def test_a_slip_in_the_query_names_the_parameter(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fit?epoch=5", content=arrow_body(), headers=ARROW)
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert "unknown query parameter 'epoch'" in detail
    assert "did you mean 'epochs'?" in detail


async def test_the_same_key_with_other_options_is_another_request(
    client: httpx.AsyncClient,
) -> None:
    headers = {**ARROW, "idempotency-key": "an-arrow-body"}
    first = await client.post("/fit", content=arrow_body(), headers=headers)
    again = await client.post("/fit", content=arrow_body(), headers=headers)
    other = await client.post("/fit?model=quadratic", content=arrow_body(), headers=headers)
    assert first.status_code == again.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert other.json()["type"] == "idempotency-conflict"
