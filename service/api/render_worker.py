"""The entry of the render process: draws pictures and writes long tables (see `render_process`).


matplotlib and pyarrow are imported here, on first use.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace

from service import fitting
from service.api import writing
from service.api.render_process import Call, Done, Refused, RenderFault
from service.errors import InvalidRequest
from service.jobs import frames
from service.jobs.history import Rows
from service.jobs.messages import Ready
from service.jobs.worker_loop import set_up_process
from service.render import characters
from service.render.history import loss_of_fit, loss_scene
from service.schemas.answers import Fit
from service.schemas.fit import FitRequest
from service.schemas.plot import PlotHistory, PlotRequest
from service.schemas.scenes import Scene

log = logging.getLogger("descent.render")


def picture(asked: PlotRequest, max_rows: int) -> bytes:
    """The requested picture."""
    return _drawn(_scene(asked, max_rows), asked)


def picture_of_job(
    asked: PlotRequest,
    request: FitRequest,
    fit: bytes | memoryview | None,
    rows: Rows,
    names: tuple[str, ...],
    max_rows: int,
) -> bytes:
    """A picture of a job. `rows` are those of its history, with columns of params named by `names`;
    `fit` is the JSON of its fit, None while it has none."""
    history = PlotHistory.model_construct(
        epoch=rows.epoch.tolist(),
        loss=rows.loss.tolist(),
        params={name: rows.params[:, i].tolist() for i, name in enumerate(names)},
        thinned=rows.thinned,
    )
    made = None if fit is None else Fit.model_validate_json(bytes(fit))
    filled = fitting.plot_of_job(asked, request, made, history)
    if made is None:
        return _drawn(_scene(filled, max_rows), asked)
    if asked.view == "loss":
        scene: Scene = replace(loss_of_fit(made, history), title=filled.title or "")
        return _drawn(scene, asked)
    scene = _scene(filled, max_rows)
    return _drawn(replace(scene, notes=(*fitting.note_of(made), *scene.notes)), asked)


def _scene(asked: PlotRequest, max_rows: int) -> Scene:
    if asked.view != "loss":
        return fitting.scene(asked, max_rows)
    history = fitting.needed(asked.history, "history", "loss")
    if len(history.epoch) != len(history.loss):
        raise InvalidRequest(
            "`epoch` and `loss` must have the same length", pointer="/history/loss"
        )
    return loss_scene(
        asked.title or "Loss by epoch",
        writing.floats(history.epoch),
        writing.floats(history.loss),
        thinned=history.thinned,
    )


def _drawn(scene: Scene, asked: PlotRequest) -> bytes:
    if asked.format == "txt":
        return characters.picture(scene, width=asked.columns).encode()
    from service.render.figures import drawn
    from service.render.figures.paper import Paper

    paper = Paper(
        format=asked.format or "svg",
        theme=asked.theme,
        width=asked.width,
        height=asked.height,
        transparent=asked.transparent,
    )
    return drawn(scene, paper)


CALLS: Mapping[str, Callable[..., bytes]] = {
    call.__name__: call
    for call in (picture, picture_of_job, writing.write, writing.write_fit, writing.write_history)
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
        return Refused(error.type, error.complaints)
    except Exception:
        log.exception("%s failed", asked.name)
        return RenderFault()
