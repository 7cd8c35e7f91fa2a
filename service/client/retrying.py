"""The retry policy: tenacity's, with the service's Retry-After."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from service.client.calls import Call, Reply
from service.client.deadline import Deadline

if TYPE_CHECKING:
    from tenacity import RetryCallState

logger = logging.getLogger("service.client")

FIRST_S, LONGEST_S = 0.25, 8.0
"""The n-th pause is drawn from 0 to FIRST_S·2ⁿ⁻¹, at most LONGEST_S: full jitter, so that callers
refused together do not retry together."""
_AGAIN = {408, 429, 502, 503, 504}


def policy(call: Call, retries: int, deadline: Deadline) -> dict[str, Any]:
    """The options of tenacity's `Retrying` and `AsyncRetrying` for a call that returns a `Reply`.

    After the last try its result or exception is passed on.
    """

    def worth_it(state: RetryCallState) -> bool:
        assert state.outcome is not None
        error = state.outcome.exception()
        if error is not None:
            return call.retried and _passes(error)
        return call.retried and says_again(state.outcome.result())

    def enough(state: RetryCallState) -> bool:
        return state.attempt_number > retries or state.upcoming_sleep >= deadline.left()

    def tell(state: RetryCallState) -> None:
        logger.info(
            "%s %s: %s; try %d of %d in %.2f s",
            *(call.method, call.path, _seen(state), state.attempt_number + 1, retries + 1),
            state.upcoming_sleep,
        )

    return {
        "retry": worth_it,
        "wait": _pause,
        "stop": enough,
        "before_sleep": tell,
        "retry_error_callback": _outcome,
    }


def pause(failures: int) -> float:
    """Seconds to wait after a number of consecutive failures."""
    from tenacity import RetryCallState

    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = failures
    return _jitter(state)


def says_again(reply: Reply) -> bool:
    """Whether an answer asks to retry later. One with a job id is a job's final state."""
    return reply.status in _AGAIN and b'"job_id"' not in reply.body


def retry_after(reply: Reply) -> float:
    """The seconds of Retry-After, given in seconds or as a date; 0 if absent."""
    said = reply.headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
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


def _passes(error: BaseException) -> bool:
    """Whether a failure to get an answer may be temporary."""
    import httpx

    mine = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
    return isinstance(error, httpx.TransportError) and not isinstance(error, mine)


def _seen(state: RetryCallState) -> str:
    assert state.outcome is not None
    error = state.outcome.exception()
    return f"status {state.outcome.result().status}" if error is None else repr(error)
