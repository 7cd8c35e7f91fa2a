"""What a request asks for, refused before there is a job where it cannot be had."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from service import fitting
from service.jobs.job import Outline, request_nbytes
from service.schemas.fit import FitRequest
from service.settings import Settings

Check = Callable[[FitRequest, Settings], Outline]

_QUICK_BYTES = 2**19
"""Requests with more data than this are checked in a thread, off the event loop; as are those whose
params are to be taken over to scaled inputs."""


def outline(request: FitRequest, settings: Settings) -> Outline:
    """The request as it was understood; InvalidRequest where it cannot be carried out."""
    plan = fitting.check(request, settings)
    problem = plan.task.problem
    return Outline(problem.formula.text, tuple(problem.params), plan.task.options.epochs, plan)


async def check_async(check: Check, request: FitRequest, settings: Settings) -> Outline:
    """The check, without holding up the event loop."""
    taken_over = request.scaling is not None and bool(request.params)
    if request_nbytes(request) <= _QUICK_BYTES and not taken_over:
        return check(request, settings)
    return await asyncio.to_thread(check, request, settings)
