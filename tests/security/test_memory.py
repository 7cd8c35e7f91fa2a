"""What becomes much larger than it was sent: the service's highest memory, as the kernel counts."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from tests.resilience.servers import Server, started
from tests.security.memory import watched

MIB = 2**20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(workers=1) as server:
        yield server


def test_a_million_columns_are_refused_uncarried(server: Server) -> None:
    columns = ",".join(f'"k{n}":[1]' for n in range(1_000_000))
    sent = f'{{"model":"y=a*k1","data":{{{columns}}}}}'.encode()
    with watched(server) as risen, server.client() as client:
        answer = client.post("/fit", content=sent, headers={"content-type": "application/json"})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/data"
        assert error["detail"].startswith("1,000,000 columns are more than the 1,000 allowed")
        assert risen() < 100 * MIB


@pytest.mark.thorough
def test_a_network_on_long_data(server: Server) -> None:
    """All its layers for all rows would be two gigabytes."""
    widths, rows = (1, 40, 40, 1), 1_500_000
    params = {}
    for layer, (before, after) in enumerate(pairwise(widths), 1):
        for i in range(1, after + 1):
            params[f"b{layer}_{i}"] = 0.1
            params |= {f"w{layer}_{i}_{j}": 0.1 for j in range(1, before + 1)}
    asked = json.dumps({"model": {"name": "mlp", "hidden": [40, 40]}, "params": params})
    packed = io.BytesIO()
    np.savez(packed, x=np.linspace(0, 1, rows))
    with watched(server) as risen, server.client() as client:
        answer = client.post(
            "/predict",
            files={"request": (None, asked), "data": ("a.npz", packed.getvalue())},
            headers={"accept": "application/vnd.apache.arrow.stream"},
        )
        assert answer.status_code == 200, answer.text[:300]
        assert risen() < 300 * MIB
