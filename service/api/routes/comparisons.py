"""POST /compare: models fitted to the same rows, ranked and tested; a job as a fit is."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service.api import examples, openapi
from service.api.direct_route import DirectRoute
from service.api.queries import FormQuery
from service.api.routes.fits import HEADERS, responses, submitted
from service.api.state import Request
from service.schemas.compare import CompareRequest
from service.schemas.comparisons import Comparison, GroupedComparison

router = APIRouter(tags=["fits"], default_response_class=Response, route_class=DirectRoute)


@router.post(
    "/compare",
    operation_id="compare",
    summary="Compare models of the same data",
    responses=responses(
        Comparison | GroupedComparison,
        "The models in order of the criterion, with tests between them; with `group_by` by group",
    ),
    openapi_extra=openapi.body(
        CompareRequest, examples.COMPARE, [*HEADERS, *openapi.query(FormQuery)["parameters"]]
    ),
)
async def compare(request: Request) -> Response:
    """Only `data` is required; the default is the whole catalogue. Fits each model to the same
    rows, ranks them by a criterion and tests those that are nested. With `group_by`, in each
    group. Waits as `POST /fit` does."""
    return await submitted(request, CompareRequest)
