"""Comparisons by both clients."""

from __future__ import annotations

import csv
from typing import Any

from service.certification.case import LABORATORY
from service.client import AsyncDescent, Descent

FILE = LABORATORY / "puromycin.csv"
RATE = "rate = Vm*conc/(K + conc)"


def puromycin() -> dict[str, list[Any]]:
    with FILE.open() as file:
        rows = list(csv.DictReader(file))
    data: dict[str, list[Any]] = {
        name: [float(row[name]) for row in rows] for name in ("conc", "rate")
    }
    return {**data, "state": [row["state"] for row in rows]}


def test_curves_of_groups(client: Descent) -> None:
    nulls: list[dict[str, Any]] = [{"shared": ["K"]}, {"shared": "all"}]
    found = client.compare(puromycin(), [RATE], group_by="state", null=nulls)
    assert found.best == "K shared"
    assert found["K shared"].params["K"] > 0
    assert found["separate"].groups.params["K"][0] > found["separate"].groups.params["K"][1]
    assert found.columns()["label"] == ["K shared", "separate", "one curve"]
    assert "K shared in separate (proved): F(1, 19) = 1.71817" in str(found)
    assert client.compare(puromycin(), [RATE], group_by="state", null="K").best == "K shared"


def test_rows_of_models(client: Descent) -> None:
    found = client.compare(puromycin(), [RATE, "rate = a + b*conc"], rows="state == 'treated'")
    assert found.n == 12
    assert found.rows is not None
    assert (found.rows.used, found.rows.of) == (12, 23)


async def test_without_blocking(aclient: AsyncDescent) -> None:
    found = await aclient.compare(puromycin(), [RATE], group_by="state", null={"shared": ["K"]})
    assert found.best == "K shared"
