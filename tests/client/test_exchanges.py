"""What is said to the service, driven by hand: no socket, no clock."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.client import bodies, errors, exchanges
from service.client.bodies import LARGE, ArrowSupport
from service.client.calls import Call, Exchange, Reply
from service.client.deadline import Deadline

ASK = bodies.ask("/fit", {"x": [1, 2], "y": [3, 4]}, {"model": "linear"})
FIT = {"job_id": "job_1", "params": {"w": 1}}


def answer(status: int, body: dict[str, Any], **headers: str) -> Reply:
    return Reply(status, headers, json.dumps(body).encode())


def job(result: dict[str, Any] | None = None, status: str = "running", **more: Any) -> Reply:
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


LATER = answer(202, {"job_id": "job_1"})
GONE = answer(404, {"type": "unknown-job", "title": "None", "status": 404, "detail": "gone"})


def drive(exchange: Exchange[Any], *replies: Reply) -> tuple[list[Call], Any]:
    """The calls that were made, and what they came to."""
    calls = [next(exchange)]
    for reply in replies:
        try:
            calls.append(exchange.send(reply))
        except StopIteration as end:
            return calls, end.value
    raise AssertionError(f"it goes on with {calls[-1]}")


def said(calls: list[Call]) -> list[str]:
    return [f"{call.method} {call.path}" for call in calls]


def fit(seconds: float | None = None) -> Exchange[Any]:
    return exchanges.fit(ASK, ArrowSupport(), Deadline(seconds))


def test_a_fit_that_is_quick_is_one_call() -> None:
    calls, found = drive(fit(), answer(200, FIT))
    assert (said(calls), found) == (["POST /fit"], FIT)
    assert calls[0].headers["Prefer"] == "wait=20"
    assert calls[0].body == b'{"data":{"x":[1,2],"y":[3,4]},"model":"linear"}'


def test_one_that_is_not_is_waited_for() -> None:
    calls, found = drive(fit(), LATER, job(), job(), job(FIT, "succeeded"))
    assert said(calls) == ["POST /fit", *3 * ["GET /jobs/job_1"]]
    assert [call.query for call in calls[1:]] == 3 * [{"wait": "20"}]
    assert found == FIT


def test_one_that_the_service_forgot_is_sent_anew_with_the_same_key() -> None:
    calls, found = drive(fit(), LATER, GONE, LATER, job(FIT, "succeeded"))
    assert said(calls) == ["POST /fit", "GET /jobs/job_1"] * 2
    assert calls[0].headers["Idempotency-Key"] == calls[2].headers["Idempotency-Key"]
    assert found == FIT
    with pytest.raises(errors.NotFoundError):
        drive(fit(), *3 * (LATER, GONE))


def test_each_fit_has_a_key_of_its_own() -> None:
    keys = {next(fit()).headers["Idempotency-Key"] for _ in range(100)}
    assert len(keys) == 100
    assert all(key.isalnum() for key in keys)


def test_who_has_no_time_left_is_told_which_job_goes_on() -> None:
    with pytest.raises(errors.WaitTimeout, match=r"job_1 is still running.*client\.job\('job_1'\)"):
        drive(fit(0), LATER, job())
    assert next(fit(0)).headers["Prefer"] == "respond-async"
    assert next(fit(2.5)).headers["Prefer"] == "wait=3"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_who_interrupts_the_wait_ends_the_job(interrupt: type[BaseException]) -> None:
    exchange = fit()
    first = next(exchange)
    again = exchange.throw(interrupt())
    assert again.headers["Prefer"] == "respond-async"
    assert (again.body, again.path) == (first.body, first.path)
    assert again.headers["Idempotency-Key"] == first.headers["Idempotency-Key"]
    assert said([exchange.send(LATER)]) == ["POST /jobs/job_1/cancel"]
    with pytest.raises(interrupt):
        exchange.send(job(FIT, "cancelled"))


def test_an_interrupt_stays_one_where_the_service_is_gone() -> None:
    exchange = fit()
    next(exchange)
    exchange.throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        exchange.throw(errors.ConnectionFailed("http://x", "refused", 1))


def test_a_job_that_failed_is_its_problem() -> None:
    problem = {"type": "worker-lost", "title": "Lost", "status": 503, "detail": "it died"}
    with pytest.raises(errors.FitFailedError, match="it died"):
        drive(fit(), LATER, job(status="failed", error=problem))
    with pytest.raises(errors.FitFailedError, match="cancelled before it had a result"):
        drive(fit(), LATER, job(status="cancelled"))


def test_a_submit_takes_a_job_or_a_fit_that_was_there() -> None:
    for reply in (LATER, answer(200, FIT)):
        calls, found = drive(exchanges.submit(ASK, ArrowSupport()), reply)
        assert found == "job_1"
        assert calls[0].headers["Prefer"] == "respond-async"


def test_a_delete_whose_answer_was_lost_is_done() -> None:
    lost = Reply(404, {}, GONE.body, attempts=2)
    assert drive(exchanges.delete("job_1"), lost)[1] is None
    with pytest.raises(errors.NotFoundError):
        drive(exchanges.delete("job_1"), GONE)


def test_large_data_go_as_arrow_and_as_json_to_who_does_not_know_it() -> None:
    large = bodies.ask("/fit", {"x": range(LARGE), "y": range(LARGE)}, {})
    wire = ArrowSupport(takes_arrow=True)
    refused = answer(415, {"type": "x", "title": "x", "status": 415, "detail": "JSON alone"})
    calls, _ = drive(exchanges.fit(large, wire, Deadline(None)), refused, answer(200, FIT))
    kinds = [call.headers["Content-Type"] for call in calls]
    assert kinds == ["application/vnd.apache.arrow.stream", "application/json"]
    calls, _ = drive(exchanges.fit(large, wire, Deadline(None)), answer(200, FIT))
    assert calls[0].headers["Content-Type"] == "application/json"


def test_an_arrow_stream_has_the_columns_and_the_request() -> None:
    import pyarrow as pa

    given = {"x": [1.0, None, 3.0], "plate": ["a", "b", None]}
    body, _ = bodies.ask("/fit", given, {"model": "linear", "epochs": 5}).as_arrow()
    table = pa.ipc.open_stream(body).read_all()
    assert table.to_pydict() == given
    assert json.loads(table.schema.metadata[b"descent"]) == {"model": "linear", "epochs": 5}


@pytest.mark.parametrize("body", [b"<html>a proxy's page</html>", b"[1]", b""])
def test_what_is_not_descents_is_said(body: bytes) -> None:
    with pytest.raises(errors.UnreadableAnswer, match="not an answer of Descent"):
        drive(fit(), Reply(200, {}, body))
    with pytest.raises(errors.AccessError):
        drive(fit(), Reply(401, {}, body))
