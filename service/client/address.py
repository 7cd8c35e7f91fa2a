"""The service's address and the API key."""

from __future__ import annotations

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

DEFAULT = "http://127.0.0.1:8000"
VARIABLE = "DESCENT_URL"
KEY_VARIABLE = "DESCENT_API_KEY"


def resolved(url: str | None) -> str:
    """The address as given, else that of DESCENT_URL, else this machine's port 8000; `http://` is
    optional. Raises ValueError for an invalid one."""
    given = (url or os.environ.get(VARIABLE) or DEFAULT).strip()
    full = given if "://" in given else f"http://{given}"
    parts = urlsplit(full)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"'{given}' is not a service's address, such as {DEFAULT}")
    return full.rstrip("/")


def key(given: str | None) -> str | None:
    """The API key as given, else that of DESCENT_API_KEY, else None."""
    found = os.environ.get(KEY_VARIABLE) if given is None else given
    return (found or "").strip() or None


def loopback(url: str) -> bool:
    """Whether it is this machine, which needs no proxy."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
