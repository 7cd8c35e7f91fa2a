"""The exceptions of the service: one class an error, with all that is said about it. Its docstring
is the title of the problem, and the message where none is given. Errors that only HTTP has are in
`service.api.http_errors`.

DescentError
├── InvalidRequest            the request is not valid
│   ├── InvalidFormula        the formula has a syntax error, at a column of its text
│   ├── UnknownName           unknown name; the nearest known one is suggested
│   │   ├── UnknownNameInFormula  likewise, at a column of a formula's text
│   │   └── UnknownDiagnostic unknown diagnostic code
│   ├── InvalidData           a column, a row or a value that cannot be used
│   └── BudgetExceeded        the request would exceed a computing budget
├── UnknownJob                no job has that id, or it was deleted or has expired
├── JobStillRunning           only a finished job can be deleted
├── IdempotencyConflict       the Idempotency-Key was used for another request
├── QueueFull                 the job queue is full
│   └── QuotaExceeded         the caller's quota is used up
├── Unauthorized              the API key is missing or unknown
├── CrossOrigin               a page of an origin that is not allowed sent a state-changing request
├── Misdirected               the request's Host is not one of this server's
├── OutOfMemory               not enough memory at the moment
├── NotReady                  the service is starting or stopping
│   └── StoreUnavailable      the job store cannot be reached, or is full
└── JobFailed                 the job ended without a result
    └── WorkerLost            the worker process that ran it died
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from service.synonyms import meant


@dataclass(frozen=True, slots=True)
class FieldError:
    """One validation error. `pointer` is a JSON Pointer (RFC 6901) into the body."""

    pointer: str
    detail: str


POINTED = "`errors` points to each place in the body and says what to write instead."
LATER = "Retry after `Retry-After` seconds."


class DescentError(Exception):
    """Base class. `str(error)` is the message for the caller; default: the class's docstring."""

    type = "error"
    """Its stable name: a problem's `type`, and the page of it at /problems/{type}."""
    http_status = 500
    """The status of the answer, for a layer that speaks HTTP."""
    meaning = ""
    """What the type means, in the documentation."""
    remedy = ""
    """What the caller or the operator can do."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or " ".join((type(self).__doc__ or "").split()))


class InvalidRequest(DescentError):
    """The request is not valid."""

    type = "invalid-request"
    http_status = 422
    meaning = "The request is not valid."
    remedy = POINTED

    def __init__(self, detail: str | None = None, *, pointer: str = "") -> None:
        super().__init__(detail)
        self.errors: tuple[FieldError, ...] = (FieldError(pointer, str(self)),)

    @classmethod
    def of(cls, errors: Iterable[FieldError]) -> Self:
        """One error for several validation errors; its message is that of the first."""
        gathered = tuple(errors)
        error = cls(gathered[0].detail)
        error.errors = gathered
        return error

    def at(self, pointer: str) -> Self:
        """The same error with `pointer` prepended to the pointers of its validation errors."""
        self.errors = tuple(FieldError(pointer + c.pointer, c.detail) for c in self.errors)
        return self


class InvalidFormula(InvalidRequest):
    """The formula has a syntax error."""

    type = "invalid-formula"
    http_status = 422
    meaning = "The model's text does not parse."
    remedy = "The column of the text is named; see formulas."

    def __init__(self, detail: str, *, column: int | None = None, pointer: str = "") -> None:
        where = "" if column is None else f" (column {column})"
        super().__init__(detail + where, pointer=pointer)
        self.column = column


class UnknownName(InvalidRequest):
    """Unknown name."""

    type = "unknown-name"
    http_status = 422
    meaning = "No model, loss, optimizer, column, param or function has that name."
    remedy = "The nearest is named."

    def __init__(self, kind: str, name: str, known: Iterable[str], *, pointer: str = "") -> None:
        hint = nearest_hint(name, known)
        super().__init__(
            f"unknown {kind} '{shortened(name)}'{hint}", pointer=pointer[:MOST_POINTED]
        )


class UnknownNameInFormula(UnknownName, InvalidFormula):
    """A formula or an expression has an unknown name."""

    def __init__(
        self, kind: str, name: str, known: Iterable[str], *,
        column: int, where: str = "", note: str = "",
    ) -> None:  # fmt: skip
        """where: what follows the name. note: what follows the hint."""
        text = f"unknown {kind} '{shortened(name)}'{where}{nearest_hint(name, known)}{note}"
        InvalidFormula.__init__(self, text, column=column)


class UnknownDiagnostic(UnknownName):
    """No diagnostic has that code."""

    type = "unknown-diagnostic"
    http_status = 404
    meaning = "No diagnostic has that code."
    remedy = "The nearest is named."


class InvalidData(InvalidRequest):
    """The data cannot be used."""

    type = "invalid-data"
    http_status = 422
    meaning = "A column, a row or a value cannot be used."
    remedy = POINTED


class BudgetExceeded(InvalidRequest):
    """The request would exceed a computing budget."""

    type = "budget-exceeded"
    http_status = 422
    meaning = "The request would cost more than one request is allowed."
    remedy = "The detail has the limit and what would fit; the operator can raise it."


class UnknownJob(DescentError):
    """No job has that id."""

    type = "unknown-job"
    http_status = 404
    meaning = "No job of this caller has that id, or it has been removed."
    remedy = "The detail says whether it was deleted or expired. Send the fit again."


class JobStillRunning(DescentError):
    """The job has not finished; cancel it first."""

    type = "job-still-running"
    http_status = 409
    meaning = "The job has not finished."
    remedy = "Wait for it, or cancel it first."


class NoReplicates(DescentError):
    """The fit of the job has no replicates."""

    type = "no-replicates"
    http_status = 409
    meaning = (
        "The fit of the job was not followed by a bootstrap of one fit, so it has no replicates."
    )
    remedy = "Fit again, without groups, with the interval method `bootstrap`."


class IdempotencyConflict(DescentError):
    """That Idempotency-Key was used for a different request; send a new key."""

    type = "idempotency-conflict"
    http_status = 422
    meaning = "The `Idempotency-Key` was used for another request."
    remedy = "Send a new key with a new request, the old one with the old."


class QueueFull(DescentError):
    """The job queue is full; try again later."""

    type = "queue-full"
    http_status = 429
    meaning = "The job queue or the store is full."
    remedy = LATER

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class QuotaExceeded(QueueFull):
    """The quota of this API key is used up; try again later."""

    type = "quota-exceeded"
    http_status = 429
    meaning = "This API key has reached its limit of requests or jobs."
    remedy = LATER


class Unauthorized(DescentError):
    """An API key is required: send `Authorization: Bearer KEY` with a key that this server
    knows."""

    type = "unauthorized"
    http_status = 401
    meaning = "The server requires an API key, and the request has none that is valid."
    remedy = "Send `Authorization: Bearer KEY`. The operator makes keys with `descent key NAME`."


class Misdirected(DescentError):
    """The request's Host is not in this server's DESCENT_ALLOWED_HOSTS."""

    type = "misdirected-request"
    http_status = 421
    meaning = "The server does not accept that Host."
    remedy = "The operator lists allowed hosts in `DESCENT_ALLOWED_HOSTS`."


class CrossOrigin(DescentError):
    """Pages of this origin may only send GET requests; the operator can allow the origin in
    DESCENT_CORS_ORIGINS."""

    type = "cross-origin"
    http_status = 403
    meaning = "The request is a change sent by a web page of another origin."
    remedy = "The operator lists allowed origins in `DESCENT_CORS_ORIGINS`."


class OutOfMemory(DescentError):
    """Not enough memory at the moment; send a smaller request, or try again later."""

    type = "out-of-memory"
    http_status = 503
    meaning = "The server is out of memory at the moment."
    remedy = LATER


class NotReady(DescentError):
    """The service is starting or stopping; try again later."""

    type = "not-ready"
    http_status = 503
    meaning = "The service is starting or stopping."
    remedy = LATER


class StoreUnavailable(NotReady):
    """The job store cannot be reached at the moment; try again later."""

    type = "store-unavailable"
    http_status = 503
    meaning = "Redis, which keeps the jobs of many machines, cannot be reached, is slow or full."
    remedy = LATER


class JobFailed(DescentError):
    """The job ended without a result."""

    type = "job-failed"
    http_status = 500
    meaning = "The job ended without an answer."
    remedy = "The detail says why."


class WorkerLost(JobFailed):
    """The worker process that ran the job died."""

    type = "worker-lost"
    http_status = 503
    meaning = "The process that did the work died, and so did its replacement."
    remedy = "Retry, with less data."


LONGEST = 64
"""Maximum characters of a name that are echoed, or compared with known names."""
MOST_LISTED = 20
MOST_POINTED = 300


def shortened(name: str) -> str:
    """The name, cut to `LONGEST` characters, for a message."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def token(name: str) -> str:
    """A name as a token of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """A hint with the one of `known` that is meant, "; did you mean 'sgd'?", or else the list of
    them."""
    names = sorted(candidate for candidate in known if len(candidate) <= LONGEST)
    ours = meant(name, names)
    if ours is not None:
        return f"; did you mean '{ours}'?"
    folded = {candidate.casefold(): candidate for candidate in names[:1000]}
    near = []
    if len(name) <= LONGEST:
        near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    if near:
        return f"; did you mean '{folded[near[0]]}'?"
    more = ", …" if len(names) > MOST_LISTED else ""
    return f"; known: {', '.join(names[:MOST_LISTED])}{more}" if names else ""
