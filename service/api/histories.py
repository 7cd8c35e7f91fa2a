"""History rows as JSON: serialized in a thread, and once for all watchers of a job."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator

from pydantic_core import to_json

from service.api.concurrency import FairLimiter
from service.jobs.history import Rows
from service.jobs.job import Job
from service.schemas.series import columns, written

FEW_NUMBERS = 512
"""Numbers up to which rows are serialized on the event loop."""
_KEPT = 64


def pieces(job: Job, rows: Rows) -> Iterator[bytes]:
    """The JSON of rows of the job's history, in pieces."""
    yield b'{"epoch":'
    yield from written(rows.epoch)
    yield b',"loss":'
    yield from written(rows.loss)
    yield b',"params":'
    yield from columns(job.params, rows.params)
    yield b',"gradient":'
    yield from columns(job.params, rows.gradient)
    yield b',"total":%b,"thinned":%b}' % (to_json(job.progress.epoch), to_json(rows.thinned))


class Histories:
    """A cache of the rows last serialized for watchers."""

    def __init__(self, turns: FairLimiter) -> None:
        self._turns = turns
        self._kept: OrderedDict[tuple[object, ...], asyncio.Task[bytes]] = OrderedDict()

    async def written(self, job: Job, rows: Rows, caller: str) -> bytes:
        """The JSON of those rows."""
        if len(rows) * (2 + 2 * len(job.params)) <= FEW_NUMBERS:
            return b"".join(pieces(job, rows))
        key = (job.id, job.version, int(rows.epoch[0]), len(rows))
        writing = self._kept.get(key)
        if writing is None or (writing.done() and writing.cancelled()):
            writing = self._kept[key] = asyncio.create_task(self._write(job, rows, caller))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return await asyncio.shield(writing)

    async def _write(self, job: Job, rows: Rows, caller: str) -> bytes:
        async with self._turns.turn(caller):
            return await asyncio.to_thread(b"".join, pieces(job, rows))
