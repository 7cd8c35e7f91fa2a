"""Runs of groups: however they are sliced, stopped or resumed, and what they are made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine import GroupedResult, Groups, Rows, Run, begin
from service.engine.problem import UNEVEN, grouped
from service.fitting.packing import pack, unpack
from tests.engine.builders import problem, task
from tests.fitting.grouped import alone, answer, plan
from tests.fitting.test_groups import curve, line, rows_of

pytestmark = pytest.mark.usefixtures("device")

SEEDS = st.integers(0, 10**6)
FEW = settings(max_examples=10, deadline=None)


def result_of(run: Run, reason: Any = None) -> GroupedResult:
    found = run.result(reason)
    assert isinstance(found, GroupedResult)
    return found


def ended(made: Any, slices: list[int], *, packed: bool = False) -> GroupedResult:
    """The result of a run in slices of those sizes over and over; or one that begins anew from its
    packed checkpoint after each."""
    run = begin(made.task)
    turn = 0
    while not run.done:
        run.step(slices[turn % len(slices)])
        turn += 1
        if packed:
            run = begin(made.task, unpack(pack(run.checkpoint())))
    return result_of(run)


def searched_again() -> dict[str, Any]:
    """Groups of which most are noise, so that they have another turn."""
    request = {**curve("peak", 1, groups=9), "params": {}, "epochs": 80}
    noise = request["data"]["g"] > 3
    request["data"]["y"] = np.where(noise, np.sin(1e6 * request["data"]["y"]), request["data"]["y"])
    return request


REQUESTS: dict[str, Any] = {
    "curves": lambda: curve("decay", 1, groups=70),
    "searched": lambda: {**curve("decay", 1), "params": {}},
    "searched again": lambda: searched_again(),
    "lines": lambda: line(1, groups=70),
    "adam": lambda: {**curve("decay", 1, groups=3), "optimizer": "adam", "epochs": 40},
    "mae": lambda: {**curve("decay", 1, groups=2), "loss": "mae", "epochs": 20},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_slicing_and_resuming_change_no_bit(name: str):
    made = plan(**REQUESTS[name]())
    whole = rows_of(answer(made, ended(made, [10**6])))
    assert rows_of(answer(made, ended(made, [1, 7, 30]))) == whole
    assert rows_of(answer(made, ended(made, [3, 40], packed=True))) == whole


def test_histories_on_request_are_those_of_the_groups_alone():
    made = plan(**{**curve("decay", 2, groups=5), "group_by": {"column": "g", "history": True}})
    found = answer(made, ended(made, [50])).groups
    assert found.history is not None
    for group, history in enumerate(found.history):
        rows: Rows = alone(made, group, made.task.fits.initial[group]).rows
        assert history.epoch == rows.epoch.tolist()
        assert history.total == found.epochs[group]
        assert np.allclose(history.loss, rows.loss, rtol=1e-9)
        columns = torch.tensor(list(history.params.values()), dtype=torch.float64).mT
        assert np.allclose(columns, rows.params, rtol=1e-6, atol=1e-9)
        gradient = torch.tensor(list(history.gradient.values()), dtype=torch.float64).mT
        assert np.allclose(gradient, rows.gradient, rtol=1e-6, atol=1e-9)


def test_without_being_asked_for_there_are_none():
    made = plan(**curve("decay", 2, groups=5))
    assert answer(made, ended(made, [50])).groups.history is None


@pytest.mark.parametrize("reason", ["cancelled", "time_limit"])
@pytest.mark.parametrize("optimizer", ["auto", "adam"])
def test_stopped_midway_it_answers_with_what_is_done(reason: Any, optimizer: str):
    request = {**curve("decay", 3, groups=6), "optimizer": optimizer, "epochs": 300}
    rng = np.random.default_rng(3)
    # Groups of sizes too unlike for one batch: the short ones end first.
    request["data"] = {name: np.repeat(column, 2) for name, column in request["data"].items()}
    long = request["data"]["g"] == 0
    for name in request["data"]:
        column = request["data"][name]
        request["data"][name] = np.concatenate([column, np.repeat(column[long], 20)])
    request["data"]["y"] += 0.01 * rng.standard_normal(len(request["data"]["y"]))
    made = plan(**request)
    run = begin(made.task)
    run.step(3)
    found = answer(made, result_of(run, reason))
    assert found.stop_reason == reason
    assert found.status == ("cancelled" if reason == "cancelled" else "succeeded")
    of = found.groups
    begun = [epochs > 0 for epochs in of.epochs]
    assert any(begun)
    for group, was in enumerate(begun):
        assert math.isnan(of.params["a"][group]) is not was
        assert of.status[group] == ("succeeded" if was else "failed")
        assert of.n[group] > 0
        if not was:
            assert (of.stop_reason[group], of.verdict[group]) == (reason, "untrustworthy")
    assert set(of.stop_reason) <= {reason, "converged", "max_epochs"}


def test_before_its_first_step_nothing_is_begun():
    made = plan(**curve("decay", 3, groups=3))
    found = answer(made, result_of(begin(made.task), "cancelled"))
    assert found.groups.status == ["failed"] * 3
    assert found.groups.stop_reason == ["cancelled"] * 3
    assert not found.converged


@pytest.mark.long
@pytest.mark.parametrize("epochs", [1, 2, 149, 150, 151, 300, 301])
def test_no_group_is_left_undecided(epochs: int):
    """Groups of few rows have no end but that of their epochs, on one way or the other."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), rng.integers(1, 6, 30)).astype(float)
    x, y = rng.uniform(0, 4, len(group)), rng.normal(size=len(group))
    request: dict[str, Any] = {"model": "y = a*exp(-b*x) + c", "params": {"a": 1, "b": 1, "c": 0}}
    made = plan(**request, data={"x": x, "y": y, "g": group}, group_by="g", epochs=epochs)
    found = answer(made, ended(made, [1000]))
    assert "cancelled" not in found.groups.stop_reason
    assert max(found.groups.epochs) <= epochs


@FEW
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=60), seed=SEEDS)
def test_every_group_has_its_own_rows_and_parts_hold_each_once(sizes: list[int], seed: int):
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = np.arange(len(codes), dtype=float)
    base = problem("y = a*x", {"x": x.tolist(), "y": x.tolist()}, {"a": 1.0})
    options = task(base, "levenberg_marquardt", None).options  # type: ignore[arg-type]
    initial = torch.ones(len(sizes), 1, dtype=torch.float64)
    of = grouped(base, options, torch.from_numpy(codes), initial)
    assert isinstance(of.groups, Groups)
    assert of.groups.sizes.tolist() == sizes
    for group in range(len(sizes)):
        own = np.flatnonzero(codes == group).tolist()
        assert of.one(group).problem.target.tolist() == own
    parts = of.groups.alike(at_once=1000)
    assert sorted(torch.cat(parts).tolist()) == list(range(len(sizes)))
    for part in parts:
        longest, shortest = int(of.groups.sizes[part].max()), int(of.groups.sizes[part].min())
        assert longest <= UNEVEN * shortest
        assert len(part) == 1 or longest * len(part) <= 1000 + longest
