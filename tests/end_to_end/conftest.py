"""The service that the tests of a worker process share."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.serving import serving
from tests.soon import PATIENCE_S


@pytest.fixture(scope="session")
def service() -> Iterator[httpx.Client]:
    """A client of a service with default settings."""
    with (
        serving() as address,
        httpx.Client(base_url=f"http://{address}", timeout=PATIENCE_S) as client,
    ):
        yield client
