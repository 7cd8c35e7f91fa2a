"""Faults between a client and a real server: no fit is run twice, and none is lost.

A fit's jobs are those that the server lists with its tag. The pauses between tries are skipped.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from service.client import AsyncDescent, ConnectionFailed, Descent, Fit, transport
from service.client.answers import Event
from tests.client.parts import DATA, DECAY, DECAY_DATA, ENDLESS, LINE, MODEL
from tests.client.proxy import FAULTS, Proxy, proxied
from tests.resilience.servers import Server
from tests.soon import PATIENCE_S

QUICK = sorted(set(FAULTS) - {"late"})


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Proxy]:
    with proxied(server.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Descent]:
    proxy.faults.clear()
    proxy.requests.clear()
    with Descent(proxy.address, sleep=lambda _: None) as client:
        yield client


@pytest.fixture
async def aclient(proxy: Proxy) -> AsyncIterator[AsyncDescent]:
    proxy.faults.clear()
    async with AsyncDescent(proxy.address, sleep=lambda _: asyncio.sleep(0)) as client:
        yield client


def jobs_of(server: Server, tag: str) -> list[str]:
    """Ids of the jobs with that tag, from the server without the proxy."""
    with Descent(server.address) as direct:
        return [job.job_id for job in direct.jobs() if job.tags.get("of") == tag]


def tag() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize("fault", QUICK)
def test_each_fault_leads_to_one_fit(
    fault: str, client: Descent, proxy: Proxy, server: Server
) -> None:
    proxy.next(fault, fault)
    mine = tag()
    fit = client.fit(MODEL, DATA, tags={"of": mine})
    assert fit.params == pytest.approx(LINE, rel=1e-12)
    assert jobs_of(server, mine) == [fit.job_id]
    assert not proxy.faults or fault in {"none", "slow"}


def test_random_faults_lead_to_one_fit(client: Descent, proxy: Proxy, server: Server) -> None:
    draw = random.Random(7)
    for _ in range(60):
        proxy.faults.clear()
        proxy.next(*draw.choices(QUICK, k=draw.randint(1, client.retries)))
        mine = tag()
        fit = client.fit(MODEL, DATA, tags={"of": mine})
        assert fit.params == pytest.approx(LINE, rel=1e-12)
        assert jobs_of(server, mine) == [fit.job_id]


async def test_concurrent_fits_with_faults(
    aclient: AsyncDescent, proxy: Proxy, server: Server
) -> None:
    draw, mine = random.Random(11), tag()
    # Fewer faults than one call has retries, in any order.
    proxy.next(*(draw.choice([*QUICK, *4 * ["none"]]) for _ in range(60)))
    aclient.retries = 60
    asked = (aclient.fit(MODEL, DATA, tags={"of": mine}) for _ in range(30))
    fits = await asyncio.gather(*asked)
    assert all(fit.params == pytest.approx(LINE, rel=1e-12) for fit in fits)
    assert sorted(fit.job_id for fit in fits) == sorted(jobs_of(server, mine))


def test_a_timeout_is_retried(
    client: Descent, proxy: Proxy, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeout is short for the first try only."""
    monkeypatch.setattr(transport, "ANSWER_S", 0.5)
    monkeypatch.setattr("service.client.transport.WAIT_S", 1)
    wait = partial(monkeypatch.setattr, transport, "ANSWER_S", PATIENCE_S)
    monkeypatch.setattr(client, "_sleep", lambda _: wait())
    proxy.next("late", "none")
    mine = tag()
    fit = client.fit(MODEL, DATA, tags={"of": mine})
    assert jobs_of(server, mine) == [fit.job_id]
    assert proxy.requests == ["POST /fit", "POST /fit"]


def test_submit_creates_one_job(client: Descent, proxy: Proxy, server: Server) -> None:
    for fault in QUICK:
        proxy.next(fault, fault)
        mine = tag()
        job = client.submit(MODEL, DATA, tags={"of": mine})
        assert jobs_of(server, mine) == [job.id]
        proxy.faults.clear()


def test_wait_resumes(client: Descent, proxy: Proxy) -> None:
    job = client.submit(DECAY, DECAY_DATA)
    proxy.next("before", "after", "503", "midway")
    found = job.wait()
    assert isinstance(found, Fit)
    assert found.job_id == job.id
    assert proxy.requests == ["POST /fit", *5 * [f"GET /jobs/{job.id}"]]


def test_cancel_is_retried(client: Descent, proxy: Proxy) -> None:
    job = client.submit(DECAY, DECAY_DATA, **ENDLESS)
    proxy.next("after", "429", "midway")
    first = job.cancel()
    assert job.status() == "cancelled"
    assert first == job.result()


def test_delete_succeeds_if_its_answer_was_lost(client: Descent, proxy: Proxy) -> None:
    job = client.submit(MODEL, DATA)
    job.wait()
    proxy.next("after")
    job.delete()


def test_events_are_complete_and_unique_over_broken_streams(client: Descent, proxy: Proxy) -> None:
    job = client.submit(DECAY, DECAY_DATA, optimizer="adam", epochs=3000, record_every=1)
    job.wait()
    proxy.next("before", "midway", "after", "429", "midway", "midway")
    seen, last = rows(job.events())
    assert seen == list(range(1, 3001))
    assert last == "done"
    assert not proxy.faults


async def test_events_of_the_asynchronous_client(aclient: AsyncDescent, proxy: Proxy) -> None:
    job = await aclient.submit(DECAY, DECAY_DATA, optimizer="adam", epochs=3000, record_every=1)
    await job.wait()
    proxy.next("before", "midway", "after", "503", "midway")
    seen, last = rows([event async for event in job.events()])
    assert seen == list(range(1, 3001))
    assert last == "done"


def rows(events: Iterator[Event] | list[Event]) -> tuple[list[int], str]:
    """The epochs of the rows, and the name of the last event."""
    epochs: list[int] = []
    last = ""
    for event in events:
        last = event.event
        if event.event == "progress":
            epochs += event.history.epoch
    return epochs, last


def test_retries_end_with_an_error(client: Descent, proxy: Proxy, server: Server) -> None:
    """The fit is not lost: the same key returns its job."""
    proxy.next("after", *5 * ["before"])
    mine = tag()
    with pytest.raises(ConnectionFailed, match=r"no answer from http://127.*\(6 tries\)"):
        client.fit(MODEL, DATA, tags={"of": mine}, idempotency_key=mine)
    (job_id,) = jobs_of(server, mine)
    fit = client.fit(MODEL, DATA, tags={"of": mine}, idempotency_key=mine)
    assert fit.job_id == job_id
    assert jobs_of(server, mine) == [job_id]


def test_retries_of_a_stream_end_with_an_error(client: Descent, proxy: Proxy) -> None:
    job = client.submit(MODEL, DATA)
    proxy.next(*6 * ["before"])
    with pytest.raises(ConnectionFailed):
        list(job.events())
