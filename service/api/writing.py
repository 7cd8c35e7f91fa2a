"""Writes the answer of a route in the form that the request's head asks for. A long answer is
limited before any of it is made, and written in the render process, or while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from pickle import PickleBuffer
from typing import Any

from starlette.responses import Response

from service.api import forms
from service.api.answers import PIECE, json_answer, made_meanwhile, stored
from service.api.concurrency import unless_disconnected
from service.api.forms import JSON, TEXT, AnswerForm, Beside
from service.api.head import Head
from service.api.state import Request
from service.api.views import pieces_of_history
from service.errors import BudgetExceeded
from service.jobs.history import Rows
from service.jobs.job import Job, Stored
from service.schemas.base import Answer
from service.schemas.columns import Data
from service.schemas.requests import JobRequest
from service.schemas.series import pieces

VARY = {"Vary": "Accept"}
LONG = 2_000
"""Numbers above which an answer is written in the render process,"""
LONG_DOCUMENT = 20_000
"""and bytes of a fit's JSON above which a fit is."""
SHORT = 2**20
"""Bytes below which nothing is reserved for an answer."""
_FEW_NUMBERS = 1_000
"""Numbers of a history that are written on the event loop."""


def hold(
    request: Request,
    head: Head,
    room: ExitStack,
    data: Data,
    columns: int = 0,
    other: int = 0,
    form: AnswerForm | None = None,
) -> int:
    """Reserves bytes for the data and for an answer of `columns` columns of the same length plus
    `other` numbers, in `form` (default: that of the head). Returns the most bytes that the answer
    may take. Raises BudgetExceeded where they are above the limit."""
    form = form or head.form
    rows = len(next(iter(data.values()), ()))
    wide = columns + (len(data) if form.repeats_data else 0)
    length = (rows * wide + other) * form.number_bytes
    most = request.state["settings"].max_answer_bytes
    if length > most:
        raise _too_long(length, most, form, rows * wide // max(1, rows), rows)
    held = length + sum(column.nbytes for column in data.values())
    if held > SHORT:
        room.enter_context(request.state["answers"].hold(head.client, held))
    return length


def hold_columns(request: Request, head: Head, room: ExitStack, data: Data) -> None:
    """Reserves bytes for the data alone."""
    hold(request, head, room, data, form=TEXT)


def _too_long(length: int, most: int, form: AnswerForm, columns: int, rows: int) -> BudgetExceeded:
    fitting = most // (form.number_bytes * max(1, columns))
    shorter = "" if form.loads_library else " or ask for ?format=arrow, which is a third as long"
    return BudgetExceeded(
        f"the answer of {rows:,} rows would have up to {length:,} bytes as {form.name}, more than "
        f"the {most:,} allowed; ask for at most {fitting:,} rows at a time{shorter}",
        pointer="/data",
    )


async def answer(
    request: Request,
    head: Head,
    made: Answer,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    length: int = 0,
    size: int = 0,
    data: Data | None = None,
    room: ExitStack | None = None,
) -> Response:
    """An answer of at most `length` bytes and about `size` numbers; `room` is released when it has
    been sent."""
    form = head.form
    headers = {**VARY, **(headers or {})}
    if form is JSON:
        if length <= PIECE:
            return json_answer(made, status, headers)
        turns = request.state["makers"]
        room = room.pop_all() if room else None
        return made_meanwhile(pieces(made), turns, head.client, headers, room)
    beside = Beside(data=data)
    if size <= LONG and not form.loads_library:
        content: Stored = await asyncio.to_thread(forms.write, form.name, made, beside)
    else:
        content = await in_render_process(request, head, "write", form.name, made, beside)
    return stored((content,), status, headers, form.media_type, room.pop_all() if room else None)


async def fit_answer(
    request: Request,
    head: Head,
    fit: Stored,
    asked: JobRequest,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A fit or a comparison, given as the JSON that its worker wrote."""
    form, headers = head.form, {**VARY, **(headers or {})}
    if form is JSON:
        return json_answer(fit, 200, headers)
    rows = len(next(iter(asked.data.values()), ()))
    if max(len(fit), rows) <= LONG_DOCUMENT and not form.loads_library:
        content: Stored = await asyncio.to_thread(forms.write_fit, form.name, fit, asked)
    else:
        known = (form.name, PickleBuffer(fit), asked)
        content = await in_render_process(request, head, "write_fit", *known)
    return stored((content,), 200, headers, form.media_type)


async def history_answer(request: Request, head: Head, job: Job, rows: Rows) -> Response:
    """Rows of a job's history."""
    form, numbers = head.form, len(rows) * (2 + 2 * len(job.params))
    if form is JSON:
        made = pieces_of_history(job, rows)
        if numbers <= _FEW_NUMBERS:
            return json_answer(b"".join(made), headers=VARY)
        return made_meanwhile(made, request.state["makers"], head.client, VARY)
    known = (form.name, job.params, rows, job.progress.epoch)
    with ExitStack() as room:
        hold(request, head, room, {}, 0, numbers)
        if numbers <= LONG and not form.loads_library:
            content: Stored = await asyncio.to_thread(forms.write_history, *known)
        else:
            content = await in_render_process(request, head, "write_history", *known)
        return stored((content,), 200, VARY, form.media_type, room.pop_all())


async def in_render_process(request: Request, head: Head, name: str, *arguments: Any) -> Stored:
    """The result of that function of the render process. It counts against the limit of pictures,
    and is cancelled if the caller disconnects."""
    with request.state["pictures"].hold(head.client):
        # One queue per function: a picture does not wait for all the long tables of its caller.
        queue = f"{name} {head.client}"
        working = request.state["renderer"].call(name, *arguments, caller=queue)
        return await unless_disconnected(request, working)
