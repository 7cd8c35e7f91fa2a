"""The operator's setting: which jobs go to a GPU, what comes back, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from service.app import create_app
from service.engine.solvers import first_order, marquardt
from service.fitting import OUT_OF_MEMORY, NoDevice, to_plan
from service.jobs import scheduling
from service.jobs.fit_backend import FIT_BACKEND
from service.jobs.messages import Ended, Failed, Slice, Task
from service.jobs.run_job import run_job
from service.jobs.service import outline
from service.schemas.fit import FitRequest
from service.settings import Settings
from tests.devices import HAS_CUDA, OTHERS, on
from tests.soon import PATIENCE_S

GPU = "service.jobs.scheduling.has_cuda"
X = np.linspace(0, 4, 40)
GROUPS = {
    "model": "y = a*exp(-b*x)",
    "params": {"a": 1.0, "b": 1.0},
    "group_by": "g",
    "data": {
        "g": np.repeat(np.arange(5.0), 40),
        "x": np.tile(X, 5),
        "y": np.tile(2 * np.exp(-X) + 0.01 * np.sin(9 * X), 5),
    },
}
ADAM = {"optimizer": {"name": "adam", "learning_rate": 0.01}, "epochs": 60}
ONE = {"model": "y = a*exp(-b*x)", "data": {"x": X, "y": 2 * np.exp(-X) + 0.01 * np.sin(9 * X)}}
REQUESTS: dict[str, dict[str, Any]] = {
    "groups": GROUPS,
    "a line": {"data": ONE["data"]},
    "a decay": ONE | {"params": {"a": 1.0, "b": 1.0}},
    "a search": ONE,
    "adam": ONE | ADAM | {"params": {"a": 1.0, "b": 1.0}},
    "sgd on a line": {"data": ONE["data"], "optimizer": "sgd", "epochs": 60},
}


def asked(**body: Any) -> FitRequest:
    return FitRequest.model_validate(body)


def long(rows: int, **body: Any) -> FitRequest:
    x = np.linspace(0, 1, rows)
    return asked(data={"x": x, "y": x, "g": np.arange(rows) % 10}, **body)


WIDE: dict[str, dict[str, Any]] = {
    "long data": {},
    "groups at once": {"group_by": "g", "model": "linear", "optimizer": "levenberg_marquardt"},
}
NARROW: dict[str, dict[str, Any]] = {
    "groups one after another": {"group_by": "g", "model": "linear", **ADAM}
}


@pytest.mark.parametrize("name", WIDE | NARROW)
def test_auto_uses_a_gpu_for_many_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = scheduling.GPU_ROWS
    many = to_plan(long(rows, **(WIDE | NARROW)[name]))
    few = to_plan(long(rows - 1, **(WIDE | NARROW)[name]))
    monkeypatch.setattr(GPU, lambda: True)
    assert scheduling.device(many, "auto") == ("cuda" if name in WIDE else "cpu")
    assert scheduling.device(few, "auto") == "cpu"
    assert scheduling.device(few, "cuda") == "cuda"
    assert scheduling.device(many, "cpu") == "cpu"
    monkeypatch.setattr(GPU, lambda: False)
    assert scheduling.device(many, "auto") == "cpu"


def run(request: FitRequest, device: str, **given: Any) -> list[Any]:
    said: list[Any] = []
    clock = iter(range(10**9))
    task = Task("job_x", request, 1e9, 1000, device=device, **given)
    run_job(task, said.append, lambda: False, lambda: 0.3 * next(clock), FIT_BACKEND)
    return said


def params(message: Any) -> dict[str, Any]:
    """By name; of groups, of the first of them."""
    assert isinstance(message, Ended)
    fit: dict[str, Any] = json.loads(bytes(message.fit))
    named: dict[str, Any] = fit.get("groups", fit)["params"]
    return {name: np.ravel(value)[0] for name, value in named.items()}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("device", OTHERS)
def test_device_and_cpu_answers_agree(device: str, name: str) -> None:
    """To 1e-6 of the params; slices, checkpoints and the answer are on the CPU's side."""
    due = run(asked(**REQUESTS[name]), "cpu")[-1]
    with on(device) as known:
        found = run(asked(**REQUESTS[name]), known)[-1]
    assert found.stop_reason == due.stop_reason
    assert params(found) == pytest.approx(params(due), rel=1e-6)


@pytest.mark.parametrize("name", ["groups", "a decay", "a search", "adam"])
@pytest.mark.parametrize("device", OTHERS)
def test_a_job_on_a_device_resumes_after_a_lost_worker(
    device: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for solver in (marquardt, first_order):
        monkeypatch.setattr(solver, "QUICK", 1)
    request = asked(**REQUESTS[name])
    with on(device) as known:
        said = run(request, known)
        saved = [m.checkpoint for m in said if isinstance(m, Slice) and m.checkpoint is not None]
        assert saved
        for checkpoint in saved:
            resumed = run(request, known, checkpoint=checkpoint)
            assert params(resumed[-1]) == pytest.approx(params(said[-1]), rel=1e-12)


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_a_full_gpu_is_reported(error: type[Exception]) -> None:
    def full(plan: Any, device: str) -> Any:
        raise error

    said: list[Any] = []
    task = Task("job_x", asked(**ONE), 1e9, 1000)
    run_job(task, said.append, lambda: False, lambda: 0.0, replace(FIT_BACKEND, to_device=full))
    (message,) = said
    assert isinstance(message, Failed)
    assert "memory" in message.failure.detail


@pytest.mark.parametrize(("device", "here"), [("cpu", True), ("auto", True), ("cuda", False)])
def test_with_cuda_no_job_runs_inline(device: Any, here: bool) -> None:
    understood = outline(asked(**ONE), Settings(device=device))
    assert (understood.inline is not None) is here


@pytest.mark.skipif(HAS_CUDA, reason="there is a GPU")
def test_a_missing_gpu_is_refused_at_start() -> None:
    with pytest.raises(NoDevice, match="DESCENT_DEVICE=cuda"):
        create_app(Settings(device="cuda"))
    create_app(Settings(device="auto"))
    # In a process of its own: `serve` has taken the signals and the collector over by then.
    said = subprocess.run(
        [sys.executable, "-m", "service", "serve", "--port", "0"],
        capture_output=True,
        text=True,
        env={**os.environ, "DESCENT_DEVICE": "cuda"},
        timeout=PATIENCE_S,
        check=False,
    )
    assert said.returncode == 2
    assert said.stderr.startswith("DESCENT_DEVICE=cuda requires a GPU")
    assert "auto" in said.stderr


def test_an_available_gpu_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    create_app(Settings(device="cuda"))
