"""Runs one job, from its task to its answer. Does not import torch: see `FitBackend`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from service.errors import DescentError
from service.jobs.history import History, Rows
from service.jobs.job import Failure, Progress, Stored
from service.jobs.messages import (
    Closing,
    Ended,
    Failed,
    FromWorker,
    HandedOver,
    Slice,
    Task,
)
from service.schemas.answers import Fit, Timings
from service.schemas.fit import FitRequest
from service.schemas.jobs import JobResult
from service.schemas.names import StopReason
from service.schemas.requests import JobRequest

if TYPE_CHECKING:
    from service.fitting import Curve

SLICE_S = 0.02
"""Target seconds of a slice: a cancel is noticed soon, and the overhead is negligible."""

_MOST_GROWTH = 16
"""The largest growth from one slice to the next, since epochs may differ in cost."""

CHECKPOINT_S = 0.25
"""Seconds between checkpoints: the most work lost with a worker, besides a slice."""
CHECKPOINT_PART = 0.1
"""The part of the time that checkpoints may take: those that take longer are made less often."""

SHORT_HISTORY = 100
"""Rows of history in an answer whose request has no `record_every`."""

INTERNAL_ERROR = "An internal error; the request is not at fault. The error was logged."
"""The message for the caller of an unexpected exception."""

Send = Callable[[FromWorker], None]
log = logging.getLogger("descent.worker")


class Tensor(Protocol):
    """A column of rows: the part of torch.Tensor used here."""

    def numpy(self) -> npt.NDArray[Any]: ...


class EngineRows(Protocol):
    """The rows recorded in one step, as the engine returns them."""

    @property
    def epoch(self) -> Tensor: ...

    @property
    def loss(self) -> Tensor: ...

    @property
    def params(self) -> Tensor: ...

    @property
    def gradient(self) -> Tensor: ...


class Run(Protocol):
    """A running fit: `service.engine.Run`."""

    @property
    def epoch(self) -> int: ...

    @property
    def epochs(self) -> int: ...

    @property
    def stride(self) -> int: ...

    @property
    def left(self) -> int: ...

    @property
    def loss(self) -> float: ...

    @property
    def best_loss(self) -> float: ...

    @property
    def done(self) -> bool: ...

    def step(self, epochs: int, /) -> EngineRows: ...

    def result(self, stop_reason: StopReason | None, /) -> object: ...

    def checkpoint(self) -> object: ...


class Explain(Protocol):
    """Computes the answer: `service.fitting.to_fit` with the rows as its history."""

    def __call__(
        self, plan: Any, result: Any, rows: Rows, /, *, job_id: str, timings: Timings
    ) -> JobResult: ...


@dataclass(frozen=True, slots=True)
class FitBackend:
    """The functions that jobs call: `fit_backend.FIT_BACKEND`, or a test double."""

    plan: Callable[[JobRequest], Any]
    """Converts a request to a plan."""
    params: Callable[[Any], tuple[str, ...]]
    """The names of a plan's params, in the order of the history's columns."""
    start: Callable[[Any, Any], Run]
    """Starts a run of a plan, or resumes it from a checkpoint."""
    explain: Explain
    """Converts a result to an answer."""
    curve: Callable[[Any], Curve | None]
    """What predictions need of an answer."""
    pack: Callable[[Any], bytes]
    """A checkpoint as bytes."""
    unpack: Callable[[Stored], Any]
    """The checkpoint of `pack`; None where another version of the service has written it: then the
    fit starts from zero."""
    explain_within_limit: Explain | None = None
    """The same for inline jobs: raises one of `takes_long` where it would take long."""
    takes_long: tuple[type[Exception], ...] = ()
    to_device: Callable[[Any, str], Any] = lambda plan, device: plan
    """Moves a plan to the device that the setting selects for it."""
    out_of_memory: tuple[type[Exception], ...] = (MemoryError,)
    """The exceptions raised where memory is insufficient."""


def run_job(
    task: Task,
    send: Send,
    cancelled: Callable[[], bool],
    clock: Callable[[], float],
    backend: FitBackend,
) -> None:
    """Runs the job and sends its messages: slices, then Ended or Failed, or HandedOver where it
    takes longer than the task's `handover_s`."""
    try:
        _Attempt(task, send, cancelled, clock, backend).run()
    except DescentError as error:
        send(Failed(Failure(error.type, str(error))))
    except OSError:
        raise
    except backend.out_of_memory:
        log.exception("%s ran out of memory", task.job_id)
        send(Failed(Failure("job-failed", "The fit needed more memory than is available.")))
    except Exception:
        log.exception("%s failed", task.job_id)
        send(Failed(Failure("job-failed", INTERNAL_ERROR)))


class SliceSize:
    """Starts with `first` epochs, then adapts to `SLICE_S` by the duration of the last slice."""

    def __init__(self, first: int = 1) -> None:
        self._epochs = first

    def epochs(self, left: int) -> int:
        """Epochs of the next slice, at most `left`."""
        self._epochs = max(1, min(self._epochs, left))
        return self._epochs

    def took(self, seconds: float) -> None:
        """Adapts to the seconds that the last slice took."""
        factor = min(SLICE_S / seconds, _MOST_GROWTH) if seconds > 0 else _MOST_GROWTH
        self._epochs = max(1, int(self._epochs * factor))


class _Attempt:
    """One attempt at a task."""

    def __init__(
        self,
        task: Task,
        send: Send,
        cancelled: Callable[[], bool],
        clock: Callable[[], float],
        backend: FitBackend,
    ) -> None:
        self._task, self._send, self._cancelled, self._clock = task, send, cancelled, clock
        self._began = self._sent_at = self._checkpoint_at = clock()
        self._backend = backend
        self._plan = backend.to_device(backend.plan(task.request), task.device)
        saved = None if task.checkpoint is None else backend.unpack(task.checkpoint)
        anew = saved is None and task.checkpoint is not None
        self._run = backend.start(self._plan, saved)
        self._first_epoch = self._run.epoch
        recorded = task.history
        if recorded is None or anew:
            recorded = Rows.empty(0, len(backend.params(self._plan)))
        if task.stop_reason is not None:
            recorded = recorded.until(self._run.epoch)
        self._history = History(task.max_history_rows, recorded)
        self._sent_epoch = self._history.last_epoch
        self._whole = anew

    def run(self) -> None:
        """Steps to the end, or until it is stopped, and sends the answer."""
        run = self._run
        size = SliceSize(run.stride)
        stop = self._stop_reason()
        while not (stop or run.done):
            began = self._clock()
            self._record(run.step(size.epochs(run.left)))
            now = self._clock()
            size.took(now - began)
            if self._takes_long(now):
                self._send(HandedOver())
                return
            if self._due(now):
                self._report(now)
            stop = self._stop_reason()
        if stop is not None or self._sent_at > self._began:
            self._send(Closing())
        self._answer(None if run.done else stop)

    def _stop_reason(self) -> StopReason | None:
        """The reason to stop before the end; None to continue."""
        if self._task.stop_reason is not None:
            return self._task.stop_reason
        if self._cancelled():
            return "cancelled"
        return "time_limit" if self._spent_s() >= self._task.limit_s else None

    def _takes_long(self, now: float) -> bool:
        """Whether to leave the job to a worker."""
        limit_s = self._task.handover_s
        return limit_s is not None and not self._run.done and now - self._began > limit_s

    def _due(self, now: float) -> bool:
        """Whether a slice is due; the last one is sent with the answer."""
        return not self._run.done and now - self._sent_at >= SLICE_S

    def _spent_s(self) -> float:
        return self._task.spent_s + self._clock() - self._began

    def _record(self, rows: EngineRows) -> None:
        numbers = (rows.loss, rows.params, rows.gradient)
        loss, params, gradient = (column.numpy().astype(np.float64) for column in numbers)
        epoch = rows.epoch.numpy().astype(np.int64)
        self._whole |= self._history.append(Rows(epoch, loss, params, gradient))

    def _report(self, now: float) -> None:
        part = self._slice(now)
        self._send(part)
        if part.checkpoint is not None:
            took = self._clock() - now
            self._checkpoint_at = now + took + max(CHECKPOINT_S, took / CHECKPOINT_PART)

    def _slice(self, now: float, *, last: bool = False) -> Slice:
        """The rows since the last slice; all rows if the history was thinned since."""
        rows = self._history.page(None if self._whole else self._sent_epoch)
        checkpoint = None
        if not last and now >= self._checkpoint_at:
            checkpoint = self._backend.pack(self._run.checkpoint())
        progress = self._progress(now)
        part = Slice(rows=rows, whole=self._whole, progress=progress, checkpoint=checkpoint)
        self._sent_at, self._sent_epoch, self._whole = now, self._history.last_epoch, False
        return part

    def _progress(self, now: float) -> Progress:
        run, epoch = self._run, self._run.epoch
        request = self._task.request
        has_loss = isinstance(request, FitRequest) and not request.counts_groups
        seconds = now - self._began
        rate = (epoch - self._first_epoch) / seconds if seconds > 0 else 0.0
        return Progress(
            epoch=epoch,
            epochs=run.epochs,
            loss=run.loss if has_loss else None,
            best_loss=run.best_loss if has_loss else None,
            epochs_per_s=rate or None,
            eta_s=0.0 if run.done else (run.epochs - epoch) / rate if rate else None,
        )

    def _answer(self, stop: StopReason | None) -> None:
        result = self._run.result(stop)
        history = self._history.rows
        request = self._task.request
        if isinstance(request, FitRequest) and request.record_every is None:
            history = history.thin(SHORT_HISTORY)
        timings = Timings(queued_s=self._task.queued_s, fit_s=self._spent_s())
        try:
            fit = self._backend.explain(
                self._plan, result, history, job_id=self._task.job_id, timings=timings
            )
        except self._backend.takes_long:
            self._send(HandedOver())
            return
        last = self._slice(self._clock(), last=True)
        if isinstance(fit, Fit):  # the run's own loss is that before the last step
            last = last._replace(progress=last.progress._replace(loss=fit.loss))
        document, curve = fit.document(), self._backend.curve(fit)
        self._send(Ended(last=last, stop_reason=fit.stop_reason, fit=document, curve=curve))
