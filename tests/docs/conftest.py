"""One `descent serve` for this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import serving


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the service listens: "127.0.0.1:54321"."""
    with serving() as address:
        yield address
