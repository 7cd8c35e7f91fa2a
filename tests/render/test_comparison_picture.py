"""The picture of compared models: which curves, which points, which weights."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from service import fitting
from service.errors import InvalidRequest
from service.render import characters
from service.render.figure import FigureOptions, drawn
from service.render.scene import PlotInput
from service.render.views import comparison, table
from service.render.views.comparison import ComparisonScene
from service.schemas.answers import Timings
from service.schemas.compare import CompareRequest
from service.schemas.plot import PlotRequest

X = np.array([0.5, 1, 2, 4, 8, 16, 0.7, 1.5, 3, 6, 12, 24])
Y = 9 * X / (3 + X) + 0.1 * np.cos(9 * X)
TWICE: dict[str, Any] = {
    "x": np.tile(X, 2),
    "y": np.concatenate([Y, 0.6 * Y]),
    "g": ["a"] * len(X) + ["b"] * len(X),
}
MODELS = ["y = v*x/(k + x)", "y = a + b*x"]
CURVES: dict[str, Any] = {
    "models": MODELS[:1], "data": TWICE, "group_by": "g", "null": "k;all",
}  # fmt: skip


def answered(request: CompareRequest) -> Any:
    plan = fitting.to_comparison(request)
    run = fitting.ComparisonRun(plan)
    while not run.done:
        run.step(1000)
    return fitting.to_compared(plan, run.result(), job_id="", timings=Timings(queued_s=0, fit_s=0))


def seen(group: str | None = None, **body: Any) -> Any:
    request = CompareRequest.model_validate(body)
    asked = PlotRequest.model_validate({"view": "comparison"})
    plot = fitting.plot_of_comparison(asked, request, answered(request), group)
    return comparison.scene_of(plot, asked, 10**6)


def test_models_are_curves_over_the_data_with_their_weights() -> None:
    scene = seen(models=MODELS, data={"x": X, "y": Y})
    assert scene.models == tuple(MODELS)
    assert [each.label for each in scene.weights] == MODELS
    assert sum(each.weight for each in scene.weights) == pytest.approx(1)
    np.testing.assert_array_equal(scene.points[0].x, X)
    first = scene.curves[0]
    middle = np.interp(5.0, first.x, first.y)
    assert middle == pytest.approx(9 * 5 / 8, abs=0.1)


def test_curves_have_a_colour_for_each_group_and_dashes_for_each_hypothesis() -> None:
    scene = seen(**CURVES)
    assert scene.groups == ("g a", "g b")
    assert set(scene.models) == {"k shared", "separate", "one curve"}
    places = {(scene.models[each.model], each.group) for each in scene.curves}
    assert ("one curve", None) in places
    assert len(places) == 5
    assert [each.name for each in scene.points] == ["g a", "g b"]
    assert all(each.color is None for each in scene.weights)


def test_a_scaled_input_is_drawn_in_its_own_unit() -> None:
    model = {"model": "y = c + a*exp(-x/t)", "scaling": "min_max"}
    scene = seen(**{**CURVES, "models": [model], "null": "t"})
    np.testing.assert_array_equal(scene.points[0].x, X)
    own = next(each for each in scene.curves if each.group == 0)
    residual = np.interp(X, own.x, own.y) - Y
    assert np.abs(residual).max() < 1.0


def test_models_compared_in_each_group_are_drawn_for_one() -> None:
    body: dict[str, Any] = {"models": MODELS, "data": TWICE, "group_by": "g"}
    with pytest.raises(InvalidRequest, match="name it in `group`"):
        seen(**body)
    scene = seen(group="b", **body)
    np.testing.assert_allclose(scene.points[0].y, 0.6 * Y)
    assert "g b" in scene.title


def test_several_inputs_are_drawn_against_the_prediction() -> None:
    data = {"x": X, "z": np.sin(X), "y": 2 * X + 3 * np.sin(X) + 0.05 * np.cos(9 * X)}
    scene = seen(models=["y = a*x + b*z", "y = a*x + b"], data=data)
    assert scene.base.against_prediction
    assert [each.name for each in scene.points] == list(scene.models)
    assert drawn(scene, FigureOptions(format="png"))[1:4] == b"PNG"


def test_of_the_catalogue_only_the_first_are_drawn() -> None:
    scene = seen(data={"x": X, "y": Y})
    assert len(scene.models) == 6
    assert any("more curves are not drawn" in note for note in scene.notes)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("body", [{"models": MODELS, "data": {"x": X, "y": Y}}, CURVES])
def test_it_is_an_svg_with_its_texts(theme: Any, body: dict[str, Any]) -> None:
    scene = seen(**body)
    picture = drawn(scene, FigureOptions(theme=theme))
    assert picture == drawn(scene, FigureOptions(theme=theme))
    text = " ".join(ElementTree.fromstring(picture).itertext())
    assert "weight by AICc" in text
    assert all(name in text for name in scene.models)


def test_it_is_drawn_in_characters_too() -> None:
    made = characters.picture(seen(models=MODELS, data={"x": X, "y": Y}), width=60)
    assert f"the curve is that of {MODELS[0]}" in made
    assert "█" * 20 in made
    assert max(map(len, made.splitlines())) <= 60


def test_posted_models_are_drawn_as_those_of_a_job() -> None:
    body = {
        "view": "comparison",
        "data": {"x": X, "y": Y},
        "models": [
            {"label": "one", "model": MODELS[0], "params": {"v": 9, "k": 3}, "weight": 0.9},
            {"label": "other", "model": MODELS[1], "params": {"a": 1, "b": 0.4}, "weight": 0.1},
        ],
    }
    scene = table.scene(PlotInput(PlotRequest.model_validate(body)))
    assert isinstance(scene, ComparisonScene)
    assert scene.models == ("one", "other")
    assert [each.weight for each in scene.weights] == [0.9, 0.1]
