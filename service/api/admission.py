"""Authentication and rate limits by API key, before the routes; installed where keys are set."""

from __future__ import annotations

import math
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.clients import OWNER
from service.api.error_handlers import refuse
from service.api.keys import LiveKeys
from service.errors import QuotaExceeded, Unauthorized

OPEN = frozenset({"/", "/livez", "/readyz", "/docs", "/openapi.json"})
"""Pages and health checks: they hold no caller's data."""
OPEN_BELOW = ("/problems/", "/assets/")

_WINDOW_S = 60.0


def is_open(path: str) -> bool:
    """Whether that path needs no key."""
    return path in OPEN or path.startswith(OPEN_BELOW)


class KeyMiddleware:
    """Requires a valid API key, stores its name in the request's scope, and limits its request
    rate."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: LiveKeys,
        requests_per_minute: int,
        open_metrics: bool,
        monotonic: Callable[[], float],
    ) -> None:
        self.app = app
        self._keys = keys
        self._open = {"/metrics"} if open_metrics else frozenset[str]()
        self._rates = RateLimiter(requests_per_minute, monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]) or scope["path"] in self._open:
            await self.app(scope, receive, send)
            return
        owner = self._owner(scope)
        if owner is None:
            await refuse(Unauthorized(), scope, receive, send)
            return
        wait_s = self._rates.wait(owner)
        if wait_s > 0:
            error = QuotaExceeded(
                f"This key may send {self._rates.most} requests a minute; try again later.",
                retry_after_s=math.ceil(wait_s),
            )
            await refuse(error, scope, receive, send)
            return
        scope[OWNER] = owner
        await self.app(scope, receive, send)

    def _owner(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        key = credentials.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        return self._keys.owner(key.encode("latin-1")) if key else None


class RateLimiter:
    """Limits requests a minute by name, as a token bucket (GCRA).


    It keeps one number a name, the time at which its bucket is full again; names are those of the
    keys, so there are few.
    """

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self.most = most
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}

    def wait(self, name: str) -> float:
        """0 where the request is allowed, and counts it; else the seconds until one is."""
        now = self._monotonic()
        full_at = max(self._full_at.get(name, now), now) + _WINDOW_S / self.most
        over = full_at - now - _WINDOW_S
        if over > 0:
            return over
        self._full_at[name] = full_at
        return 0.0
