"""Error responses: RFC 9457 problem details."""

from __future__ import annotations

from service.schemas.base import Answer, Sparse


class ProblemError(Answer):
    """One validation error of the request."""

    pointer: str
    """JSON Pointer (RFC 6901) into the body; empty for the body as a whole."""
    detail: str
    """What is wrong, and what mends it."""


class Problem(Sparse):
    """Why a request failed, and how to fix it (RFC 9457)."""

    type: str
    """The kind of problem; see `GET /problems`."""
    title: str
    """The kind in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What is wrong, and what mends it."""
    errors: list[ProblemError] | None = None
    request_id: str | None = None
    """The id of the request, as in `X-Request-ID`."""
    job_id: str | None = None
    """The job that failed, if it is of one."""
