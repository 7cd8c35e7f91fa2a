"""Health checks and metrics for operators."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service.api import openapi
from service.api.answers import Health, json_answer
from service.api.direct_route import DirectRoute
from service.api.middleware.metrics import CONTENT_TYPE
from service.api.state import Request

router = APIRouter(tags=["operations"], default_response_class=Response, route_class=DirectRoute)


_OK = Health(status="ok")
_TEXT = {
    "description": "Prometheus's text format",
    "content": {"text/plain": {"schema": {"type": "string"}}},
    "headers": {},
}


@router.get(
    "/livez",
    operation_id="livez",
    summary="Is the process alive?",
    responses={200: openapi.answer(Health, "The process is alive"), **openapi.refusals(500)},
)
async def livez(request: Request) -> Response:
    """200 whenever the process answers, whatever its workers do."""
    return json_answer(_OK)


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Is the service ready for requests?",
    responses={200: openapi.answer(Health, "The service is ready"), **openapi.refusals(500, 503)},
)
async def readyz(request: Request) -> Response:
    """503 while the service starts or stops, or while no worker is alive; `detail` says which."""
    await request.state["jobs"].check()
    return json_answer(_OK)


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Counts and gauges for Prometheus",
    responses={200: _TEXT, **openapi.refusals(500)},
)
async def metrics(request: Request) -> Response:
    """Requests by route, jobs by status, the queue, the store, the workers, refusals by type. Needs
    an API key where keys are set, unless `DESCENT_OPEN_METRICS` is on."""
    return Response(await request.state["metrics"].text(), media_type=CONTENT_TYPE)
