from __future__ import annotations

import pytest
from starlette.requests import Request

from service.api.head import read


@pytest.mark.parametrize(
    ("host", "known_as"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a:b", "a:b"),
        (None, ""),
    ],
)
def test_a_caller_is_its_address_and_in_ipv6_its_network(host: str | None, known_as: str) -> None:
    scope = {
        "type": "http",
        "query_string": b"",
        "headers": [(b"x-forwarded-for", b"198.51.100.1")],
    }
    scope["client"] = (host, 1234) if host else None  # type: ignore[assignment]
    assert read(Request(scope)).client == known_as
