"""Pictures of groups: their choice, and their axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service import fitting
from service.errors import UnknownName
from service.render import panels
from service.render.figure import FigureOptions, drawn
from service.render.panels import PanelsScene
from service.schemas.grouped import GroupedFit
from service.schemas.plot import PlotRequest
from tests.render.made import asked, fitted_groups

DOSES = [0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]


def plates(tops: list[float], **members: Any) -> dict[str, Any]:
    """Dose-response curves, one for each plate and drug."""
    rng = np.random.default_rng(5)
    rows: dict[str, list[Any]] = {"plate": [], "drug": [], "dose": [], "y": []}
    for i, top in enumerate(tops):
        for dose in DOSES:
            rows["plate"].append(i // 2 + 1)
            rows["drug"].append("AB"[i % 2])
            rows["dose"].append(dose if i else dose or 0.05)
            rows["y"].append(float(top / (1 + (dose / 2) ** 1.5) + rng.normal(0, 0.01 * top)))
    return {
        "model": "logistic4",
        "data": rows,
        "group_by": {"column": ["plate", "drug"], "covariance": True},
        **members,
    }


def scene_of(body: dict[str, Any], **look: Any) -> tuple[PanelsScene, GroupedFit]:
    fit = fitted_groups(body)
    plot = PlotRequest.model_validate({"view": "fit", **look})
    across, down = panels.room(plot)
    places = range(min(across * down, len(fit.groups.key)))
    found = fitting.plots_of_groups(plot, asked(body), fit, places)
    return panels.scene(plot, found, len(fit.groups.key), "title", 10**6), fit


def test_each_panel_has_its_rows_and_the_curve_of_its_params() -> None:
    scene, fit = scene_of(plates([100.0, 90.0, 80.0]))
    assert [panel.label for panel in scene.panels] == [
        "plate 1, drug A", "plate 1, drug B", "plate 2, drug A",
    ]  # fmt: skip
    for i, panel in enumerate(scene.panels):
        assert panel.scene.data_x.size == len(DOSES)
        params = {name: values[i] for name, values in fit.groups.params.items()}
        top, low, mid, slope = (params[name] for name in "dceb")
        x = panel.scene.curve_x[-1]
        assert panel.scene.curve_y[-1] == pytest.approx(
            low + (top - low) / (1 + (x / mid) ** slope)
        )
        assert panel.scene.confidence is not None


def test_they_have_the_same_axes() -> None:
    scene, _ = scene_of(plates([100.0, 90.0, 80.0]))
    assert {panel.scene.log_x for panel in scene.panels} == {True}
    zeros = [panel.scene.zero for panel in scene.panels]
    assert zeros[0] is None  # a plate without a control
    assert zeros[1] == zeros[2]
    assert scene.shares_y
    alone, _ = scene_of(plates([10_000.0, 1.0, 2.0, 3.0]))
    assert not alone.shares_y


def test_a_larger_picture_has_more_of_them() -> None:
    body = plates([100.0 - i for i in range(20)])
    small, _ = scene_of(body)
    large, _ = scene_of(body, width=1600, height=1000)
    assert len(small.panels) == 12
    assert small.notes[0].startswith("12 of 20 groups, the first")
    assert len(large.panels) == 20


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_they_are_drawn_the_same_each_time(format: str) -> None:
    scene, _ = scene_of(plates([100.0, 90.0, 80.0, 70.0, 60.0]))
    made = drawn(scene, FigureOptions(format=format))
    assert made == drawn(scene, FigureOptions(format=format))
    lines = scene.characters(80, 16)
    assert max(map(len, lines)) <= 80


def test_a_group_is_found_by_its_key() -> None:
    fit = fitted_groups(plates([100.0, 90.0, 80.0]))
    assert fitting.group_of(fit, '[1, "B"]') == 1
    with pytest.raises(UnknownName, match="did you mean"):
        fitting.group_of(fit, '[1, "C"]')
    one = fitted_groups(plates([100.0, 90.0, 80.0], group_by="plate"))
    assert fitting.group_of(one, "2") == fitting.group_of(one, "2.0") == 1
