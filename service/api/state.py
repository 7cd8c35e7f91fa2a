"""What the application holds while it lives; built in `app`, handed to every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import starlette.requests

from service.api.metrics import Metrics
from service.api.parser import Parser
from service.api.places import Places, TooManyBytes, TooManyStreams
from service.jobs.service import JobService
from service.settings import Settings


class State(TypedDict):
    """The lifespan's state: `request.state["jobs"]`."""

    jobs: JobService
    settings: Settings
    streams: Places
    """Event streams that are open."""
    bodies: Places
    """Bytes of large bodies that are held until they are parsed."""
    parser: Parser
    """Where large bodies are parsed."""
    metrics: Metrics
    """What the operator sees."""


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
        parser=Parser(),
        metrics=metrics or Metrics(),
    )


if TYPE_CHECKING:
    Request = starlette.requests.Request[State]
else:
    # FastAPI recognises the bare class alone.
    Request = starlette.requests.Request
