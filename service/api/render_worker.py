"""The process that draws pictures and writes long tables: see `aside`.

matplotlib and pyarrow are imported here, when they are first asked for, and nowhere else.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace

from service import fitting
from service.api import writing
from service.api.render_process import Ask, Done, Refused, RenderFault
from service.errors import InvalidRequest
from service.jobs import frames
from service.jobs.history import Rows
from service.jobs.messages import Ready
from service.jobs.worker_loop import settle_in
from service.render import characters
from service.render.history import loss_of_fit, loss_scene
from service.schemas.answers import Fit
from service.schemas.fit import FitRequest
from service.schemas.plot import PlotHistory, PlotRequest
from service.schemas.scenes import Scene

log = logging.getLogger("descent.draughtsman")


def picture(asked: PlotRequest, max_rows: int) -> bytes:
    """The picture that is asked for."""
    return _drawn(_scene(asked, max_rows), asked)


def picture_of_job(
    asked: PlotRequest,
    request: FitRequest,
    fit: bytes | memoryview | None,
    rows: Rows,
    names: tuple[str, ...],
    max_rows: int,
) -> bytes:
    """A picture of a job: `rows` are those of its history, their columns named by `names`."""
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
        raise InvalidRequest("`epoch` and `loss` are not of one length", pointer="/history/loss")
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
"""What the process can be asked for."""


def main(sock: socket.socket, threads: int) -> None:
    """Draws and writes for the parent at the other end of `sock`, until that is gone."""
    settle_in()
    try:
        frames.send(sock, Ready())
        while True:
            asked = frames.receive(sock)
            assert isinstance(asked, Ask)
            frames.send(sock, _answer(asked))
            del asked
    except (EOFError, OSError):
        os._exit(0)


def _answer(asked: Ask) -> Done | Refused | RenderFault:
    try:
        return Done(CALLS[asked.name](*asked.arguments))
    except InvalidRequest as error:
        return Refused(error.type, error.complaints)
    except Exception:
        log.exception("%s failed", asked.name)
        return RenderFault()
