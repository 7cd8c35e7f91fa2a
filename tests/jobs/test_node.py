"""What a node does between two answers of the store."""

from __future__ import annotations

import asyncio

import pytest

from tests.jobs.test_executor import RedisSetup


async def test_a_cancel_that_overtakes_the_answer_of_a_claim_is_heard(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = RedisSetup(request)
    node, heard, stops = setup.node, asyncio.Event(), []
    claim, cancel, take = node._patient.claim, node._cancel, node._slots[0].take

    async def overtaken(at, name):
        claimed = await claim(at, name)
        if claimed is not None:
            await setup.executor.cancel(claimed.job.id)
            await heard.wait()
        return claimed

    def hears(job_id):
        cancel(job_id)
        heard.set()

    def taken(active):
        stops.append(active.stop)
        take(active)

    monkeypatch.setattr(node, "_cancel", hears)
    monkeypatch.setattr(node._slots[0], "take", taken)
    monkeypatch.setattr(node._patient, "claim", overtaken)
    await setup.start()
    job = await setup.end(await setup.submit(10**8, record_every=10**8, epoch_s=0.001))
    assert (job.status, stops) == ("cancelled", ["cancelled"])
    monkeypatch.setattr(node._patient, "claim", claim)
    assert (await setup.end(await setup.submit(5))).status == "succeeded"
    await setup.stop()
