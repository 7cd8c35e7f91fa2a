"""One key's unfinished jobs leave room in the store for another's."""

from __future__ import annotations

from tests.security.two_keys import ENDLESS, LINE, two_keys

LONG = [float(i) for i in range(3000)]


async def test_a_queue_of_one_key_costs_another_no_finished_job() -> None:
    async with two_keys(max_store_bytes=10**6, shutdown_grace_s=0.1) as two:
        for _ in range(7):
            (await two.alice.post("/fit", json=LINE)).raise_for_status()
        data = {"x": LONG, "y": LONG}
        statuses: list[int] = []
        while len(statuses) < 20 and 429 not in statuses:
            answer = await two.mallory.post("/fit", json={**ENDLESS, "data": data, "epochs": 10**7})
            statuses.append(answer.status_code)
        assert answer.json()["type"].endswith("quota-exceeded")
        assert int(answer.headers["retry-after"]) >= 1
        assert 202 in statuses
        (await two.alice.post("/fit", json={"data": data, "background": True})).raise_for_status()
        assert len((await two.alice.get("/jobs")).json()["jobs"]) == 8
