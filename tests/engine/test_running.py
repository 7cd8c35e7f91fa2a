"""A run may be sliced, stopped, stored and resumed anywhere: no bit of the answer changes."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from service.catalogue.optimizers.adagrad import Adagrad
from service.catalogue.optimizers.adam import Adam
from service.catalogue.optimizers.adamw import AdamW
from service.catalogue.optimizers.lbfgs import Lbfgs
from service.catalogue.optimizers.rmsprop import Rmsprop
from service.catalogue.optimizers.sgd import Sgd
from service.catalogue.options import NoOptions
from service.engine import Problem, Rows, Run, Task, begin, outcome
from service.engine.fit_options import Tolerance
from service.fitting import to_plan
from service.fitting.packing import pack, unpack
from service.schemas.fit import FitRequest
from tests.engine.builders import problem, task

pytestmark = pytest.mark.usefixtures("device")

X = [0.2, 0.7, 1.1, 1.9, 2.4, 3.0, 3.3]
Y = [2.9, 1.8, 1.3, 0.9, 0.4, 0.35, 0.3]
START = {"a": 1.0, "k": 0.5, "c": 0.2}
DATA = {"x": X, "y": Y}


def decay(**options: Any) -> Problem:
    return problem("a*exp(-k*x) + c", DATA, START, **options)


def line(**options: Any) -> Problem:
    return problem("a*x + c", DATA, {"a": 1.0, "c": 0.2}, **options)


LM = NoOptions()
PRECISE = Tolerance(params=1e-10)
TASKS: dict[str, Task] = {
    "sgd": task(decay(), "sgd", Sgd(0.05), 60),
    "sgd, linear": task(line(), "sgd", Sgd(0.05), 60),
    "sgd, float32": task(line(dtype=torch.float32), "sgd", Sgd(0.05), 60),
    "sgd, momentum": task(line(), "sgd", Sgd(0.02, momentum=0.9, nesterov=True), 60),
    "sgd, mini-batches": task(decay(), "sgd", Sgd(0.05, momentum=0.5), 60, batch_size=3, seed=4),
    "sgd, thinned": task(decay(), "sgd", Sgd(0.05), 60, record_every=7),
    "sgd, diverging": task(line(), "sgd", Sgd(5.0), 60),
    "sgd, diverging on": task(line(), "sgd", Sgd(5.0), 60, on_divergence="continue"),
    "sgd, to a tolerance": task(line(), "sgd", Sgd(0.1), 600, tolerance=Tolerance(loss=1e-4)),
    "sgd, bounded": task(line(bounds={"a": (0.0, 2.0)}), "sgd", Sgd(0.1), 60),
    "adam": task(decay(), "adam", Adam(0.1, amsgrad=True), 60),
    "adam, mini-batches": task(decay(), "adam", Adam(0.1), 60, batch_size=2, seed=1),
    "adamw": task(decay(), "adamw", AdamW(0.1, weight_decay=0.1), 60),
    "rmsprop": task(decay(), "rmsprop", Rmsprop(0.05, momentum=0.5, centered=True), 60),
    "adagrad": task(decay(), "adagrad", Adagrad(0.3, lr_decay=0.01), 60),
    "lbfgs": task(decay(), "lbfgs", Lbfgs(), 60),
    "exact": task(line(), "exact", NoOptions(), 1),
    "levenberg_marquardt": task(decay(), "levenberg_marquardt", LM, 60, tolerance=PRECISE),
    "levenberg_marquardt, huber": task(
        decay(loss="huber", delta=0.1), "levenberg_marquardt", LM, 60, tolerance=PRECISE
    ),
    "levenberg_marquardt, bounded": task(
        decay(bounds={"k": (0.0, 0.9)}), "levenberg_marquardt", LM, 60, tolerance=PRECISE
    ),
}


def joined(parts: list[Rows]) -> tuple[Any, ...]:
    return tuple(
        torch.cat([getattr(part, name) for part in parts])
        for name in ("epoch", "loss", "params", "gradient")
    )


def same(run: Run, parts: list[Rows], other: Run, others: list[Rows]) -> None:
    for mine, theirs in zip(joined(parts), joined(others), strict=True):
        assert torch.equal(mine.nan_to_num(), theirs.nan_to_num())
        assert torch.equal(mine.isnan(), theirs.isnan())
    first, second = outcome(run), outcome(other)
    assert pickle.dumps(first.params.tolist()) == pickle.dumps(second.params.tolist())
    assert repr(
        (first.stop_reason, first.loss, first.epochs, first.best.epoch, first.best.loss)
    ) == (
        repr((second.stop_reason, second.loss, second.epochs, second.best.epoch, second.best.loss))
    )
    assert first.best.params.tolist() == pytest.approx(second.best.params.tolist(), rel=0, abs=0)


def whole(of: Task) -> tuple[Run, list[Rows]]:
    run = begin(of)
    return run, [run.step(of.options.epochs)]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("slices", [(1,), (7, 1, 20)])
def test_slicing_changes_no_bit(name: str, slices: tuple[int, ...]) -> None:
    run, parts = begin(TASKS[name]), []
    i = 0
    while not run.done:
        parts.append(run.step(slices[i % len(slices)]))
        i += 1
    same(run, parts, *whole(TASKS[name]))


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("every", [7])
def test_a_run_resumed_from_a_packed_checkpoint_changes_no_bit(name: str, every: int) -> None:
    """As a worker is replaced: the checkpoint crosses a pipe each time."""
    run, parts = begin(TASKS[name]), []
    while not run.done:
        parts.append(run.step(every))
        run = begin(TASKS[name], unpack(pack(run.checkpoint())))
    same(run, parts, *whole(TASKS[name]))


@pytest.mark.parametrize("name", TASKS)
def test_two_runs_of_one_task_are_the_same(name: str) -> None:
    same(*whole(TASKS[name]), *whole(TASKS[name]))


@pytest.mark.parametrize("name", TASKS)
def test_the_result_is_valid_at_any_moment(name: str) -> None:
    run = begin(TASKS[name])
    while True:
        result = outcome(run, "cancelled")
        assert result.params.shape == TASKS[name].problem.initial.shape
        assert result.epochs == run.epoch
        if run.done:
            break
        assert result.stop_reason in ("cancelled", "diverged")
        run.step(1)
    assert outcome(run, "cancelled").stop_reason == outcome(run).stop_reason
    assert outcome(run).stop_reason in ("converged", "max_epochs", "diverged", "stalled")


@pytest.mark.parametrize("name", TASKS)
def test_a_run_that_is_done_does_no_more(name: str) -> None:
    run, _ = whole(TASKS[name])
    before = outcome(run)
    assert run.step(10).epoch.tolist() == []
    assert outcome(run).epochs == before.epochs


@pytest.mark.parametrize("name", TASKS)
def test_a_checkpoint_is_small(name: str) -> None:
    """What a run needs beside its task: not the data."""
    rows = 500
    x = torch.linspace(0.2, 3.3, rows).tolist()
    of = TASKS[name].problem
    data = {"x": x, "y": [0.5 - 0.1 * v for v in x]}
    text = "a*x + c" if len(of.params) == 2 else "a*exp(-k*x) + c"
    long = problem(text, data, {p: START[p] for p in of.params}, loss=of.loss.name)
    run = begin(Task(long, TASKS[name].options))
    run.step(2)
    assert len(pack(run.checkpoint())) < 12_000


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "levenberg_marquardt", "exact"])
@pytest.mark.parametrize("history", [False, True])
def test_a_checkpoint_of_groups_is_no_longer_than_what_is_in_it(
    optimizer: str, history: bool
) -> None:
    """Whether they are fitted together or in turn, and over however many steps."""

    def length(groups: int) -> int:
        columns = {
            "x": [0.0, 1.0, 2.0, 3.0] * groups,
            "y": [0.5, 0.1, -0.2, -0.4] * groups,
            "g": np.repeat(np.arange(groups), 4).tolist(),
        }
        asked = {
            "model": "y = a*x + c",
            "data": columns,
            "group_by": {"column": "g", "history": history},
            "optimizer": optimizer,
            "epochs": 1 if optimizer == "exact" else 50,
            "record_every": 1,
        }
        run = begin(to_plan(FitRequest.model_validate(asked)).with_guesses().task)
        while not run.done:
            run.step(9)
        return len(pack(run.checkpoint()))

    few, many = length(32), length(128)
    assert many - few < 1.1 * 3 * few
    # Of each group, its ends and 50 records of a line.
    assert many < 128 * (600 + 50 * 6 * 8 * 2 * history) + 30_000


def test_rows_come_once_and_in_order() -> None:
    run = begin(TASKS["sgd, thinned"])
    epochs: list[int] = []
    while not run.done:
        epochs += run.step(10).epoch.tolist()
    assert epochs == [1, 7, 14, 21, 28, 35, 42, 49, 56, 60]


def lost() -> Task:
    """A peak that is started beside, whose end is challenged."""
    x = torch.linspace(0, 10, 60, dtype=torch.float64)
    y = 3 * torch.exp(-((x - 7) ** 2) / 0.5) + 0.3 * torch.exp(-((x - 2) ** 2) / 0.5)
    data = {"x": x.tolist(), "y": (y + 0.01 * torch.sin(40 * x)).tolist()}
    near = {"a": 0.3, "m": 2.0, "s": 0.4}
    peak = problem("a*exp(-(x - m)**2/(2*s**2))", data, near)
    return task(peak, "levenberg_marquardt", LM, 60, tolerance=PRECISE, challenge=True)


def challenged(of: Task, slices: int, *, resumed: bool = False) -> list[Any]:
    """The end and what it is challenged by."""
    run = begin(of)
    while not run.done:
        run.step(slices)
        if resumed:
            run = begin(of, unpack(pack(run.checkpoint())))
    result = outcome(run)
    assert result.lower is not None
    assert result.lower is not None
    return [result.params.tolist(), result.loss, result.lower[0].tolist(), result.lower[1]]


def test_a_better_minimum_is_found_and_the_given_one_kept() -> None:
    params, loss, better, least = challenged(lost(), 1000)
    assert params[1] == pytest.approx(2, abs=0.1)
    assert better[1] == pytest.approx(7, abs=0.01)
    assert least < 0.1 * loss


def test_a_challenge_is_sliced_and_resumed_without_changing_a_bit() -> None:
    whole_way = challenged(lost(), 1000)
    assert challenged(lost(), 1) == whole_way
    assert challenged(lost(), 3, resumed=True) == whole_way
