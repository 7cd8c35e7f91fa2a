"""Real fits, made in this process as a worker makes them."""

from __future__ import annotations

import time
from typing import Any

from service.api.examples import T_C, T_U
from service.jobs.fit_backend import FIT_BACKEND
from service.jobs.messages import Ended, Task
from service.jobs.run_job import run_job
from service.schemas.answers import Fit
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedFit

THERMOMETER: dict[str, Any] = {
    "model": "t_c = w * t_u + b",
    "data": {"t_u": T_U, "t_c": T_C},
    "params": {"w": 1.0, "b": 0.0},
}


def descent(rate: float, epochs: int = 5000, **members: Any) -> dict[str, Any]:
    """The thermometer by plain gradient descent."""
    optimizer = {"name": "sgd", "learning_rate": rate}
    return {**THERMOMETER, "optimizer": optimizer, "epochs": epochs, **members}


def asked(body: dict[str, Any]) -> FitRequest:
    return FitRequest.model_validate(body)


def fitted(body: dict[str, Any], **task: Any) -> Fit:
    """The fit of a request."""
    return Fit.model_validate_json(_answered(body, task))


def fitted_groups(body: dict[str, Any], **task: Any) -> GroupedFit:
    """The fits of a request's groups."""
    return GroupedFit.model_validate_json(_answered(body, task))


def _answered(body: dict[str, Any], task: dict[str, Any]) -> bytes:
    sent: list[Any] = []
    made = Task(
        **{
            "job_id": "job_1",
            "request": asked(body),
            "queued_s": 0.0,
            "limit_s": 60.0,
            "max_history_rows": 10_000,
            **task,
        }
    )
    run_job(made, sent.append, lambda: False, time.perf_counter, FIT_BACKEND)
    (ended,) = [message for message in sent if isinstance(message, Ended)]
    return bytes(ended.fit)
