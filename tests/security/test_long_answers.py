"""Small bodies that ask for long answers: what an answer may take is bounded before it is made, and
the service's memory, as the kernel counts it, stays within what docs/operations/running.md says."""

from __future__ import annotations

import io
import json
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.ipc
import pytest

from service.api.concurrency import ConcurrencyLimit
from service.api.http_errors import TooManyAnswers
from service.api.state import new_state
from service.app import create_app
from service.jobs.service import JobService
from service.schemas.series import written
from service.settings import Settings
from tests.api.fakes import FakeJobs
from tests.api.in_process import door, real
from tests.resilience.servers import Server, started
from tests.security.memory import watched

MIB = 2**20
NPZ = {"content-type": "application/x-npz"}
ROWS = 2_000_000
CURVE = "model=y~a*exp(-b*x)%2Bc&params=a:1.1,b:0.1,c:2"
SMALL: dict[str, Any] = {"workers": 1, "max_answer_bytes": 8 * MIB, "max_answers_bytes": 64 * MIB}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(workers=1) as server:
        yield server


@pytest.fixture(scope="module")
def job(server: Server) -> str:
    asked = {"model": "y = a*x + b + c*x**2", "data": {"x": [*range(6)], "y": [1, 2, 3, 4, 6, 5]}}
    with server.client() as client:
        return str(client.post("/fit", json=asked).raise_for_status().json()["job_id"])


def npz(**columns: Any) -> bytes:
    """Columns that pack to nearly nothing."""
    file = io.BytesIO()
    np.savez_compressed(file, **columns)
    return file.getvalue()


def asked(server: Server, target: str, body: bytes) -> tuple[int, int]:
    """The status and the length of an answer."""
    with (
        server.client() as client,
        client.stream("POST", target, content=body, headers=NPZ) as answer,
    ):
        return answer.status_code, sum(map(len, answer.iter_bytes()))


def test_bands_of_ten_million_rows(server: Server, job: str) -> None:
    """760 MB of JSON of 78 KB, three at once."""
    body = npz(x=np.zeros(10_000_000))
    target = f"/predict?job_id={job}&interval=confidence"
    with watched(server) as risen, server.client() as client:
        with ThreadPoolExecutor() as callers:
            found = list(callers.map(lambda _: asked(server, target, body), range(3)))
        assert {status for status, _ in found} == {422}
        told = client.post(target, content=body, headers=NPZ).json()
        assert told["type"] == "budget-exceeded"
        assert "at most 2,684,354 rows at a time or ask for ?format=arrow" in told["detail"]
        assert risen() < 400 * MIB


@pytest.mark.parametrize(
    ("target", "most"),
    [
        (f"/predict?{CURVE}", 120),
        (f"/predict?{CURVE}&format=csv", 160),
        (f"/predict?{CURVE}&format=arrow", 160),
        (f"/loss?{CURVE}&residuals=true", 200),
        (f"/gradient?{CURVE}&gradient=analytic", 160),
        (f"/gradient?{CURVE}&gradient=autograd", 160),
        (f"/gradient?{CURVE}&check=true", 200),
    ],
)
def test_what_two_million_rows_take(server: Server, target: str, most: int) -> None:
    """Their columns are 16 MiB each, and an answer in JSON is 40: never is all of one at hand."""
    with watched(server) as risen:
        status, _ = asked(server, target, npz(x=np.zeros(ROWS), y=np.ones(ROWS)))
        assert status == 200
        assert risen() < most * MIB


@pytest.mark.thorough
def test_a_network_on_long_data_has_no_layers_of_all_rows(server: Server) -> None:
    """These would be two gigabytes for the loss, and as much again for its gradient."""
    widths, rows = (1, 40, 40, 1), 1_500_000
    params = {}
    for layer, (before, after) in enumerate(pairwise(widths), 1):
        for i in range(1, after + 1):
            params[f"b{layer}_{i}"] = 0.1
            params |= {f"w{layer}_{i}_{j}": 0.1 for j in range(1, before + 1)}
    request = json.dumps({"model": {"name": "mlp", "hidden": [40, 40]}, "params": params})
    packed = npz(x=np.linspace(0, 1, rows), y=np.zeros(rows))
    with watched(server) as risen, server.client() as client:
        answer = client.post("/loss", files={"request": (None, request), "data": ("a.npz", packed)})
        assert answer.status_code == 200, answer.text[:300]
        assert risen() < 300 * MIB


def test_it_holds_where_the_kernel_gives_no_more(job: str) -> None:
    """Long answers, as many at once as may be, where the service may have no more memory than the
    sum of its bounds."""
    with started(**SMALL) as server:
        _limit(server, 64 * MIB + 160 * MIB)
        body = npz(x=np.zeros(300_000))
        with ThreadPoolExecutor(8) as callers:
            found = list(callers.map(lambda _: asked(server, f"/predict?{CURVE}", body), range(40)))
        assert {status for status, _ in found} <= {200, 429}
        assert (200, max(length for _, length in found)) in found
        with server.client() as client:
            assert client.get("/livez").status_code == 200


def _limit(server: Server, more: int) -> None:
    """The server may take so many bytes more than it has."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    held = 1024 * int(status.split("VmData:")[1].split()[0])
    most = held + more
    resource.prlimit(server.process.pid, resource.RLIMIT_DATA, (most, most))


async def test_each_form_has_its_own_bound() -> None:
    rows = 100_000
    body = npz(x=np.zeros(rows))
    async with real(Settings(**{**SMALL, "max_answer_bytes": 25 * rows})) as client:
        for form, fits in (("json", True), ("csv", False), ("arrow", True), ("text", True)):
            target = f"/predict?{CURVE}&format={form}"
            answer = await client.post(target, content=body, headers=NPZ)
            assert (answer.status_code == 200) is fits, form
        over = await client.post(
            f"/predict?{CURVE}", content=npz(x=np.zeros(rows + 1)), headers=NPZ
        )
    assert over.status_code == 422
    assert over.json()["errors"][0]["pointer"] == "/data"


async def test_what_all_take_together_is_bounded() -> None:
    """The columns of a request count too: few numbers are answered here."""
    settings = Settings(workers=1)
    state = new_state(settings, cast(JobService, FakeJobs()))
    state["answers"] = ConcurrencyLimit(2 * MIB, MIB, TooManyAnswers, retry_after_s=2, unit="bytes")
    body = npz(x=np.zeros(100_000), y=np.zeros(100_000))
    async with door(create_app(settings), state) as client:
        for target in ("/loss", "/gradient", "/predict"):
            answer = await client.post(f"{target}?{CURVE}", content=body, headers=NPZ)
            assert answer.status_code == 429, answer.text[:300]
            assert answer.json()["type"] == "too-many-answers"
            assert answer.headers["retry-after"] == "2"
        assert len(state["answers"]) == 0


async def test_groups_whose_answer_would_be_too_long_are_refused() -> None:
    x = np.arange(2000.0)
    body = npz(x=x, y=x, g=np.repeat(np.arange(1000.0), 2))
    async with real(Settings(workers=1, max_answer_bytes=1000 * 16 * 25)) as client:
        target = "/fit?model=y~a*x%2Bb&group_by.column=g"
        assert (await client.post(target, content=body, headers=NPZ)).status_code == 200
        target += "&group_by.history=true"
        told = (await client.post(target, content=body, headers=NPZ)).json()
    assert told["type"] == "budget-exceeded"
    assert told["errors"][0]["pointer"] == "/group_by"
    assert "omit the history" in told["detail"]


async def test_long_answers_are_what_short_ones_are() -> None:
    """Written in slices they are the same bytes, in whatever form."""
    rows = 50_000
    x = np.linspace(-1.0, 1.0, rows)
    async with real(Settings(workers=1)) as client:
        whole = await client.post(f"/predict?{CURVE}", content=npz(x=x), headers=NPZ)
        arrow = await client.post(f"/predict?{CURVE}&format=arrow", content=npz(x=x), headers=NPZ)
        csv = await client.post(f"/predict?{CURVE}&format=csv", content=npz(x=x), headers=NPZ)
    predictions = whole.json()["predictions"]
    assert np.allclose(predictions, 1.1 * np.exp(-0.1 * x) + 2)
    table = pyarrow.ipc.open_stream(io.BytesIO(arrow.content)).read_all()
    assert table["prediction"].to_pylist() == predictions
    assert [float(line.split(",")[1]) for line in csv.text.splitlines()[1:]] == predictions


@pytest.mark.parametrize("shape", [(0,), (1,), (4096,), (4097,), (3, 5000), (5000, 3), (0, 3)])
def test_slices_are_no_longer_seen(shape: tuple[int, ...]) -> None:
    array = np.arange(float(np.prod(shape))).reshape(shape)
    assert json.loads(b"".join(written({"a": array, "b": None}))) == {
        "a": array.tolist(),
        "b": None,
    }
