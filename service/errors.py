"""What can go wrong, as a tree. It knows no HTTP: `api.error_handlers` gives each its status.

DescentError
├── InvalidRequest            the request cannot be carried out as it stands
│   ├── InvalidFormula        the model's text does not parse, at a column of that text
│   ├── UnknownName           a name that is in no table; the nearest known one is offered
│   │   └── UnknownDiagnostic that of no diagnostic
│   ├── InvalidData           a column, a row or a value that cannot be used
│   └── BudgetExceeded        it would cost more than one request may
├── UnknownJob                no job has that id, any more or at all
├── JobStillRunning           a job can be forgotten only once it has finished
├── IdempotencyConflict       the key was used for another request
├── QueueFull                 no room for another job just now
│   └── QuotaExceeded         this caller has all that one may have, just now
├── Unauthorized              keys are asked for, and none that is known came
├── CrossOrigin               a page of another origin asked for a change
├── Misdirected               the request is for a host that this is not
├── OutOfMemory               there is no memory for it just now
├── NotReady                  the service is starting or stopping
└── JobFailed                 the job ended without an answer
    └── WorkerLost            the process that ran it died
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong, and where: `pointer` is a JSON Pointer (RFC 6901) into the body."""

    pointer: str
    detail: str


class DescentError(Exception):
    """Something that Descent can explain. `str(error)` is a sentence for the caller."""

    type = "error"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or " ".join((type(self).__doc__ or "").split()))


class InvalidRequest(DescentError):
    """The request cannot be carried out as it stands."""

    type = "invalid-request"

    def __init__(self, detail: str | None = None, *, pointer: str = "") -> None:
        super().__init__(detail)
        self.complaints: tuple[Complaint, ...] = (Complaint(pointer, str(self)),)

    @classmethod
    def of(cls, complaints: Iterable[Complaint]) -> Self:
        """One error for several complaints; its sentence is the first of them."""
        gathered = tuple(complaints)
        error = cls(gathered[0].detail)
        error.complaints = gathered
        return error

    def at(self, pointer: str) -> Self:
        """The same error, its complaints moved below `pointer`."""
        self.complaints = tuple(Complaint(pointer + c.pointer, c.detail) for c in self.complaints)
        return self


class InvalidFormula(InvalidRequest):
    """The formula does not parse."""

    type = "invalid-formula"

    def __init__(self, detail: str, *, column: int | None = None, pointer: str = "") -> None:
        where = "" if column is None else f" (column {column})"
        super().__init__(detail + where, pointer=pointer)
        self.column = column


class UnknownName(InvalidRequest):
    """A name that is in no table."""

    type = "unknown-name"

    def __init__(self, kind: str, name: str, known: Iterable[str], *, pointer: str = "") -> None:
        hint = nearest_hint(name, known)
        super().__init__(
            f"unknown {kind} '{shortened(name)}'{hint}", pointer=pointer[:MOST_POINTED]
        )


class UnknownDiagnostic(UnknownName):
    """No diagnostic has that code."""

    type = "unknown-diagnostic"


class InvalidData(InvalidRequest):
    """The data cannot be used."""

    type = "invalid-data"


class BudgetExceeded(InvalidRequest):
    """The request would cost more than one request may."""

    type = "budget-exceeded"


class UnknownJob(DescentError):
    """No job has that id."""

    type = "unknown-job"


class JobStillRunning(DescentError):
    """The job has not finished; cancel it first."""

    type = "job-still-running"


class IdempotencyConflict(DescentError):
    """That Idempotency-Key was used for a different request; send a new key."""

    type = "idempotency-conflict"


class QueueFull(DescentError):
    """No room for another job just now; try again later."""

    type = "queue-full"

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class QuotaExceeded(QueueFull):
    """This key has all that one may have just now; try again later."""

    type = "quota-exceeded"


class Unauthorized(DescentError):
    """An API key is needed: send `Authorization: Bearer KEY` with one that this server knows."""

    type = "unauthorized"


class Misdirected(DescentError):
    """This server does not answer to the Host of the request; DESCENT_ALLOWED_HOSTS names those."""

    type = "misdirected-request"


class CrossOrigin(DescentError):
    """A page of another origin may change nothing here; the operator names those that may in
    DESCENT_CORS_ORIGINS."""

    type = "cross-origin"


class OutOfMemory(DescentError):
    """There is no memory for that just now; ask for less, or try again later."""

    type = "out-of-memory"


class NotReady(DescentError):
    """The service is starting or stopping; try again later."""

    type = "not-ready"


class JobFailed(DescentError):
    """The job ended without an answer."""

    type = "job-failed"


class WorkerLost(JobFailed):
    """The process that ran the job died."""

    type = "worker-lost"


LONGEST = 64
"""Characters of a name that are echoed, or compared with others."""
MOST_LISTED = 20
MOST_POINTED = 300


def shortened(name: str) -> str:
    """A name as it may be echoed."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest of `known`, or lists them all: "; did you mean 'sgd'?"."""
    names = sorted(candidate for candidate in known if len(candidate) <= LONGEST)
    folded = {candidate.casefold(): candidate for candidate in names[:1000]}
    near = []
    if len(name) <= LONGEST:
        near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    if near:
        return f"; did you mean '{folded[near[0]]}'?"
    more = ", …" if len(names) > MOST_LISTED else ""
    return f"; known: {', '.join(names[:MOST_LISTED])}{more}" if names else ""
