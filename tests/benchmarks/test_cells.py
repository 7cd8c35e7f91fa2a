from __future__ import annotations

import pytest

from benchmarks.cells import APPEND_S, SCRIPT_S, SCRIPTS, UNHEARD, simulate


def test_a_redis_is_as_busy_as_its_commands_are_long():
    expected = 200 * (UNHEARD * APPEND_S + SCRIPTS * SCRIPT_S / 10)
    assert simulate(200, 10.0, 0.0, 50.0).busy == pytest.approx(expected, rel=0.05)


def test_more_workers_than_a_redis_carries_wait():
    assert simulate(100, 10.0, 0.0, 10.0).wait_s < 0.005
    assert simulate(4000, 10.0, 0.2, 10.0).wait_s > 0.1
