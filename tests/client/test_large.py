"""Large data and many groups, against a real server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.client import Descent, Fit, GroupedFit

ROWS = 100_000
X = np.linspace(0, 1, ROWS)


def test_arrow_and_json_give_the_same_fit(client: Descent) -> None:
    data = pd.DataFrame({"x": X, "y": 2 * X + 1 + np.sin(1000 * X)})
    by_arrow = client.fit("linear", data)
    assert client._accepts_arrow
    client._accepts_arrow = False
    by_json = client.fit("linear", data)
    assert by_arrow.params == by_json.params
    assert by_arrow.loss == by_json.loss


def test_arrow_with_missing_values_and_text(client: Descent) -> None:
    y = 2 * X + 1
    y[7] = np.nan
    data = {"x": X, "y": y, "note": ["a"] * ROWS}
    fit = client.fit("linear", data, missing="drop")
    assert fit.dropped is not None
    assert fit.dropped.rows == [8]


def test_arrow_for_the_other_routes(client: Descent) -> None:
    at = {"w": 2.0, "b": 1.0}
    assert np.asarray(client.predict("linear", {"x": X, "y": X}, at)) == pytest.approx(2 * X + 1)
    assert client.loss("linear", {"x": X, "y": 2 * X + 1}, at).loss == pytest.approx(0, abs=1e-20)
    assert client._accepts_arrow


def test_grouped_fit(client: Descent) -> None:
    plate = np.repeat(["a", "b", "c"], 20)
    x = np.tile(np.arange(20.0), 3)
    slope = {"a": 1.0, "b": 2.0, "c": 3.0}
    data = {"plate": plate, "x": x, "y": [slope[p] * v + 1 for p, v in zip(plate, x, strict=True)]}
    fit = client.fit("linear", data, group_by="plate")
    assert isinstance(fit, GroupedFit)
    assert fit.groups.key == ["a", "b", "c"]
    assert fit.groups.params["w"] == pytest.approx([1, 2, 3])
    assert fit.of("b").n == 20
    job = client.submit("linear", data, group_by="plate")
    assert job.wait().groups.params == fit.groups.params
    assert isinstance(client.fit("linear", {"x": x, "y": x}), Fit)


def test_a_path_is_sent_as_the_file(client: Descent, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x [s];y\n1;2,5\n2;4,5\n3;6,5\n")
    fit = client.fit("linear", tmp_path / "a.csv", params={"w": 1.0})
    assert fit.params == pytest.approx({"w": 2.0, "b": 0.5})
    found = fit.predict(tmp_path / "a.csv")
    assert np.asarray(found) == pytest.approx([2.5, 4.5, 6.5])
