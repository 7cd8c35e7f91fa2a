"""The retry policy: tenacity's, with the service's Retry-After."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from service.client import errors
from service.client.transport import Call, Deadline, Reply

if TYPE_CHECKING:
    from tenacity import RetryCallState

logger = logging.getLogger("service.client")

FIRST_S, LONGEST_S = 0.25, 8.0
"""The n-th pause is drawn from 0 to FIRST_S·2ⁿ⁻¹, at most LONGEST_S: full jitter, so that callers
refused together do not retry together."""
_RETRIED = {408, 429, 502, 503, 504}


def policy(call: Call, retries: int, deadline: Deadline) -> dict[str, Any]:
    """The options of tenacity's `Retrying` and `AsyncRetrying` for a call that returns a `Reply`.

    After the last try its result or exception is passed on.
    """

    def retried(state: RetryCallState) -> bool:
        assert state.outcome is not None
        error = state.outcome.exception()
        if error is not None:
            return _may_pass(error)
        return _asks_to_retry(state.outcome.result())

    def stopped(state: RetryCallState) -> bool:
        return state.attempt_number > retries or state.upcoming_sleep >= deadline.left()

    def log(state: RetryCallState) -> None:
        logger.info(
            "%s %s: %s; try %d of %d in %.2f s",
            *(call.method, call.path, _outcome_text(state), state.attempt_number + 1, retries + 1),
            state.upcoming_sleep,
        )

    return {
        "retry": retried,
        "wait": _pause,
        "stop": stopped,
        "before_sleep": log,
        "retry_error_callback": _outcome,
    }


def stream_failures() -> tuple[type[Exception], ...]:
    """The exceptions after which an event stream is resumed."""
    import httpx

    return (httpx.TransportError, errors.ServiceUnavailable)


def stream_error(broken: Exception | None, url: str, failures: int) -> errors.ClientError:
    """The error of a stream that broke too often. broken: why; None if it just ended."""
    if isinstance(broken, errors.ClientError):
        return broken
    why = "the stream was interrupted" if broken is None else str(broken) or repr(broken)
    failed = errors.ConnectionFailed(url, why, failures)
    failed.__cause__ = broken
    return failed


def stream_pause(broken: Exception | None, failures: int) -> float:
    """Seconds to wait after a number of consecutive failures of a stream."""
    from tenacity import RetryCallState

    asked_s = broken.retry_after_s if isinstance(broken, errors.ProblemError) else None
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = failures
    return (asked_s or 0.0) + _jitter(state)


def _asks_to_retry(reply: Reply) -> bool:
    """Whether an answer asks to retry later. One with a job id is a job's final state."""
    return reply.status in _RETRIED and b'"job_id"' not in reply.body


def retry_after(reply: Reply) -> float:
    """The seconds of Retry-After, given in seconds or as a date; 0 if absent."""
    stated = reply.headers.get("retry-after", "").strip()
    if stated.isdigit():
        return float(stated)
    try:
        return max(0.0, (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _pause(state: RetryCallState) -> float:
    assert state.outcome is not None
    asked = 0.0 if state.outcome.failed else retry_after(state.outcome.result())
    return asked + _jitter(state)


def _jitter(state: RetryCallState) -> float:
    from tenacity import wait_random_exponential

    return wait_random_exponential(multiplier=FIRST_S, max=LONGEST_S)(state)


def _outcome(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()


def _may_pass(error: BaseException) -> bool:
    """Whether a failure to get an answer may be temporary."""
    import httpx

    invalid = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
    return isinstance(error, httpx.TransportError) and not isinstance(error, invalid)


def _outcome_text(state: RetryCallState) -> str:
    assert state.outcome is not None
    error = state.outcome.exception()
    return f"status {state.outcome.result().status}" if error is None else repr(error)
