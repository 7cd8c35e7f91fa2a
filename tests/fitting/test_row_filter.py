"""The condition `rows` of requests."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import InvalidRequest
from service.fitting import gradient, loss, predict
from service.render.scene import PlotInput
from service.render.views import residuals
from service.schemas import compute as wire
from service.schemas.answers import RowsUsed
from service.schemas.fit import FitRequest
from service.schemas.plot import PlotRequest
from tests.fitting import grouped
from tests.fitting.fits import SETTINGS, fit, plan

DATA: dict[str, list[Any]] = {
    "x": [0.0, 1, 2, 3, 4, 5, 6, 7],
    "y": [1.0, 3.1, 4.9, 7.0, 9.1, 10.9, 99.0, None],
    "s": ["a", "a", "a", "b", "b", "a", "b", "b"],
}
FEW = {name: column[:6] for name, column in DATA.items()}
LINE = "y = a*x + b"


def test_a_fit_uses_the_rows_that_satisfy_it() -> None:
    found = fit(model=LINE, data=DATA, rows="x < 6")
    alone = fit(model=LINE, data=FEW)
    assert found.params == alone.params
    assert found.statistics == alone.statistics
    assert found.rows == RowsUsed(used=6, of=8)
    assert alone.rows is None


def test_groups_are_those_of_the_rows_that_are_left() -> None:
    found = grouped.fit(model=LINE, data=DATA, rows="x < 6 and s == 'a'", group_by="s")
    assert found.groups.key == ["a"]
    assert found.rows == RowsUsed(used=4, of=8)


def test_sigma_as_a_list_is_of_all_rows() -> None:
    sigma = [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 5.0, 5.0]
    found = fit(model=LINE, data=DATA, rows="x < 6", sigma=sigma)
    assert found.params == fit(model=LINE, data=FEW, sigma=sigma[:6]).params
    with pytest.raises(InvalidRequest, match="sigma has 6 values for 8 rows"):
        plan({"model": LINE, "data": DATA, "rows": "x < 6", "sigma": sigma[:6]})


def test_dropped_rows_have_their_numbers_among_all() -> None:
    found = fit(model=LINE, data=DATA, rows="x > 2 and x != 6", missing="drop")
    assert found.dropped is not None
    assert found.dropped.rows == [8]


@pytest.mark.parametrize(
    ("rows", "words"),
    [("x > 100", "no row satisfies"), ("x >", "column 4"), ("q > 1", "unknown column 'q'")],
)
def test_what_leaves_nothing_or_is_no_condition_is_refused(rows: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        plan({"model": LINE, "data": DATA, "rows": rows})
    assert caught.value.errors[0].pointer == "/rows"


def test_only_a_text_is_a_condition() -> None:
    for rows in (1, ["x > 1"], {"where": "x > 1", "of": 3, "used": 3}, ""):
        with pytest.raises(ValueError, match="rows"):
            FitRequest.model_validate({"model": LINE, "data": DATA, "rows": rows})


def test_predictions_losses_and_gradients() -> None:
    request = {"model": LINE, "params": {"a": 2.0, "b": 1.0}, "rows": "x < 3"}
    data = {name: DATA[name] for name in ("x", "y")}
    some = wire.PredictRequest.model_validate({**request, "data": data})
    found = predict(some)
    assert found.predictions.tolist() == [1.0, 3.0, 5.0]
    assert found.rows == RowsUsed(used=3, of=8)
    answered = loss(wire.LossRequest.model_validate({**request, "data": data}), SETTINGS)
    assert answered.loss == pytest.approx((0.1**2 + 0.1**2) / 3)
    assert answered.rows == found.rows
    slopes = gradient(wire.GradientRequest.model_validate({**request, "data": data}))
    assert slopes.rows == found.rows
    assert slopes.gradient["b"] == pytest.approx(0.0, abs=1e-12)


def test_a_picture() -> None:
    request = {
        "view": "residuals", "model": LINE, "params": {"a": 2.0, "b": 1.0}, "data": DATA,
        "rows": "x < 6",
    }  # fmt: skip
    assert len(residuals.scene(PlotInput(PlotRequest.model_validate(request))).at) == 6
