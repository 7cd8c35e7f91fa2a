"""Numbers that are none, or far too large, in every place of every body that has a number; and
what comes back, read by a parser that knows no NaN."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pytest_asyncio

from service.app import create_app
from service.settings import Settings
from tests.api.in_process import real

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = create_app(Settings()).openapi()
JSON = {"content-type": "application/json"}
MARK = 123456789.25
BAD = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", '"NaN"', "1" * 5000, '"1.5"', "true")
LIMITS = Settings(workers=1, max_epochs=2000, max_time_limit_s=2, max_wait_s=5)
BODIES: dict[str, list[dict[str, Any]]] = {
    "/fit": [
        {
            "model": "y = a * x + b",
            "data": {"x": [1.5, 2.5, 3.5], "y": [2.5, 4.5, 6.0]},
            "sigma": [0.5, 0.5, 0.5],
            "params": {"a": {"value": 1.5, "min": -9.5, "max": 9.5}, "b": 0.5},
            "loss": {"name": "huber", "delta": 1.5},
            "optimizer": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.5},
            "scaling": {"x": {"scale": 0.5, "offset": 0.5}},
            "epochs": 5,
            "tolerance": {"loss": 0.5, "params": 0.5, "gradient": 0.5},
            "time_limit_s": 1.5,
            "record_every": 2,
            "seed": 1,
        }
    ],
    "/predict": [
        {"model": "y = a * x", "params": {"a": 1.5}, "data": {"x": [0.5, 1.5]}},
    ],
    "/loss": [
        {
            "model": "y = a * x",
            "params": {"a": 1.5},
            "data": {"x": [0.5, 1.5], "y": [1.5, 2.5]},
            "sigma": 0.5,
            "surface": {"a": {"min": 0.5, "max": 1.5, "steps": 3}},
        }
    ],
    "/gradient": [
        {
            "model": "y = a * x",
            "params": {"a": 1.5},
            "data": {"x": [0.5, 1.5], "y": [1.5, 2.5]},
            "gradient": {"method": "numeric", "delta": 0.01},
        }
    ],
}


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Ours, and the examples of every route that takes a body, whoever added it."""
    for path, made in BODIES.items():
        yield from ((path, body) for body in made)
    for path, operations in DOCUMENT["paths"].items():
        content = operations.get("post", {}).get("requestBody", {}).get("content", {})
        examples = content.get("application/json", {}).get("examples", {})
        yield from ((path, example["value"]) for example in examples.values())


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the numbers are; of a list the first one speaks for all."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*at, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*at, 0))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield at


def with_mark(body: Any, at: tuple[Any, ...]) -> str:
    """The body's JSON with a mark in that place."""
    copy = json.loads(json.dumps(body))
    inner = copy
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = MARK
    return json.dumps(copy)


def strict(text: str) -> Any:
    """JSON as RFC 8259 has it: no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} left the service")

    return json.loads(text, parse_constant=refuse)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with real(LIMITS) as client:
        yield client


CASES = [(path, body, at) for path, body in bodies() for at in places(body)]


@pytest.mark.parametrize("bad", BAD, ids=[bad[:9] for bad in BAD])
async def test_what_is_no_number_is_refused_wherever_one_stands(
    client: httpx.AsyncClient, bad: str
) -> None:
    assert len(CASES) > 40
    for path, body, at in CASES:
        sent = with_mark(body, at).replace(str(MARK), bad)
        answer = await client.post(path, content=sent, headers=JSON)
        where = f"{path} {'/'.join(map(str, at))} = {bad[:20]}"
        if answer.status_code in {200, 202}:
            assert "history" in at, where  # as answers have it
            assert bad == '"NaN"', where
            continue
        assert answer.status_code in {400, 422}, (where, answer.text[:300])
        problem = strict(answer.text)
        assert problem["type"] in {
            *("malformed-json", "invalid-request", "invalid-data", "budget-exceeded"),
            *("unknown-name",),
        }, where
        assert len(answer.text) < 20_000


ROUTES_WITH_DATA = sorted({path for path, body in bodies() if "data" in body})


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("path", ROUTES_WITH_DATA)
@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400])
async def test_a_row_of_data_is_named_whether_it_may_be_missing_or_not(
    client: httpx.AsyncClient, path: str, bad: str, missing: str
) -> None:
    """A bare NaN is no null; in a short body and in one that is parsed elsewhere."""
    assert {"/fit", "/predict", "/loss", "/gradient", "/plot"} <= set(ROUTES_WITH_DATA)
    data = {"x": "DATA", "y": "TARGET"}
    asked: dict[str, Any] = {"model": "y = a * x", "params": {"a": 1.0}, "data": data}
    if path == "/compare":
        asked = {"models": ["y = a * x"], "data": data}
    if path in {"/fit", "/compare"}:
        asked["missing"] = missing
    if path == "/read":
        asked = {"data": data}
    if path == "/plot":
        asked["view"] = "fit"
    for rows in (3, 200_000):
        column = ["1.25"] * rows
        target = ",".join(column)
        column[1] = bad
        sent = json.dumps(asked).replace('"DATA"', f"[{','.join(column)}]")
        sent = sent.replace('"TARGET"', f"[{target}]")
        answer = await client.post(path, content=sent, headers=JSON)
        assert answer.status_code == 422, (path, rows, answer.text[:300])
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/data/x/1"
        assert error["detail"].startswith("column 'x', row 2 is ")


def _csv(cell: str) -> tuple[bytes, str]:
    return f"x,y\n1,2\n{cell},4\n3,6.5\n".encode(), "text/csv"


def _npz(cell: str) -> tuple[bytes, str]:
    sink = io.BytesIO()
    np.savez(sink, x=np.array([1, float(cell), 3]), y=np.array([2, 4, 6.5]))
    return sink.getvalue(), "application/x-npz"


def _arrow(cell: str) -> tuple[bytes, str]:
    table, sink = pa.table({"x": [1.0, float(cell), 3.0], "y": [2.0, 4.0, 6.5]}), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue(), "application/vnd.apache.arrow.stream"


def _parts(cell: str) -> tuple[bytes, str]:
    head = b'--B\r\nContent-Disposition: form-data; name="data"\r\nContent-Type: text/csv\r\n\r\n'
    return head + _csv(cell)[0] + b"\r\n--B--\r\n", "multipart/form-data; boundary=B"


@pytest.mark.parametrize("form", [_csv, _npz, _arrow, _parts], ids=lambda form: form.__name__[1:])
@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("path", ["/fit", "/predict", "/loss", "/gradient"])
async def test_the_other_forms_are_as_strict(
    client: httpx.AsyncClient, path: str, cell: str, form: Callable[[str], tuple[bytes, str]]
) -> None:
    """There NaN is how a value is missing, which none of these may be."""
    body, kind = form(cell)
    query = "model=y%20%3D%20a%20*%20x&params.a=1"
    answer = await client.post(f"{path}?{query}", content=body, headers={"content-type": kind})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/data/x/1", error


@pytest.mark.parametrize("bad", ["nan", "NaN", "inf", "-Infinity", "1e999", "1" * 400, "0x10"])
async def test_a_number_of_a_query_is_one(client: httpx.AsyncClient, bad: str) -> None:
    """Every query parameter of every route that is a number."""
    fit = (await client.post("/fit", json=BODIES["/fit"][0])).json()
    tried = 0
    for path, operations in DOCUMENT["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", []):
            said = json.dumps(parameter["schema"])
            if parameter["in"] != "query" or not re.search(r'"(number|integer)"', said):
                continue
            tried += 1
            at = path.format(job_id=fit["job_id"], view="fit", format="svg", type="x")
            answer = await client.get(at, params={parameter["name"]: bad})
            where = (path, parameter["name"], answer.text[:200])
            if bad.isdecimal() and parameter["name"] == "after_epoch":
                assert answer.status_code == 200, where  # no epoch is later
                continue
            assert answer.status_code == 422, where
            assert parameter["name"] in answer.text
    assert tried >= 6


@pytest.mark.parametrize(
    "large",
    [
        "1e308",
        *(
            pytest.param(number, marks=pytest.mark.thorough)
            for number in ("-1e308", "5e-324", f"{2**63}", "1e18")
        ),
    ],
)
async def test_the_largest_numbers_are_answered_in_json(
    client: httpx.AsyncClient, large: str
) -> None:
    """Refused or fitted; never a fault, and never a bare NaN in what comes of it."""
    for path, body, at in CASES:
        sent = with_mark(body, at).replace(str(MARK), large)
        answer = await client.post(path, content=sent, headers=JSON)
        assert answer.status_code in {200, 202, 400, 404, 409, 422}, (path, at, answer.text[:300])
        if "json" in answer.headers["content-type"]:  # and no picture
            strict(answer.text)


async def test_a_fit_that_explodes_leaves_no_nan_on_any_route(client: httpx.AsyncClient) -> None:
    body = {
        "model": "y = a * x + b",
        "data": {"x": [1e150, 2e150, 3.0], "y": [1, 2, 3]},
        "params": {"a": 1e150, "b": 1},
        "optimizer": {"name": "sgd", "learning_rate": 1e6},
        "epochs": 50,
        "record_every": 1,
        "on_divergence": "continue",
    }
    answer = await client.post("/fit", json=body)
    if answer.status_code == 422:
        del body["on_divergence"]
        answer = await client.post("/fit", json=body)
    fit = strict(answer.text)
    assert answer.status_code == 200
    at = fit["urls"]["self"]
    for path in ("", "/history", "/history?max_points=5", "/events"):
        told = await client.get(f"{at}{path}")
        assert told.status_code == 200
        for line in told.text.splitlines():
            if path == "/events" and not line.startswith("data: "):
                continue
            strict(line.removeprefix("data: "))
    lines = await client.get(f"{at}/events", headers={"accept": "application/jsonl"})
    for line in lines.text.splitlines():
        strict(line)
    strict((await client.get("/jobs")).text)
    for view in ("fit", "residuals", "loss", "path"):
        picture = await client.get(f"{at}/plot/{view}.svg")
        assert picture.status_code in {200, 422}
        assert not re.search(r'[\s",]-?(nan|inf|NaN|Infinity)[\s",]', picture.text)
    data = {"x": [1e300, 2.0]}
    for asked in (
        {"job_id": fit["job_id"], "data": data},
        {"model": "y = a * x", "params": {"a": 1e300}, "data": data},
    ):
        strict((await client.post("/predict", json=asked)).text)
    beyond = {"model": "y = a * x", "params": {"a": 1e300}, "data": {**data, "y": [1.0, 2.0]}}
    axis = {"min": -1e300, "max": 1e300, "steps": 3}
    told = await client.post("/loss", json={**beyond, "residuals": True, "surface": {"a": axis}})
    assert "Infinity" in told.text
    strict(told.text)
    for more in ({}, {"check": True}, {"explain": True}):
        strict((await client.post("/gradient", json={**beyond, **more})).text)
