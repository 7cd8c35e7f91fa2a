"""OpenTelemetry tracing, enabled by DESCENT_OTEL: one span per request, in the caller's trace.


The libraries are an extra (`pip install '.[server,otel]'`), imported only where it is enabled.
Spans are exported as OpenTelemetry's own variables say, such as `OTEL_EXPORTER_OTLP_ENDPOINT`.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware.request_ids import request_id


class NoTelemetry(RuntimeError):
    """DESCENT_OTEL needs the extra packages: pip install '.[server,otel]'."""


class Tracing:
    """The tracer, from the application's start to its end. It is created in `start`, since its
    thread must not exist when the fork server is forked."""

    def __init__(self, exporter: Any = None) -> None:
        """exporter: the span exporter; default OTLP over HTTP, in batches."""
        try:
            import opentelemetry.exporter.otlp.proto.http.trace_exporter
            import opentelemetry.sdk.trace  # noqa: F401
        except ImportError:
            raise NoTelemetry(NoTelemetry.__doc__) from None
        self._exporter = exporter
        self._provider: Any = None
        self.tracer: Any = None

    def start(self) -> None:
        """Creates the tracer."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        name = os.environ.get("OTEL_SERVICE_NAME", "descent")
        self._provider = TracerProvider(resource=Resource.create({"service.name": name}))
        processor = (
            BatchSpanProcessor(OTLPSpanExporter())
            if self._exporter is None
            else SimpleSpanProcessor(self._exporter)
        )
        self._provider.add_span_processor(processor)
        self.tracer = self._provider.get_tracer("descent")

    async def stop(self) -> None:
        """Exports the remaining spans and shuts down."""
        self.tracer = None
        if self._provider is not None:
            await asyncio.to_thread(self._provider.shutdown)


class TracingMiddleware:
    """Records each request as a span, named by its route (OpenTelemetry's HTTP semantic
    conventions)."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self.app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tracer = self._tracing.tracer
        if scope["type"] != "http" or tracer is None:
            await self.app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in {b"traceparent", b"tracestate"}
        }
        status = 0

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with tracer.start_as_current_span(
            scope["method"],
            context=TraceContextTextMapPropagator().extract(carrier),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": scope["method"],
                "descent.request_id": request_id(scope) or "",
            },
        ) as span:
            await self.app(scope, receive, watched_send)
            if route := getattr(scope.get("route"), "path", None):
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(StatusCode.ERROR)
