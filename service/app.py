"""The application: settings in, ASGI out. Nothing is done at import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service import __version__
from service.api import error_handlers, openapi
from service.api.middleware.access_log import AccessLog
from service.api.middleware.api_keys import KeyMiddleware, LiveKeys
from service.api.middleware.cross_origin import CrossOriginChanges
from service.api.middleware.headers import DefaultHeaders
from service.api.middleware.hosts import AllowedHosts, Hosts
from service.api.middleware.metrics import Metrics, RequestMetrics, Snapshot
from service.api.middleware.request_ids import RequestIds
from service.api.middleware.tracing import Tracing, TracingMiddleware
from service.api.middleware.unexpected_errors import UnexpectedErrors
from service.api.routes import (
    catalogue,
    certification,
    comparisons,
    compute,
    draws,
    events,
    fits,
    guide,
    jobs,
    operations,
    pages,
    plots,
    problems,
    unknowns,
)
from service.api.state import State, new_state
from service.errors import StoreUnavailable
from service.fitting import must_have, use_threads
from service.jobs import scale, scheduling
from service.jobs.service import JobService
from service.jobs.system import give_back, settle
from service.jobs.timing import Clock, SystemClock
from service.settings import Settings

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
    must_have(settings.device)
    scale.check(settings)
    clock, metrics = clock or SystemClock(), Metrics()
    tracing = Tracing() if settings.otel else None
    nouns = (
        *(compute, unknowns, fits, comparisons, jobs, draws, events, plots),
        *(operations, certification, problems, catalogue),
    )
    app = _App(
        title="Descent",
        version=__version__,
        summary="Curve fitting over HTTP",
        description=_DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=openapi.TAGS,
        # Routes of an included router are found anew at each request, twice; these are not.
        routes=[
            *(route for noun in nouns for route in noun.router.routes),
            *pages.ROUTES,
            *guide.ROUTES,
        ],
        middleware=_layers(settings, clock, metrics, tracing),
        lifespan=_lifespan(settings, clock, metrics, tracing),
        redirect_slashes=False,
        docs_url=None,  # FastAPI's is made of files from another host; pages has ours
        redoc_url=None,
    )
    error_handlers.register(app)
    return app


_ASKED_BY_PAGES = (
    *("Authorization", "X-API-Key", "Idempotency-Key", "Prefer", "Last-Event-ID"),
    *("X-Request-ID", "traceparent"),
)
_TOLD_TO_PAGES = (
    *("Location", "Retry-After", "Preference-Applied", "Idempotent-Replayed"),
    *("X-Request-ID", "traceparent", "Server-Timing"),
)


def _layers(
    settings: Settings, clock: Clock, metrics: Metrics, tracing: Tracing | None
) -> list[Middleware]:
    """What stands before the routes, outermost first; what is switched off is not there at all."""
    origins = _listed(settings.cors_origins)
    layers = [Middleware(RequestIds)]
    if settings.access_log:
        layers.append(Middleware(AccessLog))
    layers += [Middleware(RequestMetrics, metrics=metrics), Middleware(DefaultHeaders)]
    if hosts := AllowedHosts(_listed(settings.allowed_hosts)):
        layers.append(Middleware(Hosts, allowed=hosts))
    layers.append(Middleware(CrossOriginChanges, allowed=origins))
    if tracing is not None:
        layers.append(Middleware(TracingMiddleware, tracing=tracing))
    if origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=_ASKED_BY_PAGES,
            expose_headers=_TOLD_TO_PAGES,
        )
        layers.append(cors)
    if keys := LiveKeys(settings, clock.monotonic):
        door = Middleware(
            KeyMiddleware,
            keys=keys,
            requests_per_minute=settings.max_requests_per_minute,
            open_metrics=settings.open_metrics,
            monotonic=clock.monotonic,
        )
        layers.append(door)
    return [*layers, Middleware(UnexpectedErrors)]


def _listed(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _lifespan(
    settings: Settings, clock: Clock, metrics: Metrics, tracing: Tracing | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        store, executor, close = scale.backend(settings, clock, metrics)
        service = JobService(settings, store, executor, clock)
        give_back()
        state = new_state(settings, service, metrics)
        metrics.now = partial(_now, settings, state)
        use_threads(scheduling.INLINE_THREADS)
        await service.start()
        if tracing is not None:
            tracing.start()
        settle()
        watching = asyncio.create_task(metrics.watch_loop())
        try:
            yield state
        finally:
            watching.cancel()
            await service.stop()
            await state["parser"].close()
            await state["renderer"].close()
            await close()
            if tracing is not None:
                await tracing.stop()

    return lifespan


async def _now(settings: Settings, state: State) -> Snapshot:
    stats = None
    with suppress(StoreUnavailable):
        stats = await state["jobs"].stats()
    return Snapshot(
        stats=stats,
        queue_room=settings.max_queued_jobs,
        store_room=settings.max_store_bytes,
        streams=len(state["streams"]),
        ready=state["jobs"].ready,
    )
