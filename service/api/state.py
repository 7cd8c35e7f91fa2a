"""The application's state: built in `app` at start-up, available to every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import starlette.requests

from service.api.bodies.parser import Parser
from service.api.bodies.table import Bounds
from service.api.concurrency import ConcurrencyLimit, FairLimiter
from service.api.http_errors import (
    TooManyAnswers,
    TooManyBytes,
    TooManyCertifications,
    TooManyPictures,
    TooManyStreams,
)
from service.api.middleware.metrics import Metrics
from service.api.render_process import RenderProcess
from service.api.views import Histories
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
    """Bytes of large bodies that wait to be parsed."""
    answers: ConcurrencyLimit
    """Bytes of long answers being made or sent, and of the columns they are made from."""
    makers: FairLimiter
    """Limits how many long answers, or parts of them, are made at once."""
    histories: Histories
    """Serialized history rows, shared by all watchers of a job."""
    readers: FairLimiter
    """Limits how many bodies that are not JSON are read at once: unpacked, they are large."""
    parser: Parser
    """Parses large bodies."""
    renderer: RenderProcess
    """Draws pictures and writes long tables."""
    pictures: ConcurrencyLimit
    """Pictures being drawn or waiting to be drawn."""
    certifications: ConcurrencyLimit
    """Certifications that are running."""
    metrics: Metrics
    """The metrics of /metrics."""


RENDER_ENTRY = "service.api.render_process:main"
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
        renderer=RenderProcess(RENDER_ENTRY, LONGEST_PICTURE_S),
        pictures=ConcurrencyLimit(
            settings.max_pictures,
            max(settings.max_pictures // 2, 1),
            TooManyPictures,
            retry_after_s=2,
        ),
        certifications=ConcurrencyLimit(1, 1, TooManyCertifications, retry_after_s=5),
        metrics=metrics or Metrics(),
    )


if TYPE_CHECKING:
    Request = starlette.requests.Request[State]
else:
    # FastAPI recognises the bare class alone.
    Request = starlette.requests.Request
