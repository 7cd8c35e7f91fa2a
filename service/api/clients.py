"""Who is asking: whose jobs they may see, whose turn a job takes, against whom a limit counts."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

from service.api.state import Request

OWNER = "descent.owner"
"""Where a request's scope has the name of its key: see `admission`."""


def owner(request: Request) -> str:
    """Whose jobs the request may see: its key's name, "" where no keys are asked for."""
    name: str = request.scope.get(OWNER, "")
    return name


def client(request: Request) -> str:
    """The key's name or, without keys, the caller's address as the server knows it; an IPv6 caller
    is its /64, which is its own.

    No header is believed here. A proxy that the server was told to trust (`FORWARDED_ALLOW_IPS`)
    has put the address it saw in the place of its own before this is asked.
    """
    if name := owner(request):
        return name
    host = request.client.host if request.client else ""
    return network(host)


def network(host: str) -> str:
    """The address, or the /64 of one that is IPv6."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))
