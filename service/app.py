"""The application: settings in, ASGI out. Nothing is done at import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from service import __version__
from service.api import (
    catalogue,
    compute,
    error_handlers,
    events,
    fits,
    jobs,
    openapi,
    operations,
    pages,
    plots,
    request_id,
)
from service.api.state import State, new_state
from service.jobs import lanes
from service.jobs.clock import Clock, SystemClock
from service.jobs.kit import KIT
from service.jobs.local_executor import LocalExecutor
from service.jobs.memory import give_back, settle
from service.jobs.memory_store import MemoryStore
from service.jobs.service import JobService
from service.settings import Settings
from service.translate import use_threads

_DESCRIPTION = """\
Fits parametric models to data and says how far to trust the fit.

Numbers in requests are finite. Numbers in answers may not be, since a diverging fit is a result:
`"NaN"`, `"Infinity"` and `"-Infinity"` are strings, as in protobuf's JSON. Errors are RFC 9457
problems.
"""


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.document(self)
        return self.openapi_schema


def create_app(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """The application; its workers live from lifespan start to lifespan end."""
    nouns = (compute, fits, jobs, events, plots, operations, catalogue)
    app = _App(
        title="Descent",
        version=__version__,
        summary="Curve fitting over HTTP",
        description=_DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=openapi.TAGS,
        # Routes of an included router are found anew at each request, twice; these are not.
        routes=[*(route for noun in nouns for route in noun.router.routes), *pages.ROUTES],
        middleware=[Middleware(request_id.RequestId), Middleware(error_handlers.Unexpected)],
        lifespan=_lifespan(settings, clock or SystemClock()),
        redirect_slashes=False,
        docs_url=None,  # FastAPI's is made of files from another host; pages has ours
        redoc_url=None,
    )
    error_handlers.register(app)
    return app


def _lifespan(
    settings: Settings, clock: Clock
) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        store = MemoryStore(settings, clock)
        service = JobService(settings, store, LocalExecutor(settings, store, clock, kit=KIT), clock)
        give_back()
        state = new_state(settings, service)
        use_threads(lanes.HERE_THREADS)
        await service.start()
        settle()
        try:
            yield state
        finally:
            await service.stop()
            await state["parser"].close()
            await state["draughtsman"].close()

    return lifespan
