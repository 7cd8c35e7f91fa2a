"""The answer to a request on another device is the CPU's, and every part of the engine goes there.

Both do the same arithmetic in another order: the compiled kernel on the CPU, plain torch elsewhere.
So a descent agrees epoch by epoch to 1e-9 of the largest number of its column, until it is beyond
1e6 times the first; what ends where nothing is left to gain agrees in its params to 1e-6 of their
standard errors or 1e-9 of themselves, and in the standard errors to 1e-5.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from service.catalogue.losses import LOSSES
from service.engine import GroupedResult, Result, begin
from service.engine.kernel import composite
from service.schemas.answers import Fit
from service.schemas.grouped import GroupedFit
from tests.devices import OTHERS, on
from tests.fitting import fits, grouped

Request = dict[str, Any]

RNG = np.random.default_rng(0)
DECAY = "y = a*exp(-k*x) + c"
ONES = {"a": 1.0, "k": 1.0, "c": 1.0}
BOUNDS = {"a": 1, "k": {"value": 0.5, "min": 0, "max": 1}, "c": {"value": 0.5, "fixed": True}}


def data(rows: int) -> dict[str, Any]:
    x = np.linspace(0, 4, rows)
    return {"x": x, "y": 3 * np.exp(-1.3 * x) + 0.5 + 0.02 * RNG.normal(size=rows)}


SHORT, LONG = data(60), data(200_000)
CURVE: Request = {"model": DECAY, "data": SHORT, "params": ONES}
LINE: Request = {"model": "y = w*x + b", "data": SHORT, "params": {"w": 1.0, "b": 0.0}}


def ragged(groups: int = 80, rows: int = 30) -> dict[str, Any]:
    g, x = np.repeat(np.arange(groups), rows), np.tile(np.linspace(0, 4, rows), groups)
    y = (2 + 0.02 * g) * np.exp(-1.1 * x) + 0.5 + 0.02 * RNG.normal(size=g.size)
    kept = RNG.random(g.size) > 0.1
    return {"g": g[kept].astype(float), "x": x[kept], "y": y[kept]}


def first_order(name: str, rate: float = 0.01, **options: Any) -> Request:
    return {"optimizer": {"name": name, "learning_rate": rate, **options}, "epochs": 40}


FIRST_ORDER = ("sgd", "adam", "adamw", "rmsprop", "adagrad")
DESCENTS: dict[str, Request] = {
    **{f"{name}, a line": LINE | first_order(name) for name in FIRST_ORDER},
    **{f"{name}, a decay": CURVE | first_order(name) for name in FIRST_ORDER},
    **{f"adam, {loss}": CURVE | first_order("adam") | {"loss": loss} for loss in LOSSES},
    "sgd, nesterov": LINE | first_order("sgd", momentum=0.9, nesterov=True),
    "sgd, mini-batches": CURVE | first_order("sgd", batch_size=16) | {"seed": 3},
    "sgd, to a tolerance": LINE | first_order("sgd", 0.05) | {"tolerance": {"params": 1e-3}},
    "sgd, diverging": LINE | first_order("sgd", 10.0),
    "sgd, a decay that diverges": CURVE | first_order("sgd", 10.0),
    "sgd, float32": LINE | first_order("sgd") | {"dtype": "float32"},
    "sgd, autograd": CURVE | first_order("sgd", gradient={"method": "autograd"}),
    "sgd, numeric": CURVE | first_order("sgd", gradient={"method": "numeric"}),
    "sgd, scaled": LINE | first_order("sgd", 0.1) | {"scaling": {"x": {"scale": 0.1}}},
    "sgd, long": LINE | first_order("sgd") | {"data": LONG},
    "adam, long": CURVE | first_order("adam") | {"data": LONG, "epochs": 3},
    "adam, bounds": CURVE | first_order("adam") | {"params": BOUNDS},
    "adam, a network": {
        "model": {"name": "mlp", "hidden": [4], "activation": "tanh"}, "data": SHORT, "epochs": 20,
    },
}  # fmt: skip
MINIMA: dict[str, Request] = {
    "exact": LINE | {"optimizer": "exact"},
    "exact, long": LINE | {"optimizer": "exact", "data": LONG},
    **{f"levenberg_marquardt, {loss}": CURVE | {"loss": loss} for loss in LOSSES},
    "levenberg_marquardt, long": CURVE | {"data": LONG},
    "levenberg_marquardt, long, huber": CURVE | {"data": LONG, "loss": "huber"},
    "levenberg_marquardt, bounds": CURVE | {"params": BOUNDS},
    "levenberg_marquardt, scaled": CURVE | {"scaling": "standardize"},
    "levenberg_marquardt, sigma": CURVE | {"sigma": 0.02 + 0.01 * SHORT["x"]},
    "levenberg_marquardt, profiles": CURVE | {"confidence_interval": {"method": "profile"}},
    "levenberg_marquardt, searched": {"model": DECAY, "data": SHORT},
    "levenberg_marquardt, guessed": {"model": "exponential_decay", "data": SHORT},
    "lbfgs": CURVE | {"optimizer": "lbfgs"},
    "lbfgs, bounds": CURVE | {"optimizer": "lbfgs", "params": BOUNDS},
}
GROUPED: dict[str, Request] = {
    "levenberg_marquardt": CURVE,
    "levenberg_marquardt, float32": CURVE | {"dtype": "float32"},
    "levenberg_marquardt, cauchy": CURVE | {"loss": "cauchy"},
    "levenberg_marquardt, mae": CURVE | {"loss": "mae", "epochs": 5},
    "levenberg_marquardt, bounds": CURVE | {"params": BOUNDS},
    "levenberg_marquardt, searched": {"model": DECAY},
    "levenberg_marquardt, guessed": {"model": "exponential_decay"},
    "levenberg_marquardt, histories": CURVE | {"group_by": {"column": "g", "history": True}},
    "exact": LINE,
    "exact, histories": LINE | {"group_by": {"column": "g", "history": True}},
    "adam": CURVE | first_order("adam") | {"epochs": 5},
}
GROUPS = ragged()


@lru_cache
def of_cpu(name: str) -> Fit:
    return fits.fit(**listed((DESCENTS | MINIMA)[name]))


def listed(request: Request) -> Request:
    sigma = request.get("sigma")
    return request if sigma is None else request | {"sigma": sigma.tolist()}


@pytest.mark.parametrize("name", DESCENTS)
@pytest.mark.parametrize("device", OTHERS)
def test_a_descent_is_the_cpus_epoch_by_epoch(device: str, name: str) -> None:
    due = of_cpu(name)
    with on(device):
        found = fits.fit(**listed(DESCENTS[name]))
    within = 1e-4 if "float32" in name else 1e-9
    assert (found.stop_reason, found.epochs) == (due.stop_reason, due.epochs)
    assert found.history.epoch == due.history.epoch
    tame = np.abs(np.array(due.history.loss)) <= 1e6 * due.history.loss[0]
    for ours, theirs in zip(columns(found), columns(due), strict=True):
        there = tame & np.isfinite(theirs)
        size = np.abs(theirs[there]).max(initial=1.0)
        assert np.abs(ours[there] - theirs[there]).max(initial=0.0) <= within * size
    assert codes(found) == codes(due)


def columns(fit: Fit) -> list[np.ndarray]:
    history = fit.history
    rows = [history.loss, *history.params.values(), *history.gradient.values()]
    return [np.array(row) for row in rows]


def codes(fit: Fit | GroupedFit) -> list[str]:
    return sorted(each.code for each in fit.diagnostics)


@pytest.mark.parametrize("name", MINIMA)
@pytest.mark.parametrize("device", OTHERS)
def test_a_minimum_is_the_cpus(device: str, name: str) -> None:
    due = of_cpu(name)
    with on(device):
        found = fits.fit(**listed(MINIMA[name]))
    assert (found.stop_reason, found.verdict) == (due.stop_reason, due.verdict)
    assert found.loss == pytest.approx(due.loss, rel=1e-9)
    stderr, theirs = found.statistics.stderr or {}, due.statistics.stderr or {}
    for param, value in due.params.items():
        room = max(1e-9 * abs(value), 1e-6 * theirs.get(param, 1.0))
        assert found.params[param] == pytest.approx(value, rel=0, abs=room)
    assert stderr == pytest.approx(theirs, rel=1e-5)
    assert codes(found) == codes(due)
    interval, other = found.statistics.confidence_interval, due.statistics.confidence_interval
    assert (interval is None) is (other is None)
    if interval is not None and other is not None:
        assert interval.lower == pytest.approx(other.lower, rel=1e-5)
    if found.params_unscaled is not None and due.params_unscaled is not None:
        assert found.params_unscaled.values == pytest.approx(due.params_unscaled.values, rel=1e-6)


@pytest.mark.parametrize("name", GROUPED)
@pytest.mark.parametrize("device", OTHERS)
def test_groups_are_the_cpus(device: str, name: str) -> None:
    request = {"group_by": "g", **GROUPED[name], "data": GROUPS}
    due = grouped.fit(**request)
    with on(device):
        found = grouped.fit(**request)
    ours, theirs = found.groups, due.groups
    assert (ours.key, ours.n, ours.stop_reason) == (theirs.key, theirs.n, theirs.stop_reason)
    within = 1e-3 if "float32" in name else 1e-6
    assert ours.loss == pytest.approx(theirs.loss, rel=within)
    for param, column in theirs.params.items():
        assert ours.params[param] == pytest.approx(column, rel=within, abs=within)
    for param, column in theirs.stderr.items():
        assert ours.stderr[param] == pytest.approx(column, rel=10 * within, nan_ok=True)
    assert codes(found) == codes(due)
    if theirs.history is not None and ours.history is not None:
        for one, other in zip(ours.history, theirs.history, strict=True):
            assert one.loss == pytest.approx(other.loss, rel=1e-9)


@pytest.mark.parametrize("device", OTHERS)
def test_the_data_stay_there_and_what_is_found_comes_back(device: str) -> None:
    with on(device) as known:
        plan = fits.plan(CURVE)
        run = begin(plan.task)
        rows, found = run.step(3), run.result()
        assert isinstance(found, Result)
        assert {getattr(rows, name).device.type for name in ("epoch", "loss", "params")} == {"cpu"}
        assert found.params.device.type == "cpu"
        assert plan.task.problem.target.device.type == known
        assert plan.raw["x"].device.type == "cpu"
        assert plan.to("cpu").task.problem.target.device.type == "cpu"


def midway() -> GroupedFit:
    made = grouped.plan(**CURVE | {"group_by": "g", "data": GROUPS})
    run = begin(made.task)
    run.step(2)
    found = run.result("time_limit")
    assert isinstance(found, GroupedResult)
    return grouped.answer(made, found)


@pytest.mark.parametrize("device", OTHERS)
def test_groups_stopped_midway_are_answered_from_there(device: str) -> None:
    due = midway()
    with on(device):
        found = midway()
    assert found.stop_reason == due.stop_reason == "time_limit"
    assert any(map(math.isfinite, due.groups.loss))
    assert found.groups.loss == pytest.approx(due.groups.loss, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("device", OTHERS)
def test_many_groups_are_read_in_parts_and_the_answer_is_the_same(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not more of them at once than there is memory for."""
    monkeypatch.setattr(composite, "AT_ONCE", 2**14)
    request = CURVE | {"group_by": "g", "data": ragged(600)}
    due = grouped.fit(**request)
    with on(device):
        found = grouped.fit(**request)
    assert found.groups.loss == pytest.approx(due.groups.loss, rel=1e-9)
