"""The client: `Descent` is blocking, `AsyncDescent` asynchronous; both run the same exchanges.


`exchanges` has each operation as a generator of `calls`, without I/O; `descent` and `async_descent`
run them over httpx, with tenacity's retries. `data` converts a caller's data to columns, `bodies`
to JSON or Arrow; answers become a `Fit`, a `GroupedFit`, or one of the `errors`.
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
