"""For those who run the service: is it alive, is it ready."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service.api import openapi
from service.api.answers import Health, json_answer
from service.api.direct_route import DirectRoute
from service.api.state import Request
from service.errors import NotReady

router = APIRouter(tags=["operations"], default_response_class=Response, route_class=DirectRoute)


_OK = Health(status="ok")


@router.get(
    "/livez",
    operation_id="livez",
    summary="Is the process alive?",
    responses={200: openapi.answer(Health, "It is"), **openapi.refusals(500)},
)
async def livez(request: Request) -> Response:
    """Answers whatever the workers do."""
    return json_answer(_OK)


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="May requests be sent here?",
    responses={200: openapi.answer(Health, "They may"), **openapi.refusals(500, 503)},
)
async def readyz(request: Request) -> Response:
    """Not while it starts or stops."""
    if not request.state["jobs"].ready:
        raise NotReady
    return json_answer(_OK)
