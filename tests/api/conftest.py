"""The service that the tests of a module share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from service.settings import Settings
from tests.api.in_process import real


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The whole service with one worker, and patience for a loaded machine; a module that needs
    another has a fixture of its own."""
    async with real(Settings(workers=1, max_wait_s=600)) as client:
        client.timeout = httpx.Timeout(None)
        yield client
