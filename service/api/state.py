"""What the application holds while it lives; built in `app`, handed to every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import starlette.requests

from service.jobs.service import JobService
from service.settings import Settings


class State(TypedDict):
    """The lifespan's state: `request.state["jobs"]`."""

    jobs: JobService
    settings: Settings


if TYPE_CHECKING:
    Request = starlette.requests.Request[State]
else:
    # FastAPI recognises the bare class alone.
    Request = starlette.requests.Request
