"""GET /jobs/{id}/draws: the replicates of a fit's bootstrap."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from fastapi import APIRouter
from starlette.responses import Response

from service import fitting
from service.api import head as heads
from service.api import openapi, queries, writing
from service.api.direct_route import DirectRoute
from service.api.queries import FormQuery
from service.api.state import Request
from service.errors import JobStillRunning, NoReplicates
from service.schemas.draws import Draws

router = APIRouter(tags=["jobs"], default_response_class=Response, route_class=DirectRoute)


@router.get(
    "/jobs/{job_id}/draws",
    operation_id="get_job_draws",
    summary="The replicates of a fit's bootstrap",
    responses={
        200: openapi.forms(Draws, "Columns of equal length"),
        **openapi.refusals(404, 406, 409, 422, 429, 500),
    },
    openapi_extra=openapi.query(FormQuery),
)
async def get_job_draws(request: Request, job_id: str) -> Response:
    """The params of each replicate, in the units of the fit, and the quantities of its `report`;
    for a finished fit, without groups, with the interval method `bootstrap`."""
    head = heads.read(request)
    queries.read(request, FormQuery)
    jobs = request.state["jobs"]
    job = await jobs.get(job_id, head.owner)
    if not job.finished:
        raise JobStillRunning(f"job {job.id} is {job.status}: ask once it has finished")
    answer = await jobs.answer(job)
    curve = None if answer is None else answer.curve
    if not isinstance(curve, fitting.Drawn):
        raise NoReplicates(
            f"job {job.id} has no replicates: fit, without groups, with "
            '{"confidence_interval": {"method": "bootstrap"}}'
        )
    made = Draws.model_construct(
        job_id=job.id,
        kind=curve.kind,
        seed=curve.seed,
        replicate=np.arange(len(curve.theta)),
        params={name: curve.theta[:, i] for i, name in enumerate(curve.names)},
        report={name: curve.values[:, i] for i, name in enumerate(curve.reports)},
    )
    size = len(curve.theta) * (1 + len(curve.names) + len(curve.reports))
    with ExitStack() as room:
        length = writing.hold(request, head, room, {}, 0, size)
        return await writing.answer(request, head, made, length=length, size=size, room=room)
