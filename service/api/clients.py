"""Identifies the caller: the owner of jobs, and the client that queues and limits count by."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

from service.api.state import Request

OWNER = "descent.owner"
"""Key in a request's scope: the name of its API key, set by `admission`."""


def owner(request: Request) -> str:
    """The owner whose jobs the request may see: its key's name, "" where no keys are configured."""
    name: str = request.scope.get(OWNER, "")
    return name


def client(request: Request) -> str:
    """The key's name or, without keys, the peer address; an IPv6 address stands for its /64, which
    one site can use freely.


    No header is trusted here: for a proxy in `FORWARDED_ALLOW_IPS` the server has already replaced
    the proxy's address by the one it forwarded.
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
