"""The client: `Descent` blocks, `AsyncDescent` does not; both hold the same conversations.

`conversations` says what is said and how the answers are understood, as generators of `calls` that
know no socket; `descent` and `async_descent` drive them over httpx, with tenacity's retries. What a
caller gives becomes columns in `data`, and JSON or Arrow in `bodies`; what the service answers
becomes a `Fit`, a `GroupedFit`, or one of the `errors`.
"""

from service.client.async_descent import AsyncDescent
from service.client.async_fit import AsyncFit
from service.client.async_job import AsyncJob
from service.client.descent import Descent
from service.client.errors import (
    AccessError,
    ClientError,
    ConflictError,
    ConnectionFailed,
    FitFailedError,
    InvalidRequestError,
    NotFoundError,
    ProblemError,
    ServerError,
    ServiceUnavailable,
    UnreadableAnswer,
    WaitTimeout,
)
from service.client.fit import Fit
from service.client.fits import Group, GroupedFit
from service.client.job import Job
from service.client.pictures import Picture

__all__ = [
    "AccessError",
    "AsyncDescent",
    "AsyncFit",
    "AsyncJob",
    "ClientError",
    "ConflictError",
    "ConnectionFailed",
    "Descent",
    "Fit",
    "FitFailedError",
    "Group",
    "GroupedFit",
    "InvalidRequestError",
    "Job",
    "NotFoundError",
    "Picture",
    "ProblemError",
    "ServerError",
    "ServiceUnavailable",
    "UnreadableAnswer",
    "WaitTimeout",
]
