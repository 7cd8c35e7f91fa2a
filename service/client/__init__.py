"""The client: `Descent` is blocking, `AsyncDescent` asynchronous, and both have one source.

`asynchronous` is written by hand; `blocking` is generated from it by `make client`. `data` converts
a caller's data to columns, `bodies` makes requests of them; `transport` and `retrying` configure
httpx and tenacity; `answers` turns replies into documents or `errors`, `fits` those into reports
and tables, and `notebook` into pictures and HTML.
"""

from service.client.asynchronous.descent import AsyncDescent
from service.client.asynchronous.results import AsyncFit, AsyncJob
from service.client.blocking.descent import Descent
from service.client.blocking.results import Fit, Job
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
from service.client.fits import Comparison, Group, GroupedFit
from service.client.notebook import Picture

__all__ = [
    "AccessError",
    "AsyncDescent",
    "AsyncFit",
    "AsyncJob",
    "ClientError",
    "Comparison",
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
