"""What the application holds while it lives; built in `app`, handed to every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import starlette.requests

from service.api.concurrency import (
    ConcurrencyLimit,
    TooManyAnswers,
    TooManyBytes,
    TooManyPictures,
    TooManyStreams,
)
from service.api.fair_limiter import FairLimiter
from service.api.histories import Histories
from service.api.metrics import Metrics
from service.api.parser import Parser
from service.api.reading.table import Bounds
from service.api.render_process import RenderProcess
from service.jobs.service import JobService
from service.settings import Settings

_READERS = 2
_MAKERS = 2


class State(TypedDict):
    """The lifespan's state: `request.state["jobs"]`."""

    jobs: JobService
    settings: Settings
    streams: ConcurrencyLimit
    """Event streams that are open."""
    bodies: ConcurrencyLimit
    """Bytes of large bodies that are held until they are parsed."""
    answers: ConcurrencyLimit
    """Bytes of long answers that are made or sent, and of the columns that they are made of."""
    makers: FairLimiter
    """Limits how many long answers, or parts of them, are made at once."""
    histories: Histories
    """What jobs recorded, for those who watch."""
    readers: FairLimiter
    """Limits how many bodies in other forms than JSON are read at once: unpacked, they are
    large."""
    parser: Parser
    """Where large bodies are parsed."""
    draughtsman: RenderProcess
    """Where pictures are drawn and long tables written."""
    pictures: ConcurrencyLimit
    """Pictures that are drawn or wait for it."""
    metrics: Metrics
    """What the operator sees."""


DRAUGHTSMAN = "service.api.render_worker:main"
LONGEST_PICTURE_S = 30.0


def new_state(settings: Settings, jobs: JobService, metrics: Metrics | None = None) -> State:
    """The state of an application that has just started."""
    most = settings.max_answer_bytes + settings.max_data_bytes
    makers = FairLimiter(_MAKERS)
    return State(
        jobs=jobs,
        settings=settings,
        streams=ConcurrencyLimit(
            settings.max_streams,
            settings.max_streams_per_client,
            TooManyStreams,
            retry_after_s=5,
        ),
        bodies=ConcurrencyLimit(
            max(settings.max_bodies_bytes, settings.max_body_bytes),
            max(settings.max_bodies_bytes // 2, settings.max_body_bytes),
            TooManyBytes,
            retry_after_s=1,
        ),
        answers=ConcurrencyLimit(
            max(settings.max_answers_bytes, most),
            max(settings.max_answers_bytes // 2, most),
            TooManyAnswers,
            retry_after_s=2,
            unit="bytes of long answers",
        ),
        makers=makers,
        histories=Histories(makers),
        readers=FairLimiter(_READERS),
        parser=Parser(Bounds.of(settings)),
        draughtsman=RenderProcess(DRAUGHTSMAN, LONGEST_PICTURE_S),
        pictures=ConcurrencyLimit(
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
