"""In which form an answer goes out, and that JSON pays nothing for the others."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pyarrow.ipc
import pytest

from service.api import head, writing
from service.api.forms import FORMS
from service.api.head import choose
from service.api.http_errors import NotAcceptable
from tests.api.fakes import BODY, FakeJobs, job
from tests.api.in_process import fake
from tests.render.made import THERMOMETER, descent

MEDIA = {form.name: form.media_type for form in FORMS.values()}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (b"", "json"),
        (b"nonsense", "json"),
        (b"*/*", "json"),
        (b"application/*", "json"),
        (b"text/plain", "text"),
        (b"TEXT/Plain", "text"),
        (b"text/*", "text"),
        (b"text/csv; header=present", "csv"),
        (b"text/plain;q=0.4, text/csv;q=0.5", "csv"),
        (b"text/plain;q=0.4, */*;q=0.5", "json"),
        (b"application/json;q=0, */*", "text"),
        (b"text/*;q=0.5, text/csv", "csv"),
        (b"text/plain;q=0, text/*", "csv"),
        (b"application/vnd.apache.arrow.stream, application/json;q=0.9", "arrow"),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "json"),
        (b"application/json; charset=utf-8", "json"),
    ],
)
async def test_accept_is_read_as_rfc_9110_has_it(accept: bytes, chosen: str) -> None:
    assert choose(accept.decode(), MEDIA) == chosen


@pytest.mark.parametrize("accept", [b"text/html", b"image/*", b"*/*;q=0", b"text/plain;q=0.0"])
async def test_what_cannot_be_had_lists_what_can(accept: bytes) -> None:
    with pytest.raises(NotAcceptable, match=r"application/json, text/plain, text/csv, .*arrow"):
        choose(accept.decode(), MEDIA)


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
async def test_json_is_told_apart_by_a_look(
    accept: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No header is parsed, no query string, no schema; the bytes are the worker's."""
    for module, name in ((head, "_form"), (head, "accepted"), (writing, "in_render_process")):
        monkeypatch.delattr(module, name)
    headers = {} if accept is None else {"accept": accept}
    async with fake(FakeJobs(ended=job(result=b'{"as": "it is"}'))) as client:
        if accept is None:
            del client.headers["accept"]
        answer = await client.post("/fit", json=BODY, headers=headers)
        assert answer.content == b'{"as": "it is"}\n'
        asked = {"model": "a * x", "params": {"a": 2.0}, "data": {"x": [1.0]}}
        assert (await client.post("/predict", json=asked, headers=headers)).status_code == 200
        assert (await client.get("/jobs", headers=headers)).headers["vary"] == "Accept"


async def test_a_fit_in_every_form(client: httpx.AsyncClient) -> None:
    async def asked(form: str) -> httpx.Response:
        answer = await client.post("/fit", params={"format": form}, json=THERMOMETER)
        assert answer.status_code == 200
        return answer

    text = await asked("text")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.headers["vary"] == "Accept"
    assert "w  0.537  ± 0.036" in text.text
    assert "\n\nFit\n" in text.text
    lines = (await asked("csv")).text.splitlines()
    assert lines[0] == "name,value,stderr,lower,upper"
    assert lines[1].startswith("w,0.53677192")
    assert (await asked("oneline")).text == "w=0.537±0.036 b=-17.3±1.9 r2=0.962 trustworthy\n"
    arrow = await asked("arrow")
    assert arrow.headers["content-type"] == "application/vnd.apache.arrow.stream"
    read = pyarrow.ipc.open_stream(io.BytesIO(arrow.content)).read_all()
    assert read.column_names == lines[0].split(",")
    assert read["name"].to_pylist() == ["w", "b"]
    whole = (await asked("json")).json()
    assert (whole["verdict"], whole["trustworthy"]) == ("trustworthy", True)


async def test_a_doubtful_fit_in_each_form(client: httpx.AsyncClient) -> None:
    async def asked(form: str, **more: Any) -> httpx.Response:
        data = {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 4.0], "g": ["a"] * 3}
        return await client.post("/fit", params={"format": form}, json={"data": data, **more})

    line = {"model": "y = w * x + b"}
    whole = (await asked("json", **line)).json()
    assert (whole["verdict"], whole["trustworthy"]) == ("doubtful", False)
    assert "\n  Doubtful: 1 warning below.\n" in (await asked("text", **line)).text
    assert (await asked("oneline", **line)).text.endswith(" doubtful:few_degrees_of_freedom\n")
    by = {**line, "group_by": "g"}
    groups = (await asked("json", **by)).json()
    assert (groups["verdict"], groups["trustworthy"]) == ("doubtful", False)
    assert (groups["groups"]["verdict"], groups["groups"]["trustworthy"]) == (["doubtful"], [False])
    assert "\n  Of them 1 doubtful.\n" in (await asked("text", **by)).text
    head, row = csv.reader(io.StringIO((await asked("csv", **by)).text))
    assert dict(zip(head, row, strict=True))["verdict"] == "doubtful"
    read = pyarrow.ipc.open_stream(io.BytesIO((await asked("arrow", **by)).content)).read_all()
    assert read["verdict"].to_pylist() == ["doubtful"]
    assert "trustworthy" not in read.column_names


@pytest.mark.parametrize(
    ("path", "body", "begins"),
    [
        ("/predict", {"model": "a * x", "params": {"a": 2}, "data": {"x": [3]}}, "x,prediction\n"),
        ("/loss", {**THERMOMETER, "residuals": True}, "residual\n35.2\n"),
        ("/gradient", THERMOMETER, "name,gradient\nw,"),
    ],
)
async def test_the_parts_of_a_fit(
    client: httpx.AsyncClient, path: str, body: Any, begins: str
) -> None:
    answer = await client.post(path, json=body, headers={"accept": "text/csv"})
    assert answer.text.startswith(begins)
    for form in ("text", "oneline", "arrow"):
        assert (await client.post(path, params={"format": form}, json=body)).content


async def test_jobs_and_the_catalogue(client: httpx.AsyncClient) -> None:
    fit = (await client.post("/fit", json=descent(1e-4, 50))).json()
    at = fit["urls"]["self"]
    assert "± error" in (await client.get(at, params={"format": "text"})).text
    history = await client.get(fit["urls"]["history"], headers={"accept": "text/csv"})
    assert history.text.startswith("epoch,loss,w,b,gradient_w,gradient_b\n1,1763.88")
    jobs = await client.get("/jobs", params={"format": "oneline", "limit": 1})
    assert jobs.text.startswith(f"{fit['job_id']} succeeded epoch=50/50 loss=")
    for path in ("/models", "/losses", "/likelihoods", "/optimizers", "/jobs", at, f"{at}/history"):
        for form in MEDIA:
            answer = await client.get(path, params={"format": form})
            assert answer.status_code == 200
            assert answer.headers["content-type"] == MEDIA[form]
            assert answer.headers["vary"] == "Accept"


async def test_a_job_that_is_not_done_is_told_in_that_form_too() -> None:
    async with fake(FakeJobs(ended=job("queued"))) as client:
        answer = await client.post("/fit", params={"format": "oneline"}, json=BODY)
    assert answer.status_code == 202
    assert answer.headers["location"] == "/jobs/job_1"
    assert answer.text == "job_1 queued epoch=0/1\n"


async def test_long_answers_are_written_apart(client: httpx.AsyncClient) -> None:
    x = [float(i) for i in range(30_000)]
    body = {"model": "a * x", "params": {"a": 2.0}, "data": {"x": x}}
    answer = await client.post("/predict", params={"format": "csv"}, json=body)
    assert answer.text.splitlines()[-1] == "29999.0,59998.0"
    text = await client.post("/fit", params={"format": "text"}, json={"data": {"x": x, "y": x}})
    assert "1,000 of 30,000 rows are drawn" in text.text


async def test_refusals(client: httpx.AsyncClient) -> None:
    unknown = await client.post("/fit", params={"format": "txt"}, json=BODY)
    assert unknown.status_code == 422
    assert "did you mean 'text'?" in unknown.json()["detail"]
    none = await client.get("/models", headers={"accept": "image/png"})
    assert none.status_code == 406
    assert none.json()["type"] == "not-acceptable"
    other = await client.post("/fit", params={"fromat": "csv"}, json=BODY)
    assert other.status_code == 422
    assert "fromat" in other.json()["detail"]
