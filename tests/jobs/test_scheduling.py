"""Which jobs are done in the API's process: the cheap ones, known to be so beforehand."""

from __future__ import annotations

from typing import Any

import pytest

from service.fitting import to_plan
from service.jobs import scheduling
from service.jobs.system import cores
from service.schemas.fit import FitRequest

ROWS = 11


def plan(rows: int = ROWS, **body: Any) -> Any:
    x = [0.1 * i for i in range(rows)]
    data = {"x": x, "y": [2.0 - 0.5 * v + 0.1 * (i % 3) for i, v in enumerate(x)]}
    return to_plan(FitRequest.model_validate({"data": data, **body}, strict=True))


SGD = {"name": "sgd", "learning_rate": 0.01}
ADAM = {"name": "adam", "learning_rate": 0.01}
DECAY = "a*exp(-b*x) + c"
START = {"a": 1.0, "b": 0.5, "c": 0.1}
PROFILE = {"method": "profile"}

HERE: dict[str, dict[str, Any]] = {
    "a line": {},
    "a line on thousands of rows": {"rows": 5000},
    "a curve": {"model": DECAY, "params": START},
    "a curve whose start is searched for": {"model": DECAY},
    "a curve that mostly needs few steps": {"model": DECAY, "params": START, "rows": 300},
    "a robust loss": {"model": DECAY, "params": START, "loss": "huber"},
    "float32": {"dtype": "float32"},
    "a few mini-batches": {"optimizer": {**SGD, "batch_size": 4}, "epochs": 5},
    "a polynomial": {"model": {"name": "polynomial", "degree": 3}},
    "5,000 epochs at once": {"optimizer": SGD, "epochs": 5000, "record_every": 50},
    "a short descent": {"model": DECAY, "params": START, "optimizer": ADAM, "epochs": 50},
}
AWAY: dict[str, dict[str, Any]] = {
    "nobody knows how many evaluations": {"model": DECAY, "params": START, "optimizer": "lbfgs"},
    "many rows": {"rows": 50_000},
    "a curve of many rows": {"model": DECAY, "params": START, "rows": 10_000},
    "params looked at in every epoch": {
        "optimizer": SGD,
        "epochs": 40_000,
        "record_every": 4000,
        "tolerance": {"params": 1e-9},
    },
    "many epochs": {"model": DECAY, "params": START, "optimizer": ADAM, "epochs": 10_000},
    "very many epochs at once": {"optimizer": SGD, "epochs": 10**6, "record_every": 10**6},
    "a long history": {"optimizer": SGD, "epochs": 5000, "record_every": 1},
    "many mini-batches": {"optimizer": {**SGD, "batch_size": 4}, "epochs": 500},
    "numeric gradients": {"optimizer": {**SGD, "gradient": {"method": "numeric"}}, "epochs": 5},
    "profiles": {"confidence_interval": PROFILE},
    "many params": {"model": {"name": "polynomial", "degree": 16}},
}


@pytest.mark.parametrize("body", HERE.values(), ids=HERE)
def test_what_is_surely_cheap_is_done_here(body: dict[str, Any]) -> None:
    assert scheduling.expected_s(plan(**body)) <= scheduling.INLINE_S
    assert scheduling.runs_inline(plan(**body))


@pytest.mark.parametrize("body", AWAY.values(), ids=AWAY)
def test_the_rest_goes_to_a_worker(body: dict[str, Any]) -> None:
    assert not scheduling.runs_inline(plan(**body))


def test_the_cost_grows_with_the_epochs_and_the_history() -> None:
    costs = [
        scheduling.seconds(plan(optimizer=SGD, epochs=epochs, record_every=every))
        for epochs, every in ((100, 100), (5000, 5000), (5000, 50), (5000, 1))
    ]
    assert costs == sorted(costs)


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_the_workers_share_the_cores(workers: int) -> None:
    threads = scheduling.threads(workers)
    assert threads >= 1
    assert threads * workers <= max(cores(), workers)


@pytest.mark.parametrize(
    ("body", "many"),
    [
        ({}, False),
        ({"model": {"name": "mlp", "hidden": [20, 20]}, "optimizer": ADAM}, False),
        ({"model": {"name": "mlp", "hidden": [20, 20]}, "optimizer": ADAM, "rows": 5000}, True),
        ({"model": DECAY, "params": START, "rows": 300}, False),
        ({"model": DECAY, "rows": 50_000}, True),
    ],
)
def test_threads_are_for_much_work_at_a_time(body: dict[str, Any], many: bool) -> None:
    assert scheduling.worth_threads(plan(**body)) is many
