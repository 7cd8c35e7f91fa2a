"""The Host that requests may be addressed to: a page of another site cannot reach the service by a
name of its own that resolves to this address (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.error_handlers import refuse
from service.errors import Misdirected


class Hosts:
    """Refuses requests whose Host is not allowed."""

    def __init__(self, app: ASGIApp, *, allowed: AllowedHosts) -> None:
        self.app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = next((value for name, value in scope["headers"] if name == b"host"), b"")
            if not self._allowed.allows(host):
                await refuse(Misdirected(), scope, receive, send)
                return
        await self.app(scope, receive, send)


class AllowedHosts:
    """The accepted Host values. `*.example.org` matches every subdomain; `local` matches names
    without a dot and IP addresses, which no outside DNS record can point here."""

    def __init__(self, names: Iterable[str]) -> None:
        allowed = {name.strip().lower() for name in names} - {""}
        self._any = not allowed or "*" in allowed
        self._names = frozenset(allowed)
        self._local = "local" in allowed
        self._below = tuple(name[1:] for name in allowed if name.startswith("*."))

    def __bool__(self) -> bool:
        return not self._any

    def allows(self, host: bytes) -> bool:
        """Whether a Host header, without its port, is accepted."""
        name = host.decode("latin-1").lower()
        if not name.endswith("]"):
            bare, colon, port = name.rpartition(":")
            name = bare if colon and port.isdigit() else name
        if name in self._names or (self._below and name.endswith(self._below)):
            return True
        return self._local and _is_local(name)


def _is_local(name: str) -> bool:
    if "." not in name or name.endswith(".localhost"):
        return bool(name)
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
