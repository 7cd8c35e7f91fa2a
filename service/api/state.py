"""What the application holds while it lives; built in `app`, handed to every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import starlette.requests

from service.api.aside import Aside
from service.api.histories import Histories
from service.api.metrics import Metrics
from service.api.parser import Parser
from service.api.places import (
    Places,
    TooManyAnswers,
    TooManyBytes,
    TooManyPictures,
    TooManyStreams,
)
from service.api.reading.table import Bounds
from service.api.turns import Turns
from service.jobs.service import JobService
from service.settings import Settings

_READERS = 2
_MAKERS = 2


class State(TypedDict):
    """The lifespan's state: `request.state["jobs"]`."""

    jobs: JobService
    settings: Settings
    streams: Places
    """Event streams that are open."""
    bodies: Places
    """Bytes of large bodies that are held until they are parsed."""
    answers: Places
    """Bytes of long answers that are made or sent, and of the columns that they are made of."""
    makers: Turns
    """Turns to make a long answer, or a part of it."""
    histories: Histories
    """What jobs recorded, for those who watch."""
    readers: Turns
    """Turns to read a body of another form than JSON: what it unpacks to is bounded, but large."""
    parser: Parser
    """Where large bodies are parsed."""
    draughtsman: Aside
    """Where pictures are drawn and long tables written."""
    pictures: Places
    """Pictures that are drawn or wait for it."""
    metrics: Metrics
    """What the operator sees."""


DRAUGHTSMAN = "service.api.draughtsman:main"
LONGEST_PICTURE_S = 30.0


def new_state(settings: Settings, jobs: JobService, metrics: Metrics | None = None) -> State:
    """The state of an application that has just started."""
    most = settings.max_answer_bytes + settings.max_data_bytes
    makers = Turns(_MAKERS)
    return State(
        jobs=jobs,
        settings=settings,
        streams=Places(
            settings.max_streams,
            settings.max_streams_per_client,
            TooManyStreams,
            retry_after_s=5,
        ),
        bodies=Places(
            max(settings.max_bodies_bytes, settings.max_body_bytes),
            max(settings.max_bodies_bytes // 2, settings.max_body_bytes),
            TooManyBytes,
            retry_after_s=1,
        ),
        answers=Places(
            max(settings.max_answers_bytes, most),
            max(settings.max_answers_bytes // 2, most),
            TooManyAnswers,
            retry_after_s=2,
            unit="bytes of long answers",
        ),
        makers=makers,
        histories=Histories(makers),
        readers=Turns(_READERS),
        parser=Parser(Bounds.of(settings)),
        draughtsman=Aside(DRAUGHTSMAN, LONGEST_PICTURE_S),
        pictures=Places(
            settings.max_pictures,
            max(settings.max_pictures // 2, 1),
            TooManyPictures,
            retry_after_s=2,
        ),
        metrics=metrics or Metrics(),
    )


if TYPE_CHECKING:
    Request = starlette.requests.Request[State]
else:
    # FastAPI recognises the bare class alone.
    Request = starlette.requests.Request
