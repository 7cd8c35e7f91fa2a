"""The process that draws pictures and writes long tables: one function call at a time.

It is started on first use and ended after IDLE_S without calls, so that its imports cost nothing
until they are needed; `main` is its entry. matplotlib and pyarrow are imported there, on first use.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from pickle import PickleBuffer
from typing import NamedTuple

from service import fitting
from service.api import forms
from service.api.concurrency import FairLimiter
from service.api.helper_process import HelperProcess
from service.errors import FieldError, InvalidRequest, WorkerLost
from service.jobs import frames
from service.jobs.history import Rows
from service.jobs.job import Stored
from service.jobs.messages import Ready
from service.jobs.worker_loop import set_up_process
from service.render import characters, panels
from service.render.scene import PlotInput, Scene
from service.render.views import comparison
from service.render.views import table as views
from service.schemas.answers import Fit
from service.schemas.compare import CompareRequest
from service.schemas.comparisons import Comparison, GroupedComparison
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedFit
from service.schemas.plot import PlotHistory, PlotRequest

IDLE_S = 300.0
"""Seconds without calls after which the process is ended."""


class Call(NamedTuple):
    """A call: the name of a function in `render_worker.CALLS`, and its arguments."""

    name: str
    arguments: tuple[object, ...]


class Done(NamedTuple):
    """The call's result."""

    made: Stored

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled out of band, without a copy."""
        return Done, (PickleBuffer(self.made),)


class Refused(NamedTuple):
    """The request is invalid: an error's `type`, and what is wrong."""

    kind: str
    errors: tuple[FieldError, ...]


class RenderFault(NamedTuple):
    """The function raised an unexpected exception, which the process has logged."""


class RenderProcess:
    """The render process, one call at a time, by turns of the callers."""

    def __init__(self, entry: str, longest_s: float) -> None:
        too_long = f"it would have taken longer than {longest_s:g} s; ask for less"
        self._helper = HelperProcess(entry, longest_s, too_long)
        self._turns = FairLimiter()
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """The process's id; 0 while there is none."""
        return self._helper.pid

    async def call(self, name: str, *arguments: object, caller: str = "") -> Stored:
        """The result of that function of `render_worker.CALLS`. Raises InvalidRequest as it does,
        and WorkerLost where the process died twice."""
        async with self._turns.turn(caller):
            self._cancel_idle_timer()
            answer = await self._helper.call(Call(name, arguments))
            self._idle_timer = asyncio.get_running_loop().call_later(IDLE_S, self._helper.drop)
        if isinstance(answer, Done):
            return answer.made
        if isinstance(answer, Refused):
            raise refusal(answer)
        if isinstance(answer, RenderFault):
            raise RuntimeError(f"the render process failed at '{name}'; its log has the exception")
        raise WorkerLost("The process that worked on the request died, and so did the next.")

    async def close(self) -> None:
        """Ends the process."""
        self._cancel_idle_timer()
        await self._helper.close()

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()


def refusal(refused: Refused) -> InvalidRequest:
    """The InvalidRequest that the process raised, with its `type`."""
    error = InvalidRequest.of(refused.errors)
    error.type = refused.kind
    return error


log = logging.getLogger("descent.render")


def picture(asked: PlotRequest, max_rows: int) -> bytes:
    """The requested picture."""
    return _drawn(views.scene(PlotInput(asked, max_rows=max_rows)), asked)


def picture_of_job(
    asked: PlotRequest,
    request: FitRequest,
    fit: bytes | memoryview | None,
    rows: Rows,
    names: tuple[str, ...],
    shown: str,
    group: str | None,
    max_rows: int,
) -> bytes:
    """A picture of a job. `rows` are those of its history, with columns of params label by `names`;
    `fit` is the JSON of its fit, None while it has none; `shown` is its model as text. Of a job by
    groups the one of that key, or as many as there is room for."""
    if request.group_by is not None:
        assert fit is not None
        groups = GroupedFit.model_validate_json(bytes(fit))
        return _drawn(_scene_of_groups(asked, request, groups, shown, group, max_rows), asked)
    history = PlotHistory.model_construct(
        epoch=rows.epoch.tolist(),
        loss=rows.loss.tolist(),
        params={name: rows.params[:, i].tolist() for i, name in enumerate(names)},
        thinned=rows.thinned,
    )
    made = None if fit is None else Fit.model_validate_json(bytes(fit))
    filled = fitting.plot_of_job(asked, request, made, history, shown)
    return _drawn(views.scene(PlotInput(filled, made, max_rows)), asked)


def picture_of_comparison(
    asked: PlotRequest,
    request: CompareRequest,
    answer: bytes | memoryview,
    group: str | None,
    max_rows: int,
) -> bytes:
    """A picture of a job that compares models. `answer` is its JSON."""
    is_whole = request.group_by is None or request.compares_curves
    kind = Comparison if is_whole else GroupedComparison
    made = kind.model_validate_json(bytes(answer))
    plot = fitting.plot_of_comparison(asked, request, made, group)
    return _drawn(comparison.scene_of(plot, asked, max_rows), asked)


def _scene_of_groups(
    asked: PlotRequest,
    request: FitRequest,
    fit: GroupedFit,
    shown: str,
    group: str | None,
    max_rows: int,
) -> Scene:
    title = asked.title or shown
    if group is not None:
        at = [fitting.group_of(fit, group)]
        (own,) = fitting.plots_of_groups(asked, request, fit, at)
        if not own.is_fitted and asked.view != "loss":
            raise InvalidRequest(f"the group '{group}' could not be fitted", pointer="/group")
        named = own.request.model_copy(update={"title": asked.title or f"{shown}  ·  {own.label}"})
        return views.scene(PlotInput(named, max_rows=max_rows))
    if asked.view != "fit":
        raise InvalidRequest(
            f"the view '{asked.view}' is of one group: name it in `group`", pointer="/group"
        )
    across, down = panels.room(asked)
    count = len(fit.groups.key)
    drawn = fitting.plots_of_groups(asked, request, fit, range(min(across * down, count)))
    return panels.scene(asked, drawn, count, title, max_rows)


def _drawn(scene: Scene, asked: PlotRequest) -> bytes:
    if asked.format == "txt":
        return characters.picture(scene, width=asked.columns).encode()
    from service.render.figure import FigureOptions, drawn

    options = FigureOptions(
        format=asked.format or "svg",
        theme=asked.theme,
        width=asked.width,
        height=asked.height,
        transparent=asked.transparent,
    )
    return drawn(scene, options)


CALLS: Mapping[str, Callable[..., bytes]] = {
    call.__name__: call
    for call in (
        picture,
        picture_of_job,
        picture_of_comparison,
        forms.write,
        forms.write_fit,
        forms.write_history,
    )
}
"""The functions that can be called."""


def main(sock: socket.socket, threads: int) -> None:
    """Serves the parent at the other end of `sock` until it closes."""
    set_up_process()
    try:
        frames.send(sock, Ready())
        while True:
            asked = frames.receive(sock)
            assert isinstance(asked, Call)
            frames.send(sock, _answer(asked))
            del asked
    except (EOFError, OSError):
        os._exit(0)


def _answer(asked: Call) -> Done | Refused | RenderFault:
    try:
        return Done(CALLS[asked.name](*asked.arguments))
    except InvalidRequest as error:
        return Refused(error.type, error.errors)
    except Exception:
        log.exception("%s failed", asked.name)
        return RenderFault()
