"""Cross-origin requests: a browser sends forms of other origins without a preflight, so changes by
them are refused here.


Any page open in a browser can send such a request (a form, plain text), also to a service on
localhost. Browsers mark them by `Sec-Fetch-Site` and `Origin`, which no page can forge; other
clients send neither and are not affected.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.error_handlers import refuse
from service.errors import CrossOrigin

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({b"same-origin", b"none"})
"""`none`: started by the user, such as from a bookmark."""


class CrossOriginChanges:
    """Refuses changes sent by pages of other origins than the allowed ones."""

    def __init__(self, app: ASGIApp, *, allowed: Collection[str]) -> None:
        self.app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE:
            site = origin = host = b""
            for name, value in scope["headers"]:
                if name == b"sec-fetch-site":
                    site = value
                elif name == b"origin":
                    origin = value
                elif name == b"host":
                    host = value
            if (site or origin) and is_foreign(site, origin, host, self._allowed):
                await refuse(CrossOrigin(), scope, receive, send)
                return
        await self.app(scope, receive, send)


def is_foreign(site: bytes, origin: bytes, host: bytes, allowed: Collection[str]) -> bool:
    """Whether the request is from a page of another origin that is not in `allowed`."""
    if "*" in allowed or origin.decode("latin-1") in allowed:
        return False
    if site:
        return site not in _OWN_SITES
    # Older browsers send Origin alone. The scheme may differ behind a proxy, so hosts are compared.
    return bool(origin) and origin.partition(b"://")[2].lower() != host.lower()
