"""Documents that are put together from bytes are those that their schemas would write."""

from __future__ import annotations

import json

import numpy as np
import pytest

from service.api import views
from service.api.forms import history
from service.api.views import pieces_of_history as pieces
from service.jobs.history import Rows
from service.schemas.jobs import Job
from tests.api.fakes import failed, job


@pytest.mark.parametrize("tag", ["", '"result":null', '\\"result":null'])
async def test_a_full_job_holds_the_workers_bytes(tag: str) -> None:
    fit = b'{"params":{"w":1.5},"tags":{"a":"\\"result\\":null"}}'
    made = json.loads(b"".join(views.full(views.brief(job(tags={"say": tag}, result=fit)), fit)))
    assert made["result"] == json.loads(fit)
    assert made["tags"] == {"say": tag}
    assert set(made) == set(Job.model_fields)


async def test_a_job_without_a_fit_says_null() -> None:
    for one in (job("queued"), failed("job-failed")):
        assert json.loads(b"".join(views.full(views.brief(one), None)))["result"] is None


def test_a_history_is_as_its_schema_writes_it() -> None:
    numbers = np.array([1.0, np.nan, -np.inf, 1e-300])
    table = np.stack([numbers, numbers[::-1]], axis=1)
    for count in (4, 0):
        rows = Rows(np.arange(1, 5), numbers, table, -table, thinned=True)[:count]
        one = job("running", params=('w "w"', "b"))
        made = history(one.params, rows, one.progress.epoch)
        assert b"".join(pieces(one, rows)) == made.document()


def test_a_wide_history_is_too() -> None:
    table = np.arange(30_000.0).reshape(3, 10_000)
    rows = Rows(np.arange(1, 4), np.ones(3), table, -table)
    one = job("running", params=tuple(f"w{i}" for i in range(10_000)))
    made = history(one.params, rows, one.progress.epoch)
    assert b"".join(pieces(one, rows)) == made.document()
