"""Workers that do what a test says, in the time that it sets."""

from __future__ import annotations

import asyncio
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from service.jobs.history import History, Rows
from service.jobs.job import Failure, Progress
from service.jobs.messages import Cancel, Closing, Ended, Failed, Ready, Slice, Task

PARAMS = 2


class SetLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is `seconds()`."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        super().__init__()
        self._seconds = seconds

    def time(self) -> float:
        return self._seconds()


def rows(first: int, last: int) -> Rows:
    """Epochs `first` to `last`, each with the numbers that only it has."""
    epoch = np.arange(first, last + 1)
    params = np.stack([1 / epoch, -1 / epoch], axis=1)
    return Rows(epoch, 1.0 / epoch, params, 2 * params)


class ScriptedWorkers:
    """What `WorkerProcess` is to the jobs layer: starts scripted workers."""

    def __init__(self) -> None:
        self.alive: list[ScriptedWorker] = []
        self._pids = itertools.count(1)

    async def spawn(self, entry: str, threads: int) -> ScriptedWorker:
        worker = ScriptedWorker(next(self._pids), self.alive.remove)
        self.alive.append(worker)
        return worker

    @property
    def busy(self) -> list[ScriptedWorker]:
        return [worker for worker in self.alive if worker.task is not None]


class ScriptedWorker:
    """A worker that keeps `run_job`'s side of the contract."""

    def __init__(self, pid: int, died: Callable[[ScriptedWorker], None]) -> None:
        self.pid = pid
        self.task: Task | None = None
        self.cancelled = False
        self._said: asyncio.Queue[object] = asyncio.Queue()
        self._died = died
        self._dead = False
        self._history = History(8)
        self._sent: int | None = None
        self.epoch = 0
        self._said.put_nowait(Ready())

    # --- what its place sees ----------------------------------------------------------------------

    async def send(self, message: object) -> None:
        if isinstance(message, Task) and not self._dead:
            self._begin(message)
        elif isinstance(message, Cancel) and self.task and self.task.job_id == message.job_id:
            self.cancelled = True

    async def receive(self) -> object:
        message = await self._said.get()
        if message is None:
            raise EOFError
        return message

    def kill(self) -> None:
        if not self._dead:
            self._dead = True
            self.task = None
            self._died(self)
            self._said.put_nowait(None)

    shut_down = kill

    async def reap(self) -> int | None:
        return -9

    # --- what the test has it do ------------------------------------------------------------------

    def _begin(self, task: Task) -> None:
        self.task, self.cancelled = task, False
        self.epoch = pickle.loads(task.checkpoint) if task.checkpoint else 0
        held = task.history or Rows.empty(0, PARAMS)
        if task.stop_reason is not None:
            held = held.until(self.epoch)
        self._history = History(task.max_history_rows, held)
        self._sent = self._history.last_epoch

    def step(self, epochs: int, *, checkpoint: bool) -> None:
        """So many epochs, and a word about them."""
        assert self.task is not None
        if self.task.stop_reason is None:
            new = rows(self.epoch + 1, self.epoch + epochs)
            self.epoch += epochs
            self._said.put_nowait(self._slice(self._history.append(new), checkpoint))

    def close(self) -> None:
        self._said.put_nowait(Closing())

    def end(self) -> None:
        assert self.task is not None
        reason: Any = "cancelled" if self.cancelled else self.task.stop_reason or "max_epochs"
        fit = f"{self.task.job_id} at {self.epoch}".encode()
        self.task = None
        self._said.put_nowait(Ended(self._slice(False, False), reason, fit, b"{}"))

    def fail(self) -> None:
        self.task = None
        self._said.put_nowait(Failed(Failure("job-failed", "as told")))

    def _slice(self, whole: bool, checkpoint: bool) -> Slice:
        part = self._history.page(None if whole else self._sent)
        self._sent = self._history.last_epoch
        state = pickle.dumps(self.epoch) if checkpoint else None
        return Slice(part, whole, Progress(epoch=self.epoch, epochs=10**6), state)
