"""Pages of other origins: a browser sends their forms without asking first, and they may start or
stop nothing here.

A request that takes no preflight (a form, a text) comes from any page that a user has open, also to
a service on their own machine. A browser says so by `Sec-Fetch-Site` and `Origin`, which no page
can forge; programs send neither, and are not concerned.
"""

from __future__ import annotations

from collections.abc import Collection

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({b"same-origin", b"none"})
"""`none` is a user's own doing, such as a bookmark."""


def is_foreign(site: bytes, origin: bytes, host: bytes, allowed: Collection[str]) -> bool:
    """Whether a page of another origin sent it, and of none that is allowed."""
    if "*" in allowed or origin.decode("latin-1") in allowed:
        return False
    if site:
        return site not in _OWN_SITES
    # Before a proxy the scheme may be another; and an older browser sends no more than this.
    return bool(origin) and origin.partition(b"://")[2].lower() != host.lower()
