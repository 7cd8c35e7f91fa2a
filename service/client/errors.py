"""The exceptions of the client.


ClientError
├── ConnectionFailed        no answer after all retries: refused, interrupted or too late
├── WaitTimeout             the wait timed out; the job continues, and `job_id` has its id
├── UnreadableAnswer        the answer is not Descent's
└── ProblemError            the service refused; `problem` is its RFC 9457 document
    ├── InvalidRequestError     400, 405, 413, 415, 422: the request must change
    ├── AccessError             401, 403: the service, or a proxy, requires credentials
    ├── NotFoundError           404: no such job, or no such route
    ├── ConflictError           409: the job's status does not allow it
    ├── FitFailedError          the job ended without a fit
    ├── ServiceUnavailable      429, 502, 503, 504: busy, starting or stopping
    └── ServerError             any other 5xx: an error in the service
"""

from __future__ import annotations

from service.schemas.problems import Problem
from service.schemas.problems import ProblemError as FieldError


class ClientError(Exception):
    """Base class of the client's exceptions."""


class ConnectionFailed(ClientError):
    """There was no answer."""

    def __init__(self, url: str, why: str, attempts: int) -> None:
        tries = "" if attempts == 1 else f" ({attempts} tries)"
        super().__init__(f"no answer from {url}: {why}{tries}")
        self.url = url
        self.attempts = attempts


class WaitTimeout(ClientError):
    """The wait timed out; the job continues."""

    def __init__(self, job_id: str, status: str) -> None:
        super().__init__(
            f"job {job_id} is still {status}; wait longer with client.job('{job_id}').wait(), "
            "or stop it with .cancel()"
        )
        self.job_id = job_id
        self.status = status


class UnreadableAnswer(ClientError):
    """The answer is not Descent's, or of a version that this client does not support."""


class ProblemError(ClientError):
    """The service refused the request."""

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        super().__init__(_sentence(problem))
        self.problem = problem
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def type(self) -> str:
        """The problem's type, a stable word: "unknown-name"."""
        return self.problem.type

    @property
    def errors(self) -> list[FieldError]:
        """What is wrong with the request, and where."""
        return self.problem.errors or []


class InvalidRequestError(ProblemError):
    """The request is not valid."""


class AccessError(ProblemError):
    """Access is denied."""


class NotFoundError(ProblemError):
    """No such job, or no such route."""


class ConflictError(ProblemError):
    """The job's status does not allow it."""


class FitFailedError(ProblemError):
    """The job ended without a fit."""


class ServiceUnavailable(ProblemError):
    """The service is busy, starting or stopping."""


class ServerError(ProblemError):
    """An error in the service."""


_BY_TYPE: dict[str, type[ProblemError]] = {
    "job-failed": FitFailedError,
    "worker-lost": FitFailedError,
    "job-cancelled": FitFailedError,
}
_BY_STATUS: dict[int, type[ProblemError]] = {
    401: AccessError,
    403: AccessError,
    404: NotFoundError,
    409: ConflictError,
    429: ServiceUnavailable,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}


def of_problem(problem: Problem, retry_after_s: float | None = None) -> ProblemError:
    """The exception for a problem: by its type, else by its status."""
    kind = _BY_TYPE.get(problem.type) or _BY_STATUS.get(problem.status)
    if kind is None:
        kind = ServerError if problem.status >= 500 else InvalidRequestError
    return kind(problem, retry_after_s)


def _sentence(problem: Problem) -> str:
    lines = [f"{problem.title}: {problem.detail}"]
    lines += [
        f"  {error.pointer or 'the body'}: {error.detail}"
        for error in problem.errors or ()
        if len(problem.errors or ()) > 1 or error.detail != problem.detail
    ]
    return "\n".join(lines)
