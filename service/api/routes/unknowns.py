"""POST /invert: unknowns read back from a standard curve, computed at once in a thread."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from service import fitting
from service.api import examples, openapi, writing
from service.api import head as heads
from service.api.bodies import reading
from service.api.bodies.table import Keys
from service.api.direct_route import DirectRoute
from service.api.head import Head
from service.api.queries import FormQuery
from service.api.routes.compute import computed, fitted_job, group_keys
from service.api.state import Request
from service.schemas.unknowns import InvertRequest, Unknowns

router = APIRouter(tags=["compute"], default_response_class=Response, route_class=DirectRoute)

_COLUMNS = 14
"""The most columns of an answer, for unknowns and calibrators; each row is in one of them."""
_TEXT = 4
"""The most numbers that the words about a row are as long as."""


@router.post(
    "/invert",
    operation_id="invert",
    summary="Unknowns from a standard curve",
    responses={
        200: openapi.forms(Unknowns, "One row a sample"),
        **openapi.refusals(400, 404, 406, 408, 409, 413, 415, 422, 429, 500, 503),
    },
    openapi_extra=openapi.body(
        InvertRequest, examples.INVERT, openapi.query(FormQuery)["parameters"]
    ),
)
async def invert(request: Request) -> Response:
    """The values of an input at which the curve has the readings, with intervals. The curve is the
    `predict` of a fit, or that of `job_id`; for a fit by groups, `data` needs the `group_by`
    column. Readings of one `sample` are averaged. Rows with a value of the input are calibrators,
    which are read back too."""
    head = heads.read(request, body=True)
    asked = await reading.read(request, head, InvertRequest, partial(_keys, request, head))
    settings = request.state["settings"]
    most = (settings.max_rows, settings.max_answer_operations)
    work = partial(fitting.unknowns, asked, *most)
    if asked.job_id is not None:
        job, curve = await fitted_job(request, head, asked.job_id)
        fitted = await request.state["jobs"].request(job)
        work = partial(fitting.unknowns_from, asked, curve, fitted, *most)
    rows = max(map(len, asked.data.values()), default=0)
    with ExitStack() as room:
        roots = min(fitting.MAX_ROOTS, fitting.ROOTS_OF_ONE * rows)
        length = writing.hold(request, head, room, asked.data, _COLUMNS + _TEXT, roots)
        found = await computed(request, head, work, small=False)
        size = _size(found)
        length = min(length, size * head.form.number_bytes)
        return await writing.answer(request, head, found, length=length, size=size, room=room)


def _size(found: Unknowns) -> int:
    """The most numbers that the answer is as long as."""
    known = 0 if found.calibrators is None else len(found.calibrators.key)
    limits = 0 if found.limits is None else 3 * len(found.limits.group)
    lists = () if found.roots is None else filter(None, found.roots)
    rows = len(found.key) + known
    return (rows + 1) * (_COLUMNS + _TEXT) + limits + sum(map(len, lists))


async def _keys(request: Request, head: Head, asked: InvertRequest) -> tuple[Keys, ...]:
    """The columns of groups and of samples, whose keys are kept as they are written."""
    formula = asked.model if isinstance(asked.model, str) else ""
    if asked.job_id is not None:
        formula = (await request.state["jobs"].get(asked.job_id, head.owner)).model
    by, groups = fitting.sample_column(asked, formula), await group_keys(request, head, asked)
    return groups if by is None or by in [each.column for each in groups] else (*groups, Keys(by))
