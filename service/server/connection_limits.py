"""Who is connected, and how often."""

from __future__ import annotations

from collections import Counter

from uvicorn.middleware.proxy_headers import _TrustedHosts

from service.api.clients import network


class ConnectionLimits:
    """Connections by address: nobody may take all there are."""

    def __init__(self, trusted: str = "") -> None:
        """trusted: the proxies, as in FORWARDED_ALLOW_IPS; many callers come by one of them."""
        self._trusted = _TrustedHosts(trusted)
        self._held: Counter[str] = Counter()

    def join(self, host: str) -> int:
        """How many connections that caller has now; 0 for one of whom no account is kept."""
        if not host or host in self._trusted:
            return 0
        caller = network(host)
        self._held[caller] += 1
        return self._held[caller]

    def leave(self, host: str) -> None:
        """One fewer."""
        if host and host not in self._trusted:
            caller = network(host)
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
