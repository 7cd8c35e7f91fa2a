"""The requests of each operation of both clients, over a scripted transport without a clock."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from service.client import bodies, errors
from service.client.bodies import ARROW, LARGE
from service.client.transport import Deadline
from tests.client.scripted import CLIENTS, Run, Script

DATA: dict[str, Any] = {"x": [1, 2], "y": [3, 4]}
FIT = {"job_id": "job_1", "params": {"w": 1}}


@pytest.fixture(params=list(CLIENTS))
def run(request: pytest.FixtureRequest) -> Run:
    return CLIENTS[str(request.param)]


def answer(status: int, body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(status, json=body)


def job(
    result: dict[str, Any] | None = None, status: str = "running", **more: Any
) -> httpx.Response:
    record = {
        "job_id": "job_1",
        "status": status,
        "created_at": "2026-01-01T00:00:00Z",
        "started_at": None,
        "finished_at": None if status == "running" else "2026-01-01T00:00:01Z",
        "queue_position": None,
        "starts_in_s": None,
        "progress": dict.fromkeys(("loss", "best_loss", "epochs_per_s", "eta_s"), None)
        | {"epoch": 0, "epochs": 1},
        "model": "linear",
        "tags": {},
        "result": result,
        "error": None,
        "urls": dict.fromkeys(("self", "history", "events", "cancel"), "/"),
    }
    return answer(200, {**record, **more})


ACCEPTED = answer(202, {"job_id": "job_1"})
UNKNOWN = answer(
    404, {"type": "unknown-job", "title": "None", "status": 404, "detail": "no such job"}
)


def fit(client: Any, seconds: float | None = None, data: Any = DATA) -> Any:
    payload = bodies.fit("linear", data, None, {})
    return client.fitted(payload, Deadline(seconds), None)


def key(request: httpx.Request) -> str:
    return request.headers["Idempotency-Key"]


def test_a_quick_fit_is_one_call(run: Run) -> None:
    script = Script(answer(200, FIT))
    assert run(script, fit) == FIT
    assert script.calls == ["POST /fit"]
    assert script.requests[0].headers["Prefer"] == "wait=20"
    assert script.requests[0].content == b'{"data":{"x":[1,2],"y":[3,4]},"model":"linear"}'


def test_a_slow_fit_is_waited_for(run: Run) -> None:
    script = Script(ACCEPTED, job(), job(), job(FIT, "succeeded"))
    assert run(script, fit) == FIT
    assert script.calls == ["POST /fit", *3 * ["GET /jobs/job_1"]]
    assert [request.url.query for request in script.requests[1:]] == 3 * [b"wait=20"]


def test_a_fit_whose_job_is_lost_is_sent_again_with_the_same_key(run: Run) -> None:
    script = Script(ACCEPTED, UNKNOWN, ACCEPTED, job(FIT, "succeeded"))
    assert run(script, fit) == FIT
    assert script.calls == ["POST /fit", "GET /jobs/job_1"] * 2
    assert key(script.requests[0]) == key(script.requests[2])
    with pytest.raises(errors.NotFoundError):
        run(Script(*3 * (ACCEPTED, UNKNOWN)), fit)


def test_each_fit_has_its_own_key(run: Run) -> None:
    script = Script(answer(200, FIT), repeat=True)
    for _ in range(10):
        run(script, fit)
    keys = {key(request) for request in script.requests}
    assert len(keys) == 10
    assert all(key.isalnum() for key in keys)


def test_a_wait_that_times_out_names_the_job(run: Run) -> None:
    script = Script(ACCEPTED, job())
    with pytest.raises(errors.WaitTimeout, match=r"job_1 is still running.*client\.job\('job_1'\)"):
        run(script, lambda client: fit(client, 0))
    assert script.requests[0].headers["Prefer"] == "respond-async"
    script = Script(answer(200, FIT))
    run(script, lambda client: fit(client, 2.5))
    assert script.requests[0].headers["Prefer"] == "wait=3"


def test_a_result_that_is_not_available_yet_is_asked_for_once(run: Run) -> None:
    script = Script(job())
    with pytest.raises(errors.WaitTimeout):
        run(script, lambda client: client.job("job_1").result())
    assert (script.calls, script.requests[0].url.query) == (["GET /jobs/job_1"], b"")


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_an_interrupted_fit_is_cancelled(run: Run, interrupt: type[BaseException]) -> None:
    script = Script(interrupt(), ACCEPTED, job(FIT, "cancelled"))
    with pytest.raises(interrupt):
        run(script, fit)
    assert script.calls == ["POST /fit", "POST /fit", "POST /jobs/job_1/cancel"]
    first, again, _ = script.requests
    assert again.headers["Prefer"] == "respond-async"
    assert (again.content, key(again)) == (first.content, key(first))


def test_an_interrupt_is_raised_also_without_a_connection(run: Run) -> None:
    script = Script(KeyboardInterrupt(), httpx.ConnectError("refused"), repeat=True)
    with pytest.raises(KeyboardInterrupt):
        run(script, fit)


def test_a_failed_job_raises_its_problem(run: Run) -> None:
    problem = {"type": "worker-lost", "title": "Lost", "status": 503, "detail": "it died"}
    with pytest.raises(errors.FitFailedError, match="it died"):
        run(Script(ACCEPTED, job(status="failed", error=problem)), fit)
    with pytest.raises(errors.FitFailedError, match="cancelled before it had a result"):
        run(Script(ACCEPTED, job(status="cancelled")), fit)


def test_submit_accepts_a_job_and_an_existing_fit(run: Run) -> None:
    for reply in (ACCEPTED, answer(200, FIT)):
        script = Script(reply)
        assert run(script, lambda client: client.submit("linear", DATA)).id == "job_1"
        assert script.requests[0].headers["Prefer"] == "respond-async"


def test_a_delete_is_done_if_the_answer_of_an_earlier_try_was_lost(run: Run) -> None:
    lost = Script(httpx.ReadError("cut"), UNKNOWN)
    assert run(lost, lambda client: client.job("job_1").delete()) is None
    with pytest.raises(errors.NotFoundError):
        run(Script(UNKNOWN), lambda client: client.job("job_1").delete())


def test_large_data_are_sent_as_json_to_a_service_that_does_not_support_arrow(run: Run) -> None:
    large = {"x": range(LARGE), "y": range(LARGE)}
    refused = answer(415, {"type": "x", "title": "x", "status": 415, "detail": "JSON only"})
    script = Script(refused, answer(200, FIT), repeat=True)

    def twice(client: Any) -> Any:
        first = fit(client, data=large)

        async def both() -> None:
            await first
            await fit(client, data=large)

        return both() if asyncio.iscoroutine(first) else fit(client, data=large)

    run(script, twice)
    kinds = [request.headers["Content-Type"] for request in script.requests]
    assert kinds == [ARROW, "application/json", "application/json"]


def test_an_arrow_stream_has_the_columns_and_the_request() -> None:
    import pyarrow as pa

    half = LARGE // 2
    given = {"x": range(LARGE), "y": [1.0, None] * half, "plate": ["a", None] * half}
    payload = bodies.ask("/fit", given, {"model": "linear", "epochs": 5})
    body, kind = payload.body(arrow=True)
    assert kind == ARROW
    table = pa.ipc.open_stream(body).read_all()
    assert table.slice(0, 2).to_pydict() == {"x": [0, 1], "y": [1.0, None], "plate": ["a", None]}
    assert json.loads(table.schema.metadata[b"descent"]) == {"model": "linear", "epochs": 5}


@pytest.mark.parametrize("body", [b"<html>a proxy's page</html>", b"[1]", b""])
def test_an_answer_that_is_not_descents_is_reported(run: Run, body: bytes) -> None:
    with pytest.raises(errors.UnreadableAnswer, match="not an answer of Descent"):
        run(Script(httpx.Response(200, content=body)), fit)
    with pytest.raises(errors.AccessError):
        run(Script(httpx.Response(401, content=body)), fit)
