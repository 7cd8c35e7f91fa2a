"""One server for this folder's tests, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from service.client import AsyncDescent, Descent
from tests.resilience.servers import Server, started


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(workers=1) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Descent]:
    with Descent(server.address) as client:
        yield client


@pytest.fixture
async def aclient(server: Server) -> AsyncIterator[AsyncDescent]:
    async with AsyncDescent(server.address) as client:
        yield client
