from __future__ import annotations

from typing import get_args

import pytest

from service.jobs.job import TRANSITIONS, IllegalTransition
from service.schemas.names import Status
from tests.jobs.conftest import SetClock, a_job

STATUSES = get_args(Status)


def test_every_status_has_its_transitions():
    assert set(TRANSITIONS) == set(STATUSES)


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_transitions_follow_the_table(before, after):
    job = a_job(SetClock())
    if before != "queued":
        job = job.evolve(status="running")
    if before not in ("queued", "running"):
        job = job.evolve(status=before)
    if after in TRANSITIONS[before]:
        assert job.evolve(status=after).status == after
    else:
        with pytest.raises(IllegalTransition):
            job.evolve(status=after)


def test_a_finished_job_does_not_change():
    job = a_job(SetClock()).evolve(status="cancelled")
    with pytest.raises(IllegalTransition):
        job.evolve(result=b"{}")


def test_each_change_makes_a_later_version():
    job = a_job(SetClock())
    assert job.evolve(attempts=1).version == job.version + 1


def test_ids_do_not_repeat():
    assert len({a_job(SetClock()).id for _ in range(100)}) == 100
