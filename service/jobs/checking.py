"""Checks a request before its job is created."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from service import fitting
from service.jobs.job import Outline, request_nbytes
from service.schemas.compare import CompareRequest
from service.schemas.models import MlpModel
from service.schemas.requests import JobRequest
from service.settings import Settings

Check = Callable[[JobRequest, Settings], Outline]

_INLINE_BYTES = 2**19
"""Bytes of data above which a request is checked in a thread; so are networks, which may have
thousands of params, comparisons, which have many models, and requests whose params must be
converted to scaled inputs."""


def outline(request: JobRequest, settings: Settings) -> Outline:
    """The outline of a valid request. Raises InvalidRequest for any other."""
    if isinstance(request, CompareRequest):
        compared = fitting.to_comparison(request, settings)
        return Outline(compared.title, (), len(compared.entries))
    plan = fitting.check(request, settings)
    problem = plan.task.problem
    return Outline(problem.formula.text, tuple(problem.params), plan.task.options.epochs, plan)


async def check_async(check: Check, request: JobRequest, settings: Settings) -> Outline:
    """The check, in a thread where it takes long."""
    if isinstance(request, CompareRequest):
        return await asyncio.to_thread(check, request, settings)
    converts = request.scaling is not None and bool(request.params)
    wide = converts or isinstance(request.model, MlpModel)
    if request_nbytes(request) <= _INLINE_BYTES and not wide:
        return check(request, settings)
    return await asyncio.to_thread(check, request, settings)
