"""No turn of the event loop is long, whatever is sent and however many at once."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import numpy as np
import pytest
import pytest_asyncio

from service.schemas.answers import Fit
from service.schemas.grouped import GroupedFit
from service.settings import Settings
from tests.security.watchdog import LONGEST_S, Door, Told, door, watched

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUPS = 40_000
NPZ: Any = {"content_type": "application/x-npz"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[Door]:
    async with door(Settings(workers=1)) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def groups(service: Door) -> str:
    """The id of a job of many groups."""
    x = np.arange(2.0 * GROUPS)
    data = {"x": x, "y": x % 7, "g": np.repeat(np.arange(GROUPS), 2)}
    answer = await service.ask("POST", "/fit?model=y~a*x&group_by=g", npz(**data), **NPZ)
    assert answer.status == 200
    assert answer.length > 5 * 10**6
    return str(json.loads(answer.start[: answer.start.index(b",")] + b"}")["job_id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wide(service: Door) -> str:
    """The id of a job with a wide history."""
    asked = {
        "model": {"name": "mlp", "hidden": [50, 50]},
        "data": {"x": [i / 50 for i in range(50)], "y": [(i % 9) / 4 for i in range(50)]},
        "optimizer": "adam",
        "epochs": 100,
        "record_every": 1,
    }
    answer = await service.ask("POST", "/fit", json.dumps(asked).encode())
    assert answer.status == 200
    return str(json.loads(answer.start[: answer.start.index(b",")] + b"}")["job_id"])


def npz(**columns: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **columns)
    return file.getvalue()


async def many(service: Door, count: int, *asked: Any, **headers: Any) -> list[Told]:
    """So many of one request at once."""
    return list(await asyncio.gather(*(service.ask(*asked, **headers) for _ in range(count))))


def nested() -> bytes:
    """Just under a megabyte, of half a million lists."""
    deep = b"[" * 190 + b"]" * 190
    return b'{"data":{"x":[' + b",".join([deep] * 2600) + b'],"y":[1]}}'


def columns() -> bytes:
    """As long, of columns that are none."""
    return b'{"data":{' + b",".join(b'"k%d":1' % i for i in range(80_000)) + b"}}"


def labels() -> bytes:
    return json.dumps({"data": {"g": [f"{i}" for i in range(100_000)], "y": [1]}}).encode()


def numbers() -> bytes:
    return json.dumps({"data": {"x": [i / 7 for i in range(50_000)], "y": [1]}}).encode()


@pytest.mark.parametrize("made", [nested, columns, labels, numbers])
async def test_a_body_of_a_megabyte(service: Door, monkeypatch: Any, made: Any) -> None:
    body = made()
    with watched(monkeypatch) as longest:
        assert {told.status for told in await many(service, 3, "POST", "/fit", body)} == {422}
        assert longest() < LONGEST_S


async def test_a_nested_request_beside_data(service: Door, monkeypatch: Any) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="request"\r\n\r\n'
        + nested()
        + b'\r\n--x\r\nContent-Disposition: form-data; name="data"\r\nContent-Type: text/csv'
        b"\r\n\r\nx,y\n1,2\n2,3\n3,5\n\r\n--x--\r\n"
    )
    multipart = {"content_type": "multipart/form-data; boundary=x"}
    with watched(monkeypatch) as longest:
        told = await many(service, 3, "POST", "/fit", body, **multipart)
        assert {each.status for each in told} == {422}
        assert longest() < LONGEST_S


async def test_predictions_of_many_groups(service: Door, groups: str, monkeypatch: Any) -> None:
    """The fit's document is read by nobody."""

    def never(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a fit was read again")

    asked = json.dumps({"job_id": groups, "data": {"x": [1, 2], "g": [1, 2]}}).encode()
    with watched(monkeypatch) as longest, monkeypatch.context() as patched:
        for document in (Fit, GroupedFit):
            patched.setattr(document, "model_validate_json", never)
        told = await many(service, 30, "POST", "/predict", asked)
        assert {each.status for each in told} == {200}
        assert longest() < LONGEST_S


async def test_a_long_document(service: Door, groups: str, monkeypatch: Any) -> None:
    with watched(monkeypatch) as longest:
        told = await many(service, 10, "GET", f"/jobs/{groups}")
        assert {each.length > 5 * 10**6 for each in told} == {True}
        assert longest() < LONGEST_S


async def test_a_long_table(service: Door, groups: str, monkeypatch: Any) -> None:
    with watched(monkeypatch) as longest:
        told = await service.ask("GET", f"/jobs/{groups}?format=csv")
        assert told.start.count(b"\n") > 100
        assert longest() < LONGEST_S


async def test_many_streams_of_a_wide_history(service: Door, wide: str, monkeypatch: Any) -> None:
    with watched(monkeypatch) as longest:
        told = await many(service, 20, "GET", f"/jobs/{wide}/events")
        assert {each.length for each in told} == {told[0].length}
        assert told[0].length > 10**6
        assert longest() < LONGEST_S


@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
async def test_a_wide_history(service: Door, wide: str, monkeypatch: Any, form: str) -> None:
    with watched(monkeypatch) as longest:
        told = await many(service, 3, "GET", f"/jobs/{wide}/history?format={form}")
        assert {each.status for each in told} == {200}
        assert min(each.length for each in told) > 10**6
        assert longest() < LONGEST_S


@pytest.mark.parametrize("form", ["json", "csv", "arrow", "text"])
async def test_long_predictions(service: Door, monkeypatch: Any, form: str) -> None:
    target = f"/predict?model=y~a*x&params=a:1.1&format={form}"
    with watched(monkeypatch) as longest:
        told = await service.ask("POST", target, npz(x=np.arange(300_000) / 7), **NPZ)
        assert told.status == 200
        assert longest() < LONGEST_S


async def test_wide_networks(service: Door, monkeypatch: Any) -> None:
    """Each has a name, a value and bounds for each of thousands of params."""
    asked: dict[str, Any] = {
        "model": {"name": "mlp", "hidden": [60, 62]},
        "data": {"x": [1, 2, 3], "y": [2, 4, 7]},
        "epochs": 1,
        "background": True,
    }
    names = [
        f"{kind}{layer}_{i + 1}{source}"
        for layer, (before, after) in enumerate([(1, 60), (60, 62), (62, 1)], 1)
        for kind, sources in (("w", [f"_{j + 1}" for j in range(before)]), ("b", [""]))
        for i in range(after)
        for source in sources
    ]
    all_given = {**asked, "params": dict.fromkeys(names, 0.1)}
    for body in (asked, all_given):
        with watched(monkeypatch) as longest:
            told = await many(service, 3, "POST", "/fit", json.dumps(body).encode())
            assert {each.status for each in told} == {202}
            assert longest() < LONGEST_S


async def test_a_grid_of_losses(service: Door, monkeypatch: Any) -> None:
    asked = {
        "data": {"x": [1, 2, 3], "y": [2, 4, 7]},
        "model": "y = a*x + b",
        "params": {"a": 1, "b": 1},
        "surface": {name: {"min": 0, "max": 3, "steps": 500} for name in ("a", "b")},
    }
    with watched(monkeypatch) as longest:
        told = await service.ask("POST", "/loss", json.dumps(asked).encode())
        assert told.status == 200
        assert longest() < LONGEST_S
