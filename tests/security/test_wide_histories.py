"""The history of a wide model is bounded by its numbers, wherever it is kept, sent or drawn."""

from __future__ import annotations

import pytest

from service.settings import Settings
from tests.api.in_process import real

WIDE = {
    "model": {"name": "mlp", "hidden": [20, 20]},
    "data": {"x": [0.0, 0.5, 1.0, 1.5, 2.0], "y": [0.0, 0.4, 0.9, 1.0, 0.9]},
    "optimizer": "adam",
    "epochs": 400,
    "record_every": 1,
}
PARAMS = 2 * 20 + 21 * 20 + 21
MOST = 20_000
"""Numbers of a history; 20 rows of it."""


async def test_every_form_of_it_is_bounded() -> None:
    async with real(Settings(workers=1, max_history_numbers=MOST)) as client:
        fit = (await client.post("/fit", json=WIDE)).raise_for_status().json()
        kept = (await client.get(fit["urls"]["history"])).json()
        lines = (await client.get(fit["urls"]["history"], params={"format": "csv"})).text
        drawn = await client.get(f"{fit['urls']['self']}/plot/path.txt")
    assert len(fit["params"]) == PARAMS
    for history in (fit["history"], kept):
        rows = len(history["epoch"])
        assert 8 <= rows <= MOST // (2 + 2 * PARAMS)
        assert {len(column) for column in history["params"].values()} == {rows}
        assert (history["epoch"][0], history["epoch"][-1]) == (1, 400)
        assert history["thinned"]
    assert lines.count("\n") == 1 + len(kept["epoch"])
    assert drawn.status_code == 200, drawn.text


@pytest.mark.parametrize(
    ("params", "rows"), [(0, 10_000), (2, 10_000), (99, 10_000), (999, 1_000), (4096, 244)]
)
def test_narrow_ones_keep_all_their_rows(params: int, rows: int) -> None:
    assert Settings().rows_of_history(params) == rows
