"""What the application holds while it lives; built in `app`, handed to every request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypedDict

import starlette.requests

from service.api.aside import Aside
from service.api.metrics import Metrics
from service.api.parser import Parser
from service.api.places import Places, TooManyBytes, TooManyPictures, TooManyStreams
from service.api.reading.table import Bounds
from service.jobs.service import JobService
from service.settings import Settings

_READERS = 2


class State(TypedDict):
    """The lifespan's state: `request.state["jobs"]`."""

    jobs: JobService
    settings: Settings
    streams: Places
    """Event streams that are open."""
    bodies: Places
    """Bytes of large bodies that are held until they are parsed."""
    readers: asyncio.Semaphore
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
        readers=asyncio.Semaphore(_READERS),
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
