"""Counts open connections by client address."""

from __future__ import annotations

from collections import Counter

from uvicorn.middleware.proxy_headers import _TrustedHosts

from service.api.head import network


class ConnectionLimits:
    """The number of open connections by address."""

    def __init__(self, trusted: str = "") -> None:
        """trusted: proxies, as in FORWARDED_ALLOW_IPS, which are not counted."""
        self._trusted = _TrustedHosts(trusted)
        self._held: Counter[str] = Counter()

    def join(self, host: str) -> int:
        """Counts a new connection. Returns the caller's number of connections, 0 if not counted."""
        if not host or host in self._trusted:
            return 0
        caller = network(host)
        self._held[caller] += 1
        return self._held[caller]

    def leave(self, host: str) -> None:
        """Counts a closed connection."""
        if host and host not in self._trusted:
            caller = network(host)
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
