"""Starts that nobody gives are searched for among groups of which some are no guide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.engine import GroupedResult, begin
from tests.fitting.fits import fit as fit_one
from tests.fitting.grouped import answer, finish, fit, plan
from tests.fitting.test_groups import compare, rows_of

PEAK = "y = a*exp(-(x - m)**2/(2*s**2)) + c"
NOISE = 0.03
X = np.linspace(0.01, 10, 41)
BAD: dict[str, Any] = {
    "noise": lambda rng: (X, rng.standard_normal(41)),
    "zeros": lambda rng: (X, 0 * X),
    "constant": lambda rng: (X, 0 * X + 7.3),
    "huge": lambda rng: (0 * X + 1e200, 0 * X + 1e200),
    "far": lambda rng: (X + 5e3, 0 * X + 1),
    "not finite": lambda rng: (0 * X, 0 * X + 1),
}
"""Groups one row longer than the good ones."""


def peaks(good: int, bad: int, kind: str, seed: int = 0) -> dict[str, Any]:
    """A request: good groups, which come first, and bad ones."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(good):
        x = X[:40]
        y = 3 * np.exp(-((x - 6.2) ** 2) / 0.32) + 0.5 + NOISE * rng.standard_normal(40)
        parts.append((x, y))
    parts += [BAD[kind](rng) for _ in range(bad)]
    sizes = [len(x) for x, _ in parts]
    data = {
        "x": np.concatenate([x for x, _ in parts]),
        "y": np.concatenate([y for _, y in parts]),
        "g": np.repeat(np.arange(len(parts)), sizes).astype(float),
    }
    model = PEAK + " + 0*log(x)" * (kind == "not finite")
    return {"model": model, "data": data, "group_by": "g"}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("counts", [(3, 1), (3, 7), (2, 30)])
def test_bad_groups_spoil_no_other_where_the_start_is_searched_for(
    kind: str, counts: tuple[int, int]
):
    request = peaks(*counts, kind)
    found = fit(**request).groups
    for group in range(counts[0]):
        assert found.stop_reason[group] == "converged"
        assert found.trustworthy[group]
        assert found.params["m"][group] == pytest.approx(6.2, abs=0.02)
        own = request["data"]["g"] == group
        data = {name: request["data"][name][own] for name in "xy"}
        best = fit_one(model=request["model"], data=data)
        assert found.loss[group] == pytest.approx(best.loss, rel=1e-9)


def test_a_group_that_only_a_search_of_its_own_fits_has_one():
    """The others tell nothing of where its peak is."""
    request = peaks(6, 0, "noise")
    data, rng = request["data"], np.random.default_rng(1)
    last = data["g"] == 5
    x = data["x"][last]
    y = -900 * np.exp(-((x - 1.0) ** 2) / 0.1) + NOISE * rng.standard_normal(len(x))
    data["y"][last] = y
    found = fit(**request).groups
    assert found.stop_reason == ["converged"] * 6
    assert found.params["m"][5] == pytest.approx(1.0, abs=0.01)
    assert found.params["a"][5] == pytest.approx(-900, rel=0.01)


def test_groups_with_another_turn_are_as_alone_from_where_they_set_out():
    compare(peaks(3, 7, "zeros"))


def test_another_turn_keeps_the_lower_end_whatever_the_slices():
    made = plan(**peaks(3, 12, "noise", seed=2), epochs=60)
    run, shown = begin(made.task), []
    before: list[float] = []
    while not run.done:
        run.step(1)
        shown.append(run.epoch)
        first = run.checkpoint().before
        if first is not None and not before:
            before = first.loss.tolist()
    result = run.result()
    assert isinstance(result, GroupedResult)
    found = answer(made, result)
    assert before
    assert shown == sorted(shown)
    assert shown[-1] == run.epochs == len(found.groups.key)
    assert all(math.isfinite(loss) for loss in found.groups.loss)
    for loss, first_loss in zip(found.groups.loss, before, strict=True):
        assert loss <= first_loss * (1 + 1e-9)
    assert rows_of(found) == rows_of(answer(made, finish(made)))
    assert len(set(found.groups.key)) == len(found.groups.loss)


def test_it_may_be_stopped_in_any_search_and_goes_on_from_a_look_as_if_there_were_none():
    made = plan(**peaks(3, 12, "noise", seed=2), epochs=60)
    run, first, again = begin(made.task), 0, 0
    while not run.done:
        point, stopped = run.checkpoint(), run.result("time_limit")
        assert isinstance(stopped, GroupedResult)
        found = answer(made, stopped)
        assert found.stop_reason == "time_limit"
        if point.state is None and point.before is None:
            first += 1
            assert found.groups.status == ["failed"] * 15
            assert found.groups.stop_reason == ["time_limit"] * 15
            assert found.groups.epochs == [0] * 15
        elif point.state is None and point.before is not None:
            again += 1
            assert found.groups.loss == point.before.loss.tolist()
            assert found.groups.stop_reason == list(point.before.reasons)
        run.step(10)
    result = run.result("time_limit")
    assert isinstance(result, GroupedResult)
    assert first > 0
    assert again > 0
    assert rows_of(answer(made, result)) == rows_of(answer(made, finish(made)))


def test_histories_are_of_the_turn_that_is_kept():
    request = {**peaks(3, 7, "noise"), "group_by": {"column": "g", "history": True}}
    found = fit(**request, record_every=1).groups
    assert found.history is not None
    for epochs, history, loss in zip(found.epochs, found.history, found.loss, strict=True):
        assert history.epoch == list(range(1, epochs + 1))
        assert loss <= history.loss[0] * (1 + 1e-9)
