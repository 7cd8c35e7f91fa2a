"""A small real engine for the jobs layer: its runs do as the request's tags say.

| tag | what the run does |
|---|---|
| `epoch_s` | takes so many seconds an epoch |
| `stuck_at` | never returns from that epoch |
| `tell` | a FIFO that hears when it is stuck |
| `die_at` | kills its own process at that epoch |
| `die_once` | a path: dies at `die_at` only if there is no such file yet, and makes it |
| `raise_at` | raises at that epoch: `error` names what |
| `nan_at` | has a non-finite loss from that epoch on |
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from service.errors import BudgetExceeded
from service.jobs import frames
from service.jobs.history import Rows
from service.jobs.job import Outline, Stored
from service.jobs.messages import Ready, Task
from service.jobs.run_job import FitBackend, Send, run_job
from service.jobs.worker_loop import WorkerLoop, set_up_process
from service.schemas.answers import Fit, Timings
from service.schemas.base import Answer
from service.schemas.fit import FitRequest
from service.schemas.names import StopReason
from service.schemas.requests import JobRequest
from service.settings import Settings

ENTRY = "tests.jobs.fakes:main"
PARAMS = ("a", "b")


class Column:
    """What the engine's tensors are to the jobs layer."""

    def __init__(self, values: Any) -> None:
        self._values = np.array(values)

    def numpy(self) -> np.ndarray:
        return self._values


@dataclass(frozen=True)
class FakeRows:
    epoch: Column
    loss: Column
    params: Column
    gradient: Column


@dataclass(frozen=True)
class State:
    """A chaotic map: a slip of one bit anywhere shows in the end."""

    epoch: int = 0
    x: float = 0.3
    loss: float = float("nan")
    best: float = float("inf")


class FakeRun:
    stride = 1

    def __init__(self, request: FitRequest, state: State | None = None) -> None:
        self.epochs = request.epochs or 1
        self._tags = request.tags
        self._every = request.record_every or 1
        self._state = state or State()

    epoch = property(lambda self: self._state.epoch)
    left = property(lambda self: self.epochs - self._state.epoch)
    loss = property(lambda self: self._state.loss)
    best_loss = property(lambda self: self._state.best)
    done = property(lambda self: self._state.epoch == self.epochs)

    def checkpoint(self) -> State:
        return self._state

    def step(self, epochs: int) -> FakeRows:
        recorded: list[tuple[int, float, float]] = []
        for _ in range(epochs):
            if self.done:
                break
            self._epoch()
            state = self._state
            if state.epoch == 1 or state.epoch % self._every == 0 or self.done:
                recorded.append((state.epoch, state.loss, state.x))
        params = np.array([(x, 1 - x) for _, _, x in recorded]).reshape(-1, len(PARAMS))
        return FakeRows(
            Column(np.array([row[0] for row in recorded], np.int64)),
            Column([row[1] for row in recorded]),
            Column(params),
            Column(-params),
        )

    def _epoch(self) -> None:
        epoch = self._state.epoch + 1
        self._act(epoch)
        x = 3.99 * self._state.x * (1 - self._state.x)
        loss = float("nan") if epoch >= self._tag("nan_at") else x
        self._state = State(epoch, x, loss, min(self._state.best, x))

    def _act(self, epoch: int) -> None:
        if seconds := self._tags.get("epoch_s"):
            time.sleep(float(seconds))
        if epoch == self._tag("stuck_at"):
            if "tell" in self._tags:
                Path(self._tags["tell"]).write_text("stuck")
            signal.pause()
        if epoch == self._tag("raise_at"):
            raise {
                "secret": ValueError("the password is swordfish"),
                "budget": BudgetExceeded("that is too much"),
                "memory": MemoryError(),
            }[self._tags["error"]]
        if epoch == self._tag("die_at") and self._fatal():
            os.kill(os.getpid(), signal.SIGKILL)

    def _fatal(self) -> bool:
        if "die_once" not in self._tags:
            return True
        mark = Path(self._tags["die_once"])
        if mark.exists():
            return False
        mark.touch()
        return True

    def _tag(self, name: str) -> int:
        return int(self._tags.get(name, 2**62))

    def result(self, stop_reason: str | None) -> tuple[State, str]:
        return self._state, "max_epochs" if self.done else stop_reason or "max_epochs"


class Document(Answer):
    """As much of a fit as the jobs layer looks at, and enough to tell two answers apart."""

    job_id: str
    stop_reason: StopReason
    params: dict[str, float]
    loss: float
    epochs: int
    epoch: list[int]
    """Of the history."""
    losses: list[float]
    thinned: bool
    timings: Timings


def explain(plan: Any, result: Any, rows: Rows, /, *, job_id: str, timings: Timings) -> Fit:
    state, reason = result
    return cast(
        Fit,
        Document(
            job_id=job_id,
            stop_reason=reason,
            params={"a": state.x, "b": 1 - state.x},
            loss=state.loss,
            epochs=state.epoch,
            epoch=rows.epoch.tolist(),
            losses=rows.loss.tolist(),
            thinned=rows.thinned,
            timings=timings,
        ),
    )


def unpacked(data: Stored) -> State | None:
    """None where another version has written it."""
    state = json.loads(bytes(data))
    return None if state == "other" else State(*state)


KIT = FitBackend(
    plan=lambda request: request,
    params=lambda plan: PARAMS,
    start=FakeRun,
    explain=explain,
    curve=lambda fit: b"{}",
    pack=lambda state: json.dumps(astuple(state)).encode(),
    unpack=unpacked,
)


def run(task: Task, send: Send, cancelled: Callable[[], bool]) -> None:
    run_job(task, send, cancelled, time.perf_counter, KIT)


def main(sock: socket.socket, threads: int) -> None:
    """A worker with the fake engine."""
    set_up_process()
    WorkerLoop(sock, run).work()


def ends_at_once(sock: socket.socket, threads: int) -> None:
    """A worker that dies before it is ready."""
    os._exit(7)


def ignores_messages(sock: socket.socket, threads: int) -> None:
    """A worker that hears nothing, not even the end of its socket."""
    frames.send(sock, Ready())
    signal.pause()


def check(request: JobRequest, settings: Settings) -> Outline:
    """What `fitting.check` is to the service."""
    assert isinstance(request, FitRequest)
    if request.tags.get("refused"):
        raise BudgetExceeded("refused")
    return Outline("y = a * x + b", PARAMS, request.epochs or 1)


def request(
    epochs: int = 1, *, record_every: int | None = 1, rows: int = 3, **tags: Any
) -> FitRequest:
    """A request for the fake engine."""
    x = np.arange(float(rows))
    return FitRequest(
        data={"x": x, "y": x},
        epochs=epochs,
        record_every=record_every,
        tags={name: str(value) for name, value in tags.items()},
    )


def without_timings(fit: Stored | None) -> dict[str, Any]:
    """An answer, less what no two runs have in common."""
    assert fit is not None
    answer: dict[str, Any] = json.loads(bytes(fit))
    del answer["timings"], answer["job_id"]
    return answer


def without_urls(fit: Stored | None) -> dict[str, Any]:
    """An answer of the service, less its job's id and its timings."""
    answer = without_timings(fit)
    del answer["urls"]
    return answer
