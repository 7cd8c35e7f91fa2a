"""Pictures over HTTP: drawn apart, while everyone else is served."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import numpy as np
import pytest
import pytest_asyncio

from service.api import render_process
from service.api.concurrency import ConcurrencyLimit
from service.api.http_errors import TooManyPictures
from service.api.render_process import RenderProcess
from service.api.routes.plots import OF_A_JOB
from service.api.state import RENDER_ENTRY, new_state
from service.app import create_app
from service.errors import BudgetExceeded, InvalidRequest, WorkerLost
from service.jobs.service import JobService
from service.schemas.compute import Predictions
from service.schemas.plot import PlotRequest
from service.settings import Settings
from tests.api.fakes import FakeJobs, failed, job
from tests.api.in_process import door, fake
from tests.render.made import THERMOMETER, descent
from tests.security.watchdog import Door
from tests.soon import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDLESS = {**descent(1e-4), "optimizer": "adam", "epochs": 10**8, "background": True}
LOSSES = PlotRequest(view="losses", format="txt")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def renderer() -> AsyncIterator[RenderProcess]:
    made = RenderProcess(RENDER_ENTRY, PATIENCE_S)
    yield made
    await made.close()


KINDS = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "txt": "text/plain; charset=utf-8",
}


@pytest.mark.parametrize("view", OF_A_JOB)
async def test_pictures_of_a_job(client: httpx.AsyncClient, view: str) -> None:
    fit = (await client.post("/fit", json=descent(1e-2, 100))).json()
    at = f"{fit['urls']['self']}/plot/{view}"
    for format, kind in KINDS.items():
        answer = await client.get(f"{at}.{format}", params={"theme": "dark", "width": 640})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    text = (await client.get(f"{at}.txt")).text
    assert "t_c = w * t_u + b" in text
    if view in ("fit", "residuals", "path"):
        assert "drawn at the best params, of epoch 1" in text
    if view in ("loss", "path"):
        assert "sgd, learning rate 0.01" in text


async def test_the_link_of_a_fit_is_its_picture(client: httpx.AsyncClient) -> None:
    fit = (await client.post("/fit", json=THERMOMETER)).json()
    answer = await client.get(fit["urls"]["plot"])
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "95 % band for new points" in answer.text


async def test_while_a_job_runs(client: httpx.AsyncClient) -> None:
    started = (await client.post("/fit", json=ENDLESS)).json()
    at = started["urls"]["self"]
    early = await client.get(f"{at}/plot/fit.svg")
    assert early.status_code == 409
    assert "`loss` and `path` are" in early.json()["detail"]
    while not (await client.get(f"{at}/history")).json()["epoch"]:
        await client.get(at, params={"wait": 0.05})
    for view in ("loss", "path"):
        assert (await client.get(f"{at}/plot/{view}.txt")).status_code == 200
    await client.post(f"{at}/cancel")
    assert (await client.get(f"{at}/plot/fit.txt")).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/jobs/job_1/plot/losss.svg", 404, "did you mean 'loss'?"),
        ("/jobs/job_1/plot/losses.svg", 404, "unknown picture 'losses'"),
        ("/jobs/job_1/plot/fit.gif", 404, "known: pdf, png, svg, txt"),
        ("/jobs/job_1/plot/fit.svg?theme=blue", 422, "theme"),
        ("/jobs/job_1/plot/fit.svg?width=10", 422, "width"),
        ("/jobs/job_1/plot/fit.svg?along=a,b,c", 422, "one or two params"),
        ("/jobs/job_1/plot/fit.svg", 422, "failed without a fit to draw"),
    ],
)
async def test_what_cannot_be_drawn(path: str, status: int, detail: str) -> None:
    async with fake(FakeJobs(failed("job-failed"))) as client:
        answer = await client.get(path)
    assert answer.status_code == status
    assert detail in answer.json()["detail"]


async def test_a_job_by_groups_has_a_picture_of_all_and_of_each(
    client: httpx.AsyncClient,
) -> None:
    data = {"x": [1, 2, 3, 1, 2, 3], "y": [1, 2, 4, 3, 2, 0], "g": list("aaabbb")}
    body = {"model": "y = a*x + b", "data": data, "group_by": {"column": "g", "history": True}}
    fit = (await client.post("/fit", json=body)).raise_for_status().json()
    every = await client.get(fit["urls"]["plot"])
    assert every.status_code == 200, every.text
    assert "g a" in every.text
    assert "g b" in every.text
    at = f"{fit['urls']['self']}/plot"
    for view in OF_A_JOB:
        one = await client.get(f"{at}/{view}.txt", params={"group": "b"})
        assert one.status_code == 200, one.text
        assert "g b" in one.text
    titled = await client.get(f"{at}/fit.txt", params={"group": "b", "title": "The second"})
    assert titled.text.startswith("The second")


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ("fit.svg?group=c", "unknown group 'c'"),
        ("residuals.svg", "name it in `group`"),
        ("loss.svg?group=a", 'with "history": true in `group_by`'),
        ("fit.svg?x_axis=log", "0 or more"),
    ],
)
async def test_what_cannot_be_drawn_of_groups(
    client: httpx.AsyncClient, asked: str, detail: str
) -> None:
    data = {"x": [-1, 2, 3, 1, 2, 3], "y": [1, 2, 4, 3, 2, 0], "g": list("aaabbb")}
    body = {"model": "y = a*x + b", "data": data, "group_by": "g"}
    fit = (await client.post("/fit", json=body)).raise_for_status().json()
    answer = await client.get(f"{fit['urls']['self']}/plot/{asked}")
    assert answer.status_code == 422, answer.text
    assert detail in answer.json()["detail"]


async def test_only_a_job_by_groups_has_one(client: httpx.AsyncClient) -> None:
    fit = (await client.post("/fit", json=THERMOMETER)).json()
    answer = await client.get(fit["urls"]["plot"], params={"group": "a"})
    assert answer.status_code == 422
    assert "'group' is of a job by groups" in answer.json()["detail"]


async def test_a_queued_job_has_no_loss_yet(client: httpx.AsyncClient) -> None:
    async with fake(_Empty(job("queued"))) as alone:
        answer = await alone.get("/jobs/job_1/plot/loss.svg")
    assert answer.status_code == 409
    assert "is not available yet" in answer.json()["detail"]


class _Empty(FakeJobs):
    async def history(self, *asked: Any) -> list[Any]:
        return []


async def test_what_is_sent_along(client: httpx.AsyncClient) -> None:
    fit = (await client.post("/fit", json=THERMOMETER)).json()
    body = {**fit["predict"], "data": THERMOMETER["data"], "view": "fit"}
    svg = await client.post("/plot", json={**body, "units": {"t_u": "°F"}})
    assert svg.headers["content-type"] == "image/svg+xml"
    assert "t_u [°F]" in svg.text
    png = await client.post("/plot", json=body, headers={"accept": "image/png"})
    assert png.content.startswith(b"\x89PNG")
    jumped = (await client.post("/fit", json=descent(1e-2, 100))).json()
    text = {"view": "loss", "format": "txt", "history": jumped["history"]}
    assert "the best, 1764" in (await client.post("/plot", json=text)).text
    path = {**body, "view": "path", "format": "txt", "history": jumped["history"]}
    assert "it leaves the plot" in (await client.post("/plot", json=path)).text


async def test_histories_with_words_for_numbers(client: httpx.AsyncClient) -> None:
    history = {"epoch": [1, 2, 3], "loss": [2.0, "Infinity", "NaN"]}
    answer = await client.post("/plot", json={"view": "loss", "format": "txt", "history": history})
    assert "not finite from epoch 2 on" in answer.text


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"view": "fits"}, 422, "/view"),
        ({"view": "loss"}, 422, "/history"),
        ({"view": "fit", "data": {"x": [1.0]}}, 422, "/params"),
        ({"view": "fit", **THERMOMETER, "params": {"q": 1.0}}, 422, "/params/q"),
        ({"view": "losses", "width": 9000, "height": 9000}, 422, "/width"),
        ({"view": "loss", "history": {"epoch": [1], "loss": []}}, 422, "/history/loss"),
    ],
)
async def test_what_is_wrong_is_pointed_at(
    client: httpx.AsyncClient, body: Any, status: int, pointer: str
) -> None:
    answer = await client.post("/plot", json=body)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_picture_that_nobody_accepts(client: httpx.AsyncClient) -> None:
    answer = await client.post("/plot", json={"view": "losses"}, headers={"accept": "text/html"})
    assert answer.status_code == 406
    assert "image/svg+xml, image/png, application/pdf, text/plain" in answer.json()["detail"]


# --- the process apart ----------------------------------------------------------------------------


async def test_there_is_no_process_until_one_is_needed() -> None:
    settings = Settings()
    state = new_state(settings, cast(JobService, FakeJobs()))
    async with door(create_app(settings), state) as client:
        await client.get("/losses")
        assert state["renderer"].pid == 0
        await client.post("/plot", json={"view": "losses", "format": "txt"})
        pid = state["renderer"].pid
        assert pid
        os.kill(pid, signal.SIGSTOP)
        drawing = asyncio.create_task(client.post("/plot", json={"view": "losses"}))
        for _ in range(3):
            assert (await client.get("/livez")).status_code == 200
        assert not drawing.done()
        os.kill(pid, signal.SIGCONT)
        assert (await drawing).status_code == 200
        await state["renderer"].close()
        assert state["renderer"].pid == 0


async def test_a_process_that_was_killed_is_replaced(renderer: RenderProcess) -> None:
    first = await renderer.call("picture", LOSSES, 10)
    victim = renderer.pid
    os.kill(victim, signal.SIGKILL)
    assert await renderer.call("picture", LOSSES, 10) == first
    assert renderer.pid != victim


async def test_what_it_refuses_keeps_its_type_and_its_pointer(renderer: RenderProcess) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await renderer.call("picture", PlotRequest(view="path", format="txt"), 10)
    assert refused.value.errors[0].pointer == "/history"
    with pytest.raises(RuntimeError, match="its log has the exception"):
        await renderer.call("picture", None, 10)


async def test_it_goes_when_nobody_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_process, "IDLE_S", 0.0)
    made = RenderProcess(RENDER_ENTRY, PATIENCE_S)
    await made.call("picture", LOSSES, 10)
    while made.pid:
        await asyncio.sleep(0)
    await made.close()


async def test_a_call_has_a_limit_and_a_process_that_never_lives_is_given_up() -> None:
    slow = RenderProcess(RENDER_ENTRY, 0.0)
    with pytest.raises(BudgetExceeded, match="longer than 0 s"):
        await slow.call("picture", LOSSES, 10)
    await slow.close()
    mortal = RenderProcess("tests.jobs.fakes:stillborn", PATIENCE_S)
    with pytest.raises(WorkerLost):
        await mortal.call("picture", LOSSES, 10)
    await mortal.close()


async def test_a_process_that_is_stopped_blames_itself() -> None:
    made = RenderProcess(RENDER_ENTRY, PATIENCE_S)
    await made.call("picture", LOSSES, 10)
    os.kill(made.pid, signal.SIGSTOP)
    made._helper._longest_s = 0.05
    with pytest.raises(WorkerLost, match="was stopped"):
        await made.call("picture", LOSSES, 10)
    made._helper._longest_s = PATIENCE_S
    assert await made.call("picture", LOSSES, 10)
    await made.close()


async def test_long_tables_of_one_caller_keep_nobody_waiting(renderer: RenderProcess) -> None:
    """Another's picture has its turn after one of them."""
    table = ("csv", Predictions(predictions=np.arange(10_000.0), target="y"))
    done: list[str] = []

    async def call(caller: str, name: str, *arguments: object) -> None:
        await renderer.call(name, *arguments, caller=caller)
        done.append(caller)

    await renderer.call("picture", LOSSES, 10)
    os.kill(renderer.pid, signal.SIGSTOP)
    tables = [asyncio.create_task(call("a", "write", *table)) for _ in range(12)]
    await asyncio.sleep(0)
    picture = asyncio.create_task(call("b", "picture", LOSSES, 10))
    await asyncio.sleep(0)
    os.kill(renderer.pid, signal.SIGCONT)
    await asyncio.gather(*tables, picture)
    assert done.index("b") <= 2


async def test_long_tables_hold_places_and_a_hang_up_is_heard() -> None:
    settings = Settings()
    state = new_state(settings, cast(JobService, FakeJobs()))
    state["pictures"] = ConcurrencyLimit(1, 1, TooManyPictures, retry_after_s=2)
    target = "/predict?model=y~a*x&params=a:1&format=csv"
    file = io.BytesIO()
    np.savez(file, x=np.arange(10_000.0))
    body, npz = file.getvalue(), "application/x-npz"
    service, gone = Door(create_app(settings), state), asyncio.Event()
    assert (await service.ask("POST", target, body, content_type=npz)).status == 200
    os.kill(state["renderer"].pid, signal.SIGSTOP)
    waiting = asyncio.create_task(service.ask("POST", target, body, content_type=npz, gone=gone))
    while not len(state["pictures"]):
        await asyncio.sleep(0)
    answer = await service.ask("POST", target, body, content_type=npz)
    assert answer.status == 429
    assert json.loads(answer.start)["type"] == "too-many-pictures"
    gone.set()
    await waiting
    assert len(state["pictures"]) == 0
    assert (await service.ask("POST", target, body, content_type=npz)).status == 200
    await state["renderer"].close()


async def test_pictures_that_wait_are_bounded() -> None:
    settings = Settings()
    state = new_state(settings, cast(JobService, FakeJobs()))
    state["pictures"] = ConcurrencyLimit(0, 1, TooManyPictures, retry_after_s=2)
    async with door(create_app(settings), state) as client:
        answer = await client.post("/plot", json={"view": "losses"})
    assert answer.status_code == 429
    assert answer.json()["type"] == "too-many-pictures"
    assert answer.headers["retry-after"] == "2"
