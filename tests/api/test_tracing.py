from __future__ import annotations

import builtins
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Receive, Scope, Send

from service.api.middleware.tracing import NoTelemetry, Tracing, TracingMiddleware

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Route:
    path = "/jobs/{job_id}"


def _app(status: int) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


async def _spans(status: int = 200, **headers: str) -> tuple[Any, ...]:
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter)
    tracing.start()
    transport = httpx.ASGITransport(app=TracingMiddleware(_app(status), tracing=tracing))
    async with httpx.AsyncClient(transport=transport, base_url="http://descent") as client:
        await client.get("/jobs/job_1", headers=headers)
    await tracing.stop()
    return exporter.get_finished_spans()


async def test_a_request_is_a_span_named_by_its_route() -> None:
    (span,) = await _spans()
    assert span.name == "GET /jobs/{job_id}"
    assert span.attributes["http.route"] == "/jobs/{job_id}"
    assert span.attributes["http.response.status_code"] == 200
    assert span.resource.attributes["service.name"] == "descent"
    assert span.parent is None


async def test_it_is_a_part_of_the_callers_trace() -> None:
    (span,) = await _spans(traceparent=f"00-{TRACE}-{PARENT}-01")
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT


async def test_a_fault_of_ours_is_an_error() -> None:
    (span,) = await _spans(500)
    assert not span.status.is_ok


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(NoTelemetry, match=r"\[server,otel\]"):
        Tracing()
