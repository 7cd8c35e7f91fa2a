"""Both clients against a real server: what each method does."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import numpy as np
import pytest

from service.client import (
    AsyncDescent,
    ConflictError,
    ConnectionFailed,
    Descent,
    Fit,
    InvalidRequestError,
    NotFoundError,
    WaitTimeout,
)
from tests.client.parts import DATA, DECAY, DECAY_DATA, ENDLESS, LINE, MODEL
from tests.resilience.servers import Server, until
from tests.serving import unused_address
from tests.soon import PATIENCE_S


def test_fit(client: Descent) -> None:
    fit = client.fit(MODEL, DATA)
    assert fit.params == pytest.approx(LINE, rel=1e-12)
    assert set(fit.stderr) == {"w", "b"}
    assert fit.trustworthy
    assert repr(fit) == f"<Fit {MODEL}: w=0.536772, b=-17.3048; converged, trustworthy>"


def test_options_reach_the_service(client: Descent) -> None:
    fit = client.fit(
        MODEL,
        DATA,
        params={"w": 0.1, "b": 0.0},
        optimizer={"name": "sgd", "learning_rate": 0.01},
        scaling={"t_u": {"scale": 0.1}},
        epochs=5000,
        record_every=500,
    )
    assert fit.optimizer == "sgd"
    assert fit.history.epoch == [1, *range(500, 5001, 500)]
    assert fit.params == pytest.approx({"w": 5.367089798058013, "b": -17.301222521007173}, rel=1e-9)


def test_an_invalid_request_raises_the_problem_of_the_service(client: Descent) -> None:
    with pytest.raises(InvalidRequestError, match="did you mean 'linear'") as caught:
        client.fit("lineer", DATA)
    assert [error.pointer for error in caught.value.errors] == ["/model"]
    assert caught.value.problem.request_id
    with pytest.raises(InvalidRequestError) as caught:
        client.fit(MODEL, {**DATA, "t_c": [float("inf"), *DATA["t_c"][1:]]})
    assert [error.pointer for error in caught.value.errors] == ["/data/t_c/0"]


def test_job(client: Descent) -> None:
    job = client.submit(DECAY, DECAY_DATA, optimizer="adam", epochs=500, tags={"who": "me"})
    fit = job.wait()
    assert job.status() == "succeeded"
    assert job.result() == fit
    assert job.record().tags == {"who": "me"}
    assert job.history(max_points=3).total == 500
    assert job.history(after_epoch=498).epoch == [499, 500]
    assert client.job(job.id).result() == fit
    job.delete()
    with pytest.raises(NotFoundError):
        job.status()


def test_running_job(client: Descent) -> None:
    job = client.submit(DECAY, DECAY_DATA, **ENDLESS)
    with pytest.raises(WaitTimeout, match=job.id):
        job.result()
    with pytest.raises(WaitTimeout):
        client.fit(DECAY, DECAY_DATA, timeout=0, **ENDLESS)
    until(lambda: job.status() == "running")
    with pytest.raises(ConflictError):
        job.delete()
    for record in client.jobs():
        client.job(record.job_id).cancel()
    fit = job.result()
    assert isinstance(fit, Fit)
    assert fit.stop_reason == "cancelled"


def test_jobs_are_listed_by_pages(client: Descent) -> None:
    made = [client.fit(MODEL, DATA).job_id for _ in range(5)]
    listed = [job.job_id for job in client.jobs("succeeded", page=2)]
    assert listed[:5] == made[::-1]
    assert len(listed) == len(set(listed))


def test_predictions(client: Descent) -> None:
    fit = client.fit(MODEL, DATA)
    at = {"t_u": np.array([0.0, 100.0])}
    expected = [LINE["b"], LINE["b"] + 100 * LINE["w"]]
    found = fit.predict(at, interval="prediction")
    assert np.asarray(found) == pytest.approx(expected, rel=1e-9)
    assert found.lower is not None
    assert len(found) == len(found.lower) == 2
    assert found.target == "t_c"
    assert client.predict(MODEL, at, fit.params).predictions == pytest.approx(expected, rel=1e-9)
    by_job = client.predict(None, at, job_id=fit.job_id)
    assert np.array_equal(by_job.predictions, found.predictions)


def test_losses_and_gradients(client: Descent) -> None:
    """At w = 1 and b = 0, from the tutorial."""
    at = {"w": 1.0, "b": 0.0}
    assert client.loss(MODEL, DATA, at).loss == pytest.approx(1763.8845454545458)
    found = client.gradient(MODEL, DATA, at, check=True)
    assert found.gradient == pytest.approx({"w": 4517.296363636364, "b": 82.6})
    assert found.check is not None
    assert found.check.agree


def test_the_catalogue(client: Descent) -> None:
    assert "logistic4" in {model.name for model in client.models()}
    assert "huber" in {loss.name for loss in client.losses()}
    assert "sgd" in {optimizer.name for optimizer in client.optimizers()}
    assert client.ready() == {"status": "ok"}


def test_no_service() -> None:
    with (
        unused_address() as address,
        Descent(address, retries=1, sleep=lambda _: None) as client,
        pytest.raises(ConnectionFailed, match=rf"no answer from http://{address}: .*2 tries"),
    ):
        client.fit(MODEL, DATA)


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        (None, "http://127.0.0.1:8000"),
        ("localhost:9", "http://localhost:9"),
        ("https://a.example/descent/", "https://a.example/descent"),
    ],
)
def test_address(given: str | None, resolved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DESCENT_URL", raising=False)
    with Descent(given) as client:
        assert client.url == resolved
    monkeypatch.setenv("DESCENT_URL", "localhost:7")
    with Descent() as client:
        assert client.url == "http://localhost:7"


@pytest.mark.parametrize("bad", ["ftp://x", "http://", "file:///etc/passwd"])
def test_invalid_address(bad: str) -> None:
    with pytest.raises(ValueError, match="is not a service's address"):
        Descent(bad)


def test_an_interrupt_cancels_the_fit(server: Server) -> None:
    code = (
        "from service.client import Descent\n"
        "from tests.client.parts import DECAY, DECAY_DATA, ENDLESS\n"
        f"Descent('{server.address}').fit(DECAY, DECAY_DATA, tags={{'of': '^C'}}, **ENDLESS)"
    )
    with (
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process,
        Descent(server.address) as client,
    ):
        (job_id,) = until(lambda: [j.job_id for j in client.jobs("running")])
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
        assert client.job(job_id).status() == "cancelled"


async def test_asynchronous_client(aclient: AsyncDescent) -> None:
    fit = await aclient.fit(MODEL, DATA)
    assert fit.params == pytest.approx(LINE, rel=1e-12)
    assert np.asarray(await fit.predict({"t_u": [0.0]})) == pytest.approx([LINE["b"]], rel=1e-9)
    job = await aclient.submit(MODEL, DATA)
    assert (await job.wait()).params == fit.params
    assert (await job.result()).params == fit.params
    assert await job.status() == "succeeded"
    assert (await job.record()).job_id == job.id
    assert (await job.history()).epoch
    assert [event.event async for event in job.events()][-1] == "done"
    assert (await aclient.loss(MODEL, DATA, LINE)).loss == pytest.approx(fit.loss)
    assert (await aclient.gradient(MODEL, DATA, LINE)).loss == pytest.approx(fit.loss)
    assert len(await aclient.models()) > 20
    assert await aclient.losses()
    assert await aclient.optimizers()
    assert job.id in [record.job_id async for record in aclient.jobs()]
    await job.delete()


async def test_cancelling_the_task_cancels_the_fit(aclient: AsyncDescent) -> None:
    task = asyncio.create_task(aclient.fit(DECAY, DECAY_DATA, **ENDLESS))
    while not (found := [job async for job in aclient.jobs("running")]):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await aclient.job(found[0].job_id).status() == "cancelled"


async def test_concurrent_fits(aclient: AsyncDescent) -> None:
    fits = await asyncio.gather(*(aclient.fit(MODEL, DATA) for _ in range(50)))
    assert len({fit.job_id for fit in fits}) == 50


def test_unknowns(client: Descent) -> None:
    fit = client.fit(MODEL, DATA)
    readings = {"t_c": [10.0, 11.0], "sample": ["u", "u"]}
    found = fit.invert(readings)
    assert len(found) == 1
    assert found.estimate.tolist() == pytest.approx([(10.5 - fit.params["b"]) / fit.params["w"]])
    assert found.lower[0] < found.estimate[0] < found.upper[0]
    by_job = client.invert(None, readings, job_id=fit.job_id, interval="wald")
    assert np.array_equal(by_job.estimate, found.estimate)
    assert found.columns()["status"] == ["ok"]
    assert "from t_c" in str(found)
