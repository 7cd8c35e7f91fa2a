"""What pictures show, in numbers: those of /predict and /loss, and bounded work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service import fitting
from service.errors import InvalidData, InvalidRequest, UnknownName
from service.fitting.plot_data import MOST_POINTS
from service.render.scene import PlotInput
from service.render.views import table as views
from service.render.views.fit import FitScene
from service.render.views.losses import LossesScene
from service.render.views.path import PathScene
from service.render.views.residuals import ResidualsScene
from service.schemas.answers import Fit
from service.schemas.compute import LossRequest, PredictRequest
from service.schemas.plot import PlotHistory, PlotRequest
from service.settings import Settings
from tests.render.made import THERMOMETER, asked, descent, fitted

START = {"w": 1.0, "b": 0.0}


def seen(view: str, body: dict[str, Any], fit: Fit | None = None, **members: Any) -> Any:
    """The scene of a job."""
    fit = fit or fitted(body)
    rows = fit.history
    history = PlotHistory(epoch=rows.epoch, loss=rows.loss, params=rows.params)
    plot = PlotRequest.model_validate({"view": view, **members})
    return views.scene(PlotInput(fitting.plot_of_job(plot, asked(body), fit, history)))


def given(**body: Any) -> Any:
    return views.scene(PlotInput(PlotRequest.model_validate(body)))


def test_the_curve_and_its_bands_are_those_of_predict() -> None:
    fit = fitted(THERMOMETER)
    scene: FitScene = seen("fit", THERMOMETER, fit, units={"t_c": "°C"})
    places = scene.curve_x[[0, 200, -1]]
    assert places[[0, -1]].tolist() == [21.8, 81.9]
    body = {**fit.predict.model_dump(exclude_none=True), "data": {"t_u": places.tolist()}}
    for kind, ribbon in (("confidence", scene.confidence), ("prediction", scene.prediction)):
        found = fitting.predict(PredictRequest.model_validate({**body, "interval": kind}))
        assert scene.curve_y[[0, 200, -1]] == pytest.approx(found.predictions)
        assert ribbon is not None
        assert ribbon.lower[[0, 200, -1]] == pytest.approx(found.lower)
        assert ribbon.upper[[0, 200, -1]] == pytest.approx(found.upper)
    assert (str(scene.x), str(scene.y)) == ("t_u", "t_c [°C]")
    assert scene.data_x.tolist() == THERMOMETER["data"]["t_u"]


def test_residuals_are_prediction_minus_target_and_the_line_that_of_their_quartiles() -> None:
    scene: ResidualsScene = seen("residuals", THERMOMETER)
    fit = fitted(THERMOMETER)
    x, y = (np.array(THERMOMETER["data"][name]) for name in ("t_u", "t_c"))
    residuals = fit.params["w"] * x + fit.params["b"] - y
    assert scene.residuals == pytest.approx(residuals)
    assert scene.ordered == pytest.approx(np.sort(residuals))
    # Blom's first of 11: Φ⁻¹(0.625/11.25) = −1.5932 (tables of the normal distribution)
    assert scene.normal[0] == pytest.approx(-1.5932, abs=1e-4)
    assert scene.normal[5] == pytest.approx(0.0, abs=1e-12)
    offset, slope = scene.line
    quartiles = [offset - 0.67449 * slope, offset + 0.67449 * slope]
    assert quartiles == pytest.approx(np.quantile(residuals, [0.25, 0.75]), rel=1e-5)


def test_with_sigma_they_are_in_its_units() -> None:
    body = {**THERMOMETER, "sigma": 2.0}
    scene: ResidualsScene = seen("residuals", body)
    assert scene.residuals == pytest.approx(seen("residuals", THERMOMETER).residuals / 2)
    assert scene.residual.name == "residual / σ"


def test_a_rate_too_high_jumps_out_of_the_picture() -> None:
    scene: PathScene = seen("path", descent(1e-2, 100))
    assert scene.names == ("w", "b")
    assert scene.path[:2].tolist() == [[1.0, 0.0], pytest.approx([-44.173, -0.826], abs=1e-3)]
    # the second step: w to 2,568 (tutorial: 2568.4, 45.16)
    assert scene.left == pytest.approx([2568.4, 45.16], rel=1e-4)
    assert scene.minimum == pytest.approx([0.53677, -17.3048], rel=1e-4)
    assert scene.axes[0][0] < -44.2


def test_a_rate_too_low_crawls() -> None:
    scene: PathScene = seen("path", descent(1e-4, 5000))
    assert scene.left is None
    assert scene.path[-1] == pytest.approx([0.2556, -1.42], abs=0.06)
    assert scene.minimum is not None
    assert scene.axes[1][0] < scene.minimum[1] < scene.axes[1][-1]


def test_the_surface_is_that_of_loss() -> None:
    scene: PathScene = seen("path", descent(1e-4, 100))
    for i, j in ((0, 0), (60, 60), (120, 3)):
        params = {"w": scene.axes[0][i], "b": scene.axes[1][j]}
        body = {**THERMOMETER, "params": params}
        found = fitting.loss(LossRequest.model_validate(body), Settings())
        assert scene.surface[i, j] == pytest.approx(found.loss)


def test_one_param_three_params_and_those_asked_for() -> None:
    one = {**THERMOMETER, "model": "t_c = w * t_u", "params": {"w": 1.0}}
    scene: PathScene = seen("path", one)
    assert scene.names == ("w",)
    assert scene.surface.shape == (401,)
    three = {
        "model": "y = a * exp(-x / t) + c",
        "data": {"x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": [3.0, 2.1, 1.6, 1.35, 1.2]},
        "params": {"a": 1.0, "t": 1.0, "c": 0.0},
    }
    scene = seen("path", three, along=["t", "c"])
    assert scene.names == ("t", "c")
    assert scene.notes == ("the other param is at its fitted value",)
    assert len(seen("path", three).names) == 2
    with pytest.raises(UnknownName):
        seen("path", three, along=["q"])


def test_long_data_are_drawn_by_some_of_their_rows() -> None:
    n = 1_000_000
    x = np.linspace(0.0, 10.0, n)
    body = {
        "model": "y = a * x",
        "params": {"a": 2.0},
        "data": {"x": x, "y": 2 * x + np.sin(np.arange(n))},
    }
    scene: FitScene = given(view="fit", **body)
    assert scene.data_x.size == MOST_POINTS
    assert scene.notes == ("1,000 of 1,000,000 rows are drawn",)
    residuals: ResidualsScene = given(view="residuals", **body)
    assert residuals.residuals.size <= MOST_POINTS
    assert residuals.ordered.size <= MOST_POINTS
    history = {"epoch": [1, 2], "loss": [2.0, 1.0], "params": {"a": [1.0, 2.0]}}
    path: PathScene = given(view="path", history=history, **body)
    assert "of 1,000,000 rows" in path.notes[-1]


def test_the_rows_that_are_drawn_have_no_period() -> None:
    hour = np.tile(np.arange(24.0), 1000)
    wave = np.sin(hour)
    wave[12_345] = 40.0
    scene: FitScene = given(
        view="fit", model="y = a * sin(h)", params={"a": 1.0}, data={"h": hour, "y": wave}
    )
    counts = np.bincount(scene.data_x.astype(int), minlength=24)
    assert scene.data_x.size == MOST_POINTS
    assert counts.min() > 20
    assert scene.data_y.max() == 40.0


DOSE = {"c": 5.0, "d": 100.0, "e": 2.0, "b": 1.2}


def test_a_dose_has_a_logarithmic_axis_with_its_controls_at_the_left() -> None:
    data = {"dose": [0.0, 0.0, 0.1, 1.0, 10.0], "y": [99.0, 101.0, 97.0, 70.0, 16.0]}
    scene: FitScene = given(view="fit", model="logistic4", params=DOSE, data=data)
    assert scene.log_x
    assert scene.zero is not None
    assert scene.data_x[:2].tolist() == [scene.zero] * 2
    assert scene.zero < 0.1
    assert scene.curve_y[:2].tolist() == [100.0, 100.0]
    assert np.isnan(scene.curve_y[2])
    assert scene.curve_x[[3, -1]] == pytest.approx([0.1, 10.0])
    assert "x = 0 is at the left end of the logarithmic axis" in scene.notes
    assert not given(view="fit", model="logistic4", params=DOSE, data=data, x_axis="linear").log_x
    written = "y = c + (d - c) / (1 + (dose / e)**b)"
    assert given(view="fit", model=written, params=DOSE, data=data).log_x


def test_a_target_over_decades_has_a_logarithmic_axis() -> None:
    t = np.linspace(0.0, 20.0, 50)
    body = {"model": "y = a*exp(-k*t)", "params": {"a": 1e4, "k": 0.5}, "view": "fit"}
    data = {"t": t, "y": 1e4 * np.exp(-0.5 * t)}
    scene: FitScene = given(**body, data=data)
    assert (scene.log_x, scene.log_y) == (False, True)
    data["y"] = data["y"] - 1.0
    assert not given(**body, data=data).log_y
    asked = given(**body, data=data, y_axis="log")
    assert asked.log_y
    assert any("are not on the logarithmic axis" in note for note in asked.notes)
    with pytest.raises(InvalidRequest, match="above 0"):
        given(**body, data={"t": t, "y": -t}, y_axis="log")


def test_many_inputs_none_and_powers_of_ten() -> None:
    data = {"x": [1.0, 10.0, 5000.0], "z": [2.0, 1.0, 0.0], "y": [1.0, 2.0, 3.5]}
    two: FitScene = given(
        view="fit", model="y = a * log(x) + b * z", params={"a": 0.4, "b": 0.1}, data=data
    )
    assert two.against_prediction
    assert str(two.x) == "prediction of y"
    none: FitScene = given(view="fit", model="y = c", params={"c": 2.0}, data=data)
    assert none.data_x.tolist() == [1.0, 2.0, 3.0]
    assert set(none.curve_y.tolist()) == {2.0}
    log: FitScene = given(view="fit", model="y = a * x", params={"a": 1.0}, data=data)
    assert log.log_x
    left: FitScene = given(view="fit", model="log(y) = a + b*x", params={"a": 0, "b": 0}, data=data)
    assert left.y.name == "log(y)"
    assert left.data_y == pytest.approx(np.log([1.0, 2.0, 3.5]))


def test_rows_without_a_value_are_left_out_and_counted() -> None:
    scene: FitScene = given(
        view="fit",
        model="y = a * x",
        params={"a": 1.0},
        data={"x": [1.0, None, 3.0], "y": [1.0, 2.0, None]},
    )
    assert scene.data_x.tolist() == [1.0]
    assert scene.notes == ("2 rows with missing values are omitted",)


def test_losses_and_their_derivatives() -> None:
    scene: LossesScene = given(view="losses")
    r = scene.residual
    assert scene.values["mse"] == pytest.approx(r**2)
    assert scene.slopes["mse"] == pytest.approx(2 * r)
    assert scene.values["mae"] == pytest.approx(abs(r))
    assert scene.slopes["mae"] == pytest.approx(np.sign(r))
    assert scene.formulas == {"mse": "r²", "mae": "|r|"}


MODEL = {"model": "y = a * x", "params": {"a": 1.0}, "data": {"x": [1.0], "y": [1.0]}}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"view": "fit"}, "/data"),
        ({"view": "fit", "data": {"x": [1.0]}}, "/params"),
        ({"view": "path", **MODEL}, "/history"),
        ({"view": "path", **MODEL, "history": {"epoch": [1], "loss": [1.0]}}, "/history/params"),
        (
            {
                "view": "path",
                **MODEL,
                "history": {"epoch": [1, 2], "loss": [1.0, 1.0], "params": {"a": [1.0]}},
            },
            "/history",
        ),
        (
            {
                "view": "path",
                **MODEL,
                "history": {"epoch": [1], "loss": [1.0], "params": {"a": [1.0]}},
                "axes": {"a": {"min": 2.0, "max": 1.0}},
            },
            "/axes/a",
        ),
        ({"view": "fit", **MODEL, "data": {"x": [None], "y": [1.0]}}, "/data"),
    ],
)
def test_what_is_lacking_is_pointed_at(body: Any, pointer: str) -> None:
    with pytest.raises((InvalidRequest, InvalidData)) as refused:
        given(**body)
    assert refused.value.errors[0].pointer == pointer


def test_an_mlp_is_drawn_like_any_other() -> None:
    body = {
        "model": {"name": "mlp", "hidden": [3]},
        "data": {"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 1.0, 0.5, 0.2]},
        "epochs": 20,
    }
    fit = fitted(body)
    assert np.isfinite(seen("fit", body, fit).curve_y).all()
    assert seen("path", body, fit).surface.shape == (121, 121)
    assert seen("residuals", body, fit).residuals.size == 4
