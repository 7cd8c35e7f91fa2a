"""Fits over HTTP that succeed."""

from __future__ import annotations

from typing import Any

import httpx


async def fit(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """The answer to a fit."""
    answer = await client.post("/fit", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
