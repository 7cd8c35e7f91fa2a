"""One key asks for more than its share; another works on."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.security.two_keys import ENDLESS, LINE, two_keys

SHORT = {**ENDLESS, "epochs": 20_000, "record_every": 20_000, "background": False}


async def test_who_floods_the_queue_is_stopped_and_another_is_served() -> None:
    async with two_keys(max_jobs_per_key=6, max_queued_jobs=64) as two:
        flood = await asyncio.gather(*(two.mallory.post("/fit", json=ENDLESS) for _ in range(40)))
        taken = [one for one in flood if one.status_code == 202]
        refused = [one for one in flood if one.status_code == 429]
        assert (len(taken), len(refused)) == (6, 34)
        assert {one.json()["type"] for one in refused} == {"quota-exceeded"}
        assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
        waiting = asyncio.create_task(two.alice.post("/fit", json=SHORT))
        cheap = await two.alice.post("/fit", json=LINE)
        assert cheap.status_code == 200
        for one in taken:  # whatever runs is not cut short for another: its owner ends it
            await two.mallory.post(one.json()["urls"]["cancel"])
        assert (await waiting).status_code == 200


async def test_turns_are_by_key() -> None:
    """Behind 20 jobs of another, one's own first job is next."""
    async with two_keys() as two:
        jobs = [(await two.mallory.post("/fit", json=ENDLESS)).json() for _ in range(20)]
        mine = (await two.alice.post("/fit", json=ENDLESS)).json()
        assert mine["queue_position"] <= 1
        for job in [mine, *jobs]:
            client = two.alice if job is mine else two.mallory
            await client.post(job["urls"]["cancel"])


@pytest.mark.parametrize("kind", ["text/event-stream", "application/jsonl"])
async def test_hoarded_streams_leave_room_for_others(kind: str) -> None:
    """Streams over more places than a key may hold: the surplus is 429, another's is served."""
    async with two_keys(max_streams=8, max_streams_per_client=4) as two:
        theirs = (await two.mallory.post("/fit", json=ENDLESS)).json()
        mine = (await two.alice.post("/fit", json=ENDLESS)).json()
        hoard = [
            asyncio.create_task(two.mallory.get(theirs["urls"]["events"], headers={"accept": kind}))
            for _ in range(7)
        ]
        done: set[asyncio.Task[httpx.Response]] = set()
        while len(done) < 3:
            done = {task for task in hoard if task.done()}
            await asyncio.sleep(0)
        assert {task.result().status_code for task in hoard if task.done()} == {429}
        watching = asyncio.create_task(two.alice.get(mine["urls"]["events"]))
        await two.alice.post(mine["urls"]["cancel"])
        assert (await watching).status_code == 200
        await two.mallory.post(theirs["urls"]["cancel"])
        said = await asyncio.gather(*hoard)
        assert sorted(one.status_code for one in said) == [200] * 4 + [429] * 3
