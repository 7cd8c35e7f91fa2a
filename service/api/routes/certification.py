"""GET /certify: certified cases, computed by the running service."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from service import certification
from service.api import head as heads
from service.api import openapi, queries, writing
from service.api.concurrency import unless_disconnected
from service.api.direct_route import DirectRoute
from service.api.head import Head
from service.api.queries import CertifyQuery
from service.api.routes.compute import computed
from service.api.state import Request
from service.schemas.certification import Certification, CertifiedCase

router = APIRouter(tags=["operations"], default_response_class=Response, route_class=DirectRoute)


@router.get(
    "/certify",
    operation_id="certify",
    summary="How many certified digits does this service reach?",
    responses={
        200: openapi.forms(Certification, "Every case; one that did not pass says why"),
        **openapi.refusals(406, 422, 429, 500, 503),
    },
    openapi_extra=openapi.query(CertifyQuery),
)
async def certify(request: Request) -> Response:
    """Answers NIST's reference datasets, the worked example and published cases of laboratories, as
    any request is answered but without jobs, and compares the answers with the certified figures.

    Digits are −log₁₀ of the relative error, at most those that are printed; they are all of them
    where the difference is at most half a unit of the last. A figure passes within one unit of its
    last printed digit. There are three exceptions: of NIST's datasets, which print 11 digits or 15,
    params need 6, and standard errors and the residual standard deviation 4; of the worked example
    in float32, a figure of more than 6 digits needs 6; and where the `note` of a case says so
    (Lanczos1, Wampler5, ryegrass-back-calculation). Words and counts must be equal.

    It takes some seconds of one core, in a thread, and one runs at a time. The limits of the
    settings do not apply."""
    head = heads.read(request)
    asked = queries.read(request, CertifyQuery)
    with request.state["certifications"].hold(head.client):
        results = await unless_disconnected(request, _results(request, head))
    made = certification.certification(results, detail=asked.detail)
    figures = sum(len(each.values or ()) for each in made.cases)
    return await writing.answer(request, head, made, size=6 * figures)


async def _results(request: Request, head: Head) -> list[CertifiedCase]:
    """One case at a time, each in its turn among other computations."""
    cases = await computed(request, head, certification.cases, small=False)
    return [
        await computed(request, head, partial(certification.certified, case), small=False)
        for case in cases
    ]
