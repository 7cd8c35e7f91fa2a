"""Cross-origin requests: a browser sends forms of other origins without a preflight, so changes by
them are refused here.


Any page open in a browser can send such a request (a form, plain text), also to a service on
localhost. Browsers mark them by `Sec-Fetch-Site` and `Origin`, which no page can forge; other
clients send neither and are not affected.
"""

from __future__ import annotations

from collections.abc import Collection

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({b"same-origin", b"none"})
"""`none`: started by the user, such as from a bookmark."""


def is_foreign(site: bytes, origin: bytes, host: bytes, allowed: Collection[str]) -> bool:
    """Whether the request is from a page of another origin that is not in `allowed`."""
    if "*" in allowed or origin.decode("latin-1") in allowed:
        return False
    if site:
        return site not in _OWN_SITES
    # Older browsers send Origin alone. The scheme may differ behind a proxy, so hosts are compared.
    return bool(origin) and origin.partition(b"://")[2].lower() != host.lower()
