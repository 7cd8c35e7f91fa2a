"""Error responses: RFC 9457 problem details."""

from __future__ import annotations

from service.schemas.base import Answer, Sparse


class ProblemError(Answer):
    """One validation error of the request."""

    pointer: str
    """JSON Pointer (RFC 6901) into the body; empty for the body as a whole."""
    detail: str


class Problem(Sparse):
    """Why a request failed, and how to fix it (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemError] | None = None
    request_id: str | None = None
    job_id: str | None = None
