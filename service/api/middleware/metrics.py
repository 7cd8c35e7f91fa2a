"""The metrics of /metrics, in Prometheus's text format, and the middleware that counts requests.

The registry is the application's own, since the library's default is global. Label values are
bounded: routes are templates, methods and problem types come from fixed sets, job ids are no
labels."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.answers import PROBLEM
from service.jobs.job import Job
from service.jobs.service import Stats

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
_ANSWER_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_FIT_S = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300, 1800)
_PICTURE_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DELAY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_PAUSE_S = 0.05
_STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The gauges' values at one scrape."""

    stats: Stats | None
    """None where the store does not answer."""
    queue_room: int
    store_room: int
    streams: int
    ready: bool


class Metrics:
    """Counters and histograms since the start; an Observer of jobs and workers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """Further collectors may be registered here."""
        self.now: Callable[[], Awaitable[Snapshot]] | None = None
        """Called at each scrape; None until the service has started."""
        self.snapshot: Snapshot | None = None
        """The gauges as of the last scrape."""
        registry = self.registry
        self._requests = Counter(
            "descent_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "descent_http_request_duration_seconds",
            "From a request's head to the end of its answer; a stream lasts as long as it is read.",
            ["method", "route"],
            buckets=_ANSWER_S,
            registry=registry,
        )
        self._refusals = Counter(
            "descent_refusals", "Problems answered, by their type.", ["type"], registry=registry
        )
        self._ended = Counter(
            "descent_jobs_ended", "Jobs that ended.", ["status"], registry=registry
        )
        self._waited = Histogram(
            "descent_job_queue_seconds",
            "From a job's acceptance to its start.",
            buckets=_FIT_S,
            registry=registry,
        )
        self._fitted = Histogram(
            "descent_fit_seconds",
            "From a job's start to its end.",
            buckets=_FIT_S,
            registry=registry,
        )
        self._epochs = Counter("descent_epochs", "Epochs done by ended jobs.", registry=registry)
        self._restarts = Counter(
            "descent_worker_restarts", "Workers that died and were replaced.", registry=registry
        )
        self._pictures = Histogram(
            "descent_picture_seconds",
            "From a picture's request to the picture, its wait for others included.",
            ["view", "format"],
            buckets=_PICTURE_S,
            registry=registry,
        )
        self._delays = Histogram(
            "descent_event_loop_delay_seconds",
            "By how much a timer of the event loop fired late: the delay that every caller waits.",
            buckets=_DELAY_S,
            registry=registry,
        )
        registry.register(_Gauges(self))
        ProcessCollector(registry=registry)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Records a request that was answered."""
        key = (method, route, status)
        known = self._known.get(key)
        if known is None:
            method = method if method in _METHODS else "other"
            counter = self._requests.labels(method, route, str(status))
            known = self._known[key] = counter, self._seconds.labels(method, route)
        known[0].inc()
        known[1].observe(seconds)

    def refused(self, kind: str) -> None:
        """Records a problem by its type."""
        self._refusals.labels(kind).inc()

    def job_ended(self, job: Job, waited_s: float | None, fitted_s: float | None) -> None:
        """Records a job that ended."""
        self._ended.labels(job.status).inc()
        self._epochs.inc(job.progress.epoch)
        if waited_s is not None and fitted_s is not None:
            self._waited.observe(waited_s)
            self._fitted.observe(fitted_s)

    def drawn(self, view: str, form: str, seconds: float) -> None:
        """Records a picture and the seconds from its request to its completion."""
        self._pictures.labels(view, form).observe(seconds)

    def worker_replaced(self) -> None:
        """Records a worker that died and was replaced."""
        self._restarts.inc()

    async def watch_loop(self) -> None:
        """Measures how late the event loop is, for as long as it runs."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.sleep(_PAUSE_S)
            self._delays.observe(max(0.0, loop.time() - began - _PAUSE_S))

    async def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        self.snapshot = None if self.now is None else await self.now()
        return generate_latest(self.registry)


class _Gauges:
    """Collects a `Snapshot` as gauges at each scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now = self._metrics.snapshot
        if now is None:
            return
        if now.stats is not None:
            yield from _of_the_store(now.stats)
        for name, help_text, value in (
            ("store_up", "1 if the store of jobs answers, else 0.", now.stats is not None),
            ("queue_room", "Jobs that may wait.", now.queue_room),
            ("store_room_bytes", "Bytes that the store may hold.", now.store_room),
            ("streams", "Event streams that are open.", now.streams),
            ("ready", "1 if the service accepts requests, else 0.", now.ready),
        ):
            yield GaugeMetricFamily(f"descent_{name}", help_text, float(value))


def _of_the_store(stats: Stats) -> Iterator[Metric]:
    """The gauges that are left out where the store does not answer."""
    store, executor = stats.store, stats.executor
    jobs = GaugeMetricFamily("descent_jobs", "Jobs in the store.", labels=["status"])
    for status in _STATUSES:
        jobs.add_metric([status], store.jobs.get(status, 0))
    yield jobs
    for name, help_text, value in (
        ("queue_depth", "Jobs that wait for a worker.", store.queued),
        ("queue_oldest_seconds", "How long the first of them has waited.", store.oldest_wait_s),
        ("store_bytes", "Bytes that the store holds.", store.nbytes),
        ("workers", "Worker processes that are alive.", executor.workers),
        ("workers_wanted", "Worker processes configured.", executor.workers_wanted),
    ):
        yield GaugeMetricFamily(f"descent_{name}", help_text, float(value))


class Answered(ABC):
    """A middleware that sees each request when it has been answered, or has failed; the access
    log is one too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    @abstractmethod
    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """A request has ended; its status is 0 if it had no answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = perf_counter(), 0

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        finally:
            self.answered(scope, status, perf_counter() - began)


class RequestMetrics(Answered):
    """Counts each request by its method, route and status, and its refusal by the problem's
    type."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        super().__init__(app)
        self._metrics = metrics

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        self._metrics.answered(scope["method"], route_label(scope), status, seconds)
        if PROBLEM in scope:
            self._metrics.refused(scope[PROBLEM])


UNMATCHED = "unmatched"
"""The route label of requests that match no route."""


def route_label(scope: Scope) -> str:
    """The template of the request's route. Starlette's own routes, the pages, leave none."""
    found: str | None = getattr(scope.get("route"), "path", None)
    if found is not None:
        return found
    if "endpoint" not in scope:
        return UNMATCHED
    path: str = scope["path"]
    return "/assets/{path}" if path.startswith("/assets/") else path
