"""What a node's slots see of the store: slices are gathered, and a Redis that is away is waited
for."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import StoreUnavailable
from service.jobs.history import Rows
from service.jobs.job import Progress
from service.jobs.redis import node_store
from service.jobs.redis.node_store import NodeStore
from service.jobs.redis.store import Changed
from tests.jobs.conftest import SetClock, a_job
from tests.jobs.scripted_workers import rows

JOB = a_job(SetClock())


class Recorder:
    """Takes the place of a store; writes down what it is told."""

    def __init__(self, listeners: int = 0, failures: int = 0) -> None:
        self.listeners, self.failures = listeners, failures
        self.appended: list[list[int]] = []
        self.given: list[dict[str, Any]] = []
        self.told: list[str] = []

    async def append_heard(
        self, job_id: str, rows: Rows, progress: Progress, **more: Any
    ) -> Changed:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable
        self.appended.append(rows.epoch.tolist())
        self.given.append(more)
        self.told.append("append")
        return Changed(JOB, self.listeners, 0.0, 0.0)

    async def finish(self, *args: Any, **end: Any) -> None:
        self.told.append("finish")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """For ever where nobody listens, none where somebody does."""
    monkeypatch.setattr(node_store, "_UNHEARD_S", 3600.0)
    monkeypatch.setattr(node_store, "_HEARD_S", 0.0)
    monkeypatch.setattr(node_store, "_FIRST_PAUSE_S", 0.0)


async def append(store: NodeStore, first: int, last: int, **more: Any) -> None:
    await store.append(JOB.id, rows(first, last), Progress(epoch=last), attempt=1, **more)


def test_at_most_ten_a_second_and_two_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert node_store._HEARD_S >= 1 / 10
    assert node_store._UNHEARD_S >= 1 / 2


async def test_slices_that_nobody_waits_for_are_gathered() -> None:
    told = Recorder()
    store = NodeStore(told)  # type: ignore[arg-type]
    await append(store, 1, 2)
    await append(store, 3, 4, checkpoint=b"early", spent_s=1.0)
    await append(store, 5, 6, checkpoint=b"late", spent_s=2.0)
    await append(store, 7, 8, spent_s=3.0)
    assert told.appended == [[1, 2]]
    await store.finish(JOB.id, "succeeded", JOB.created_at, attempt=1)
    assert told.appended == [[1, 2], [3, 4, 5, 6, 7, 8]]
    assert (told.given[1]["checkpoint"], told.given[1]["spent_s"]) == (b"late", 3.0)
    assert told.told == ["append", "append", "finish"]


async def test_a_whole_history_takes_the_place_of_what_was_gathered() -> None:
    told = Recorder()
    store = NodeStore(told)  # type: ignore[arg-type]
    await append(store, 1, 2)
    await append(store, 3, 4)
    await append(store, 1, 1, whole=True)
    await append(store, 5, 5)
    await store.flush(JOB.id)
    assert told.appended == [[1, 2], [1, 5]]
    assert told.given[1]["whole"]


async def test_slices_that_somebody_waits_for_are_not_held() -> None:
    told = Recorder(listeners=1)
    store = NodeStore(told)  # type: ignore[arg-type]
    for epoch in (1, 2, 3):
        await append(store, epoch, epoch)
    assert told.appended == [[1], [2], [3]]


async def test_a_redis_that_is_away_is_waited_for_until_the_node_closes() -> None:
    told = Recorder(failures=3)
    store = NodeStore(told)  # type: ignore[arg-type]
    await append(store, 1, 2)
    assert told.appended == [[1, 2]]
    told.failures = 1
    store.closing.set()
    await append(store, 3, 4)  # held
    with pytest.raises(StoreUnavailable):
        await store.flush(JOB.id)
    store.forget(JOB.id)
