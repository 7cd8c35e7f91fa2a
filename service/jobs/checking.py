"""Checks a request before its job is created."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from service import fitting
from service.jobs.job import Outline, request_nbytes
from service.schemas.fit import FitRequest
from service.schemas.models import MlpModel
from service.settings import Settings

Check = Callable[[FitRequest, Settings], Outline]

_INLINE_BYTES = 2**19
"""Bytes of data above which a request is checked in a thread; so are networks, which may have
thousands of params, and requests whose params must be converted to scaled inputs."""


def outline(request: FitRequest, settings: Settings) -> Outline:
    """The outline of a valid request. Raises InvalidRequest for any other."""
    plan = fitting.check(request, settings)
    problem = plan.task.problem
    return Outline(problem.formula.text, tuple(problem.params), plan.task.options.epochs, plan)


async def check_async(check: Check, request: FitRequest, settings: Settings) -> Outline:
    """The check, in a thread where it takes long."""
    converts = request.scaling is not None and bool(request.params)
    wide = converts or isinstance(request.model, MlpModel)
    if request_nbytes(request) <= _INLINE_BYTES and not wide:
        return check(request, settings)
    return await asyncio.to_thread(check, request, settings)
