from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.jobs.fair_queue import FairQueue
from service.jobs.timing import Durations, whole_seconds

keys = st.lists(st.sampled_from("abc"), max_size=30)


def filled(names, bound: int = 1000) -> FairQueue[int]:
    queue: FairQueue[int] = FairQueue(bound)
    for number, key in enumerate(names):
        queue.push(key, number)
    return queue


@given(keys, st.integers(0, 10))
def test_the_position_is_the_number_that_go_before(names, served):
    queue = filled(names)
    for _ in range(min(served, len(queue))):
        queue.pop()
    waiting = list(queue)
    positions = queue.positions([(names[item], item) for item in waiting])
    said = dict(zip(waiting, positions, strict=True))
    assert queue.positions([("none", 1), ("a", -1)]) == [None, None]
    order = [queue.pop() for _ in waiting]
    assert said == {item: place for place, item in enumerate(order)}


def test_a_flood_delays_another_by_one():
    queue = filled("a" * 20)
    queue.push("b", 99)
    assert [queue.pop() for _ in range(3)] == [0, 99, 1]


@given(keys)
def test_jobs_of_one_key_are_served_in_order(names):
    queue = filled(names)
    order = [queue.pop() for _ in names]
    for key in set(names):
        mine = [item for item in order if names[item] == key]
        assert mine == sorted(mine)


@given(keys, st.integers(1, 20))
def test_the_bound_holds(names, bound):
    queue: FairQueue[int] = FairQueue(bound)
    for number, key in enumerate(names):
        if queue.has_room(key):
            queue.push(key, number)
    assert len(queue) <= bound


def test_a_short_queue_may_be_filled_by_one_key():
    queue = filled("", bound=8)
    for number in range(8):
        assert queue.has_room("a")
        queue.push("a", number)
    assert not queue.has_room("a")


def test_a_flood_leaves_room_for_another_key():
    queue = filled("", bound=256)
    number = 0
    while queue.has_room("flood"):
        queue.push("flood", number)
        number += 1
    assert len(queue) == 228  # 8/9 of 256, rounded up
    assert queue.has_room("other")


def test_removed_jobs_are_not_served():
    queue = filled("aab")
    queue.remove("a", 0)
    assert [queue.pop(), queue.pop()] == [1, 2]
    with pytest.raises(IndexError):
        queue.pop()


def test_the_bound_counts_reserved_places():
    assert not filled("a", bound=2).has_room("b", coming=1)


def test_durations_count_those_still_running():
    durations = Durations()
    durations.add(2.0)
    durations.add(4.0)
    assert durations.mean([]) == 3.0
    assert durations.mean([6.0]) == 6.0  # 12 s of work, two finished
    assert Durations().mean([30.0, 30.0]) == 60.0


def test_whole_seconds_are_at_least_one():
    assert [whole_seconds(s) for s in (0.0, 0.2, 1.0, 1.1)] == [1, 1, 1, 2]
