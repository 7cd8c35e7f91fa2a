"""A store in Redis or Valkey, shared by all replicas and nodes of a cell. The state is in Redis
alone: each change is one Lua script (see `functions.lua`)."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from service.errors import (
    IdempotencyConflict,
    JobStillRunning,
    QueueFull,
    QuotaExceeded,
    StoreUnavailable,
    UnknownJob,
)
from service.fitting import Curve
from service.fitting.packing import pack
from service.jobs.history import History, Rows
from service.jobs.job import Failure, IllegalTransition, Job, Progress, StaleAttempt, Stored
from service.jobs.memory_entries import curve_bytes
from service.jobs.redis import documents
from service.jobs.redis.documents import DamagedRecord, fields_of, job_of
from service.jobs.redis.reader import Reader
from service.jobs.store import Claimed, IdempotencyKey
from service.schemas.names import Status, StopReason

log = logging.getLogger("descent.store")

Args = list[str | bytes | int | float]


class Changed(NamedTuple):
    """What the change of a job found out, with times by the clock of Redis."""

    job: Job
    listeners: int
    """Processes that wait for the job's changes."""
    waited_s: float
    fitted_s: float
    """Since its first start; both are 0 where it has not started."""


class RedisStore(Reader):
    """A JobStore for many processes."""

    # --- new jobs ---------------------------------------------------------------------------------

    async def find(self, owner: str, key: IdempotencyKey) -> Job | None:
        reply = await self.scripts.run("find", owner, key.key, key.fingerprint.hex())
        return None if reply is None else self._created(reply, None)[0]

    async def create(self, job: Job, key: IdempotencyKey | None = None) -> tuple[Job, bool]:
        assert job.request is not None, "a new job has its request"
        staged = await self.stage(documents.pack_request(job.request))
        head = self._head(job, job.queue_key, job.nbytes, key)
        return await self._admitted(
            "create", job, staged, *head, *staged, *documents.new_fields(job)
        )

    async def record(
        self, job: Job, rows: Rows, fitted_s: float, key: IdempotencyKey | None = None
    ) -> tuple[Job, bool]:
        assert job.request is not None, "a new job has its request"
        request = documents.pack_request(job.request)
        nbytes = job.nbytes + len(job.result or b"") + curve_bytes(job.curve)
        job = replace(job, nbytes=nbytes)
        curve = None if job.curve is None else pack(job.curve)
        staged = [part for each in (request, job.result, curve) for part in await self.stage(each)]
        head = self._head(job, job.status, nbytes + rows.nbytes, key)
        more = (*documents.packed(rows), *documents.new_fields(job))
        job, existed = await self._admitted("record", job, staged, *head, *staged, *more)
        if not existed:
            self._observer.job_ended(job, 0.0, fitted_s)
        return job, existed

    def _head(self, job: Job, second: str, nbytes: int, key: IdempotencyKey | None) -> Args:
        """The arguments that new jobs have in common."""
        named = ("", "") if key is None else (key.key, key.fingerprint.hex())
        return [job.id, job.owner, second, nbytes, *named, self.limits]

    async def _admitted(
        self, name: str, job: Job, staged: Sequence[Any], *args: Any
    ) -> tuple[Job, bool]:
        """Runs a script that creates a job. What was staged for one that is refused is removed."""
        reply = None
        try:
            reply = await self.scripts.run(name, *args)
        finally:
            if reply is None or reply[0] != b"created":
                await self.unstage(*staged[::2])
        return self._created(reply, job)

    def _created(self, reply: Any, job: Job | None) -> tuple[Job, bool]:
        """The answer of a script that creates or finds a job. Raises what it was refused for."""
        said = reply[0].decode()
        if said == "found":
            return job_of(reply[2].decode(), fields_of(reply[1])), True
        if said == "created" and job is not None:
            return job, False
        if said == "conflict":
            raise IdempotencyConflict
        if said == "staged":
            raise StoreUnavailable
        if said == "exists":
            raise ValueError(f"{job.id if job else 'the job'} exists already")
        if said == "unfinished":
            raise QuotaExceeded(
                f"This key has {reply[1]} unfinished jobs, its limit; try again later."
            )
        if said == "share":
            raise QuotaExceeded(
                "The unfinished jobs of this key fill its share of the store; try again later."
            )
        if said == "store":
            raise QueueFull("Unfinished jobs fill the store; try again later.")
        raise QueueFull

    # --- transitions ------------------------------------------------------------------------------

    async def claim(self, at: datetime, *, node: str = "") -> Claimed | None:
        while True:
            given = (at.isoformat(), self._lease_ms, node, self.age_ms)
            reply = await self.scripts.run("claim", *given)
            if reply is None:
                return None
            job_id, fields = reply[0].decode(), fields_of(reply[1])
            try:
                job = job_of(job_id, fields)
                break
            except DamagedRecord as error:
                log.error("%s; the job is failed", error)
                failure = Failure("job-failed", "The record of this job was damaged.")
                end = documents.end_fields(at, None, False, failure)
                with suppress(DamagedRecord, UnknownJob, IllegalTransition):
                    await self._change(job_id, "failed", None, fields=end)
        document = await self.document(f"checkpoint:{job.id}") if "spent" in fields else b""
        waited_s = documents.waited_s(fields)
        return Claimed(job, waited_s, float(fields.get("spent", 0)), document or None)

    async def positions(self, job_ids: Sequence[str]) -> Sequence[int | None]:
        return (await self.places(job_ids))[0]

    async def start(self, job_id: str, at: datetime) -> Job:
        return (await self._change(job_id, "running", None, at=at.isoformat())).job

    async def requeue(self, job_id: str, *, attempt: int | None = None) -> Job:
        return (await self._change(job_id, "queued", attempt)).job

    async def release(self, job: Job) -> Job:
        """running -> queued, first in its turn, for another node; the attempt does not count."""
        return (await self._change(job.id, "queued", job.attempts, release=True)).job

    async def append(
        self,
        job_id: str,
        rows: Rows,
        progress: Progress,
        *,
        whole: bool = False,
        attempt: int | None = None,
        checkpoint: Stored | None = None,
        spent_s: float = 0.0,
    ) -> Job:
        appended = await self.append_heard(
            job_id,
            rows,
            progress,
            whole=whole,
            attempt=attempt,
            checkpoint=checkpoint,
            spent_s=spent_s,
        )
        return appended.job

    async def append_heard(
        self,
        job_id: str,
        rows: Rows,
        progress: Progress,
        *,
        whole: bool,
        attempt: int | None,
        checkpoint: Stored | None,
        spent_s: float,
    ) -> Changed:
        """As `append`, and who listens."""
        fields: Args = ["progress", json.dumps(progress), "spent", spent_s]
        staged = await self.stage(checkpoint)
        try:
            return await self._change(
                job_id, "", attempt, rows=rows, whole=whole, fields=fields, checkpoint=staged
            )
        except _MustMerge:
            # Only this attempt writes, so the history stays as it is read.
            history = History(self._most_rows(rows), await self.history(job_id))
            history.append(rows)
            rows = history.rows
        return await self._change(
            job_id, "", attempt, rows=rows, whole=True, fields=fields, checkpoint=staged
        )

    async def finish(
        self,
        job_id: str,
        status: Status,
        at: datetime,
        *,
        stop_reason: StopReason | None = None,
        result: Stored | None = None,
        curve: Curve | None = None,
        failure: Failure | None = None,
        attempt: int | None = None,
    ) -> Job:
        return await self._finish(
            job_id, status, at, stop_reason, result, curve, failure, attempt, waiting=False
        )

    async def _finish(
        self,
        job_id: str,
        status: Status,
        at: datetime,
        stop_reason: StopReason | None,
        result: Stored | None,
        curve: Curve | None,
        failure: Failure | None,
        attempt: int | None,
        *,
        waiting: bool,
    ) -> Job:
        changed = await self._change(
            job_id,
            status,
            attempt,
            bytes=len(result or b"") + curve_bytes(curve),
            waiting=waiting,
            result=await self.stage(result),
            curve=await self.stage(None if curve is None else pack(curve)),
            fields=documents.end_fields(at, stop_reason, result is not None, failure),
        )
        job = replace(changed.job, result=result, curve=curve)
        if job.started_at is None:
            self._observer.job_ended(job, None, None)
        else:
            self._observer.job_ended(job, changed.waited_s, changed.fitted_s)
        return job

    async def cancel(self, job_id: str, at: datetime) -> Job:
        while True:
            reply = await self.scripts.run("cancel", job_id)
            if reply[0] == b"unknown":
                raise UnknownJob(await self.why_unknown(job_id, None))
            if reply[0] != b"queued":
                return job_of(job_id, fields_of(reply[1]))
            with suppress(IllegalTransition):  # it was claimed in between
                return await self._finish(
                    job_id, "cancelled", at, "cancelled", None, None, None, None, waiting=True
                )

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        reply = await self.scripts.run(
            "delete", job_id, owner or "", int(owner is not None), self.age_ms
        )
        if reply == b"unknown":
            raise UnknownJob(await self.why_unknown(job_id, owner))
        if reply == b"unfinished":
            raise JobStillRunning

    async def _change(
        self,
        job_id: str,
        to: str,
        attempt: int | None,
        *,
        rows: Rows | None = None,
        fields: Sequence[str | bytes | int | float] = (),
        result: tuple[str, Stored] = ("", b""),
        curve: tuple[str, Stored] = ("", b""),
        checkpoint: tuple[str, Stored] = ("", b""),
        **options: Any,
    ) -> Changed:
        rows = Rows.empty() if rows is None else rows
        given = {
            **{"bytes": 0, "whole": False, "lease": self._lease_ms},
            "limits": {
                "jobs": self._settings.max_jobs,
                "bytes": self._settings.max_store_bytes,
                "age": self.age_ms,
            },
            **options,
            "rows": len(rows),
            "first": int(rows.epoch[0]) if len(rows) else 0,
            "most_rows": self._most_rows(rows),
            "row_bytes": documents.row_bytes(rows.params.shape[1]),
        }
        reply = await self.scripts.run(
            "change",
            *(
                job_id,
                "" if attempt is None else attempt,
                to,
                json.dumps(given),
                *documents.packed(rows),
            ),
            *(*result, *curve, *checkpoint, *fields),
        )
        said = reply[0].decode()
        if said == "unknown":
            raise UnknownJob(await self.why_unknown(job_id, None))
        if said == "stale":
            raise StaleAttempt(f"{job_id} is at attempt {reply[1].decode()}, not {attempt}")
        if said == "illegal":
            raise IllegalTransition(job_id, reply[1].decode(), to or "running")  # type: ignore[arg-type]
        if said == "staged":
            raise StoreUnavailable
        if said == "merge":
            raise _MustMerge
        found, listeners, now_ms = fields_of(reply[1]), int(reply[2]), int(reply[3])
        waited_s, fitted_s = documents.waited_s(found), documents.fitted_s(found, now_ms)
        return Changed(job_of(job_id, found), listeners, waited_s, fitted_s)

    @property
    def _lease_ms(self) -> int:
        return int(self._settings.lease_s * 1000)

    def _most_rows(self, rows: Rows) -> int:
        return max(self._settings.rows_of_history(rows.params.shape[1]), 8)

    # --- nodes ------------------------------------------------------------------------------------

    async def beat(self, node: str, slots: int, jobs: Sequence[Job]) -> tuple[int, list[str]]:
        """A node's sign of life, which renews the leases of its jobs. Returns how many jobs are to
        be claimed, and which of these jobs another node has taken over."""
        pairs = [each for job in jobs for each in (job.id, job.attempts)]
        waiting, lost = await self.scripts.run(
            "beat", node, slots, self._lease_ms, self.age_ms, *pairs
        )
        return waiting, [job_id.decode() for job_id in lost]


class _MustMerge(Exception):
    """Rows repeat epochs, or fill the history."""
