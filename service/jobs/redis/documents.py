"""Jobs as Redis keeps them: fields of text, and documents as bytes. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np

from service.fitting.packing import pack, unpack
from service.jobs.history import Rows
from service.jobs.job import Failure, Job, Progress, Stored, UnreadableRequest
from service.schemas.compare import CompareRequest
from service.schemas.fit import FitRequest
from service.schemas.reading import Reading
from service.schemas.requests import JobRequest
from service.schemas.rows import RowFilter

Fields = Mapping[str, bytes]
"""The fields of a record."""


def new_fields(job: Job) -> list[str | bytes | int]:
    """The fields of a new job and their values, in turn."""
    about = {
        "model": job.model,
        "tags": dict(job.tags),
        "created_at": job.created_at.isoformat(),
        "params": job.params,
        "kind": job.kind,
    }
    made: list[str | bytes | int] = [
        *("owner", job.owner, "queue_key", job.queue_key, "status", job.status),
        *("about", json.dumps(about), "nbytes", job.nbytes, "attempts", job.attempts),
        *("version", job.version, "progress", json.dumps(job.progress)),
    ]
    if job.started_at is not None:
        made += ["started", job.started_at.isoformat()]
    return made + end_fields(job.finished_at, job.stop_reason, job.answered, job.failure)


def end_fields(
    at: datetime | None, stop_reason: str | None, answered: bool, failure: Failure | None
) -> list[str | bytes | int]:
    """The fields that the end of a job adds."""
    made: list[str | bytes | int] = []
    if at is not None:
        made += ["finished", at.isoformat()]
    if stop_reason is not None:
        made += ["stop_reason", stop_reason]
    if answered:
        made += ["answered", 1]
    if failure is not None:
        made += ["failure", json.dumps(failure)]
    return made


def fields_of(flat: Sequence[bytes] | Mapping[bytes, bytes]) -> dict[str, bytes]:
    """The fields by name, of a reply of either protocol."""
    if isinstance(flat, Mapping):
        return {name.decode(): value for name, value in flat.items()}
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


class DamagedRecord(RuntimeError):
    """A record that cannot be read: somebody else has written to it."""


def job_of(job_id: str, fields: Fields) -> Job:
    """The job of a record. Raises DamagedRecord."""
    try:
        return _job_of(job_id, fields)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DamagedRecord(f"the record of {job_id} cannot be read: {error!r}") from error


def _job_of(job_id: str, fields: Fields) -> Job:
    about: dict[str, Any] = json.loads(fields["about"])
    created = datetime.fromisoformat(about["created_at"])
    started = _time(fields.get("started"), created)
    return Job(
        id=job_id,
        owner=fields["owner"].decode(),
        queue_key=fields["queue_key"].decode(),
        request=None,
        kind=about["kind"],
        model=about["model"],
        tags=MappingProxyType(about["tags"]),
        created_at=created,
        params=tuple(about["params"]),
        nbytes=int(fields["nbytes"]),
        status=fields["status"].decode(),  # type: ignore[arg-type]
        started_at=started,
        finished_at=_time(fields.get("finished"), started or created),
        progress=Progress(*json.loads(fields["progress"])),
        stop_reason=_text(fields.get("stop_reason")),  # type: ignore[arg-type]
        answered="answered" in fields,
        failure=Failure(*json.loads(fields["failure"])) if "failure" in fields else None,
        attempts=int(fields["attempts"]),
        cancelling="cancelling" in fields,
        version=int(fields["version"]),
    )


def waited_s(fields: Fields) -> float:
    """Seconds from the creation of a job to its first start, by the clock of Redis."""
    began, queued = (int(fields.get(name, 0)) for name in ("began_ms", "queued_ms"))
    return max(began - queued, 0) / 1000 if began and queued else 0.0


def fitted_s(fields: Fields, now_ms: int) -> float:
    """Seconds since the first start of a job, likewise."""
    return max(now_ms - int(fields.get("began_ms", now_ms)), 0) / 1000


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _time(value: bytes | None, earliest: datetime) -> datetime | None:
    """A time, which the clock of another process may have told too early."""
    return None if value is None else max(datetime.fromisoformat(value.decode()), earliest)


_REQUESTS: Mapping[str, type[JobRequest]] = {"fit": FitRequest, "compare": CompareRequest}


def pack_request(request: JobRequest) -> bytes:
    """The bytes of a request: its columns as arrays, the rest as JSON."""
    kind = "compare" if isinstance(request, CompareRequest) else "fit"
    rest = request.model_dump_json(include=request.model_fields_set - {"data", "rows"})
    made = {"kind": kind, "options": rest, "data": dict(request.data)}
    if request.rows is not None:
        made["rows"] = request.rows.model_dump()
    if isinstance(request, FitRequest) and request.reading is not None:
        made["reading"] = request.reading.model_dump_json()
    return pack(made)


_UNREADABLE = (
    "The process that was to run this job cannot read its request, which another version of "
    "Descent wrote. Send it again once all replicas and nodes are of one version."
)


def unpack_request(data: Stored) -> JobRequest:
    """The request of `pack_request`, of this version or another. Raises UnreadableRequest."""
    try:
        return _unpack_request(data)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise UnreadableRequest(_UNREADABLE) from error


def _unpack_request(data: Stored) -> JobRequest:
    found = unpack(data, any_version=True)
    made = _REQUESTS[found["kind"]].model_validate_json(
        json.dumps({**json.loads(found["options"]), "data": {"x": [0.0]}})
    )
    rows = RowFilter.model_validate(found["rows"]) if "rows" in found else None
    made = made.model_copy(update={"data": found["data"], "rows": rows})
    if "reading" not in found or not isinstance(made, FitRequest):
        return made
    return made.with_reading(Reading.model_validate_json(found["reading"]))


def pack_rows(rows: Rows) -> bytes:
    """The columns of rows, little-endian, after their number, the params and whether thinned."""
    head = np.array([len(rows), rows.params.shape[1], rows.thinned], "<i8")
    columns = (rows.epoch.astype("<i8"), rows.loss, rows.params, rows.gradient)
    return b"".join((head.tobytes(), *(column.tobytes() for column in columns)))


def packed(rows: Rows) -> tuple[int | str, bytes]:
    """The last epoch and the bytes of rows; both empty where there are none."""
    return (int(rows.epoch[-1]), pack_rows(rows)) if len(rows) else ("", b"")


def unpack_rows(data: bytes) -> Rows:
    """The rows of `pack_rows`."""
    count, params, thinned = (int(n) for n in np.frombuffer(data, "<i8", 3))
    epoch = np.frombuffer(data, "<i8", count, 24)
    numbers = np.frombuffer(data, "<f8", count * (1 + 2 * params), 24 + 8 * count)
    loss, wide = numbers[:count], numbers[count:].reshape(2, count, params)
    return Rows(epoch, loss, wide[0], wide[1], bool(thinned))


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of several entries, in their order."""
    if len(parts) < 2:
        return parts[0] if parts else Rows.empty()
    columns = zip(*(part.columns for part in parts), strict=True)
    epoch, loss, params, gradient = (np.concatenate(each) for each in columns)
    return Rows(epoch, loss, params, gradient, any(part.thinned for part in parts))


def row_bytes(params: int) -> int:
    """Bytes of one row, as limits count them."""
    return 8 * (2 + 2 * params)
