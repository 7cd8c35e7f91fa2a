"""The fit's document: scaled and raw params, history, the body for /predict."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from service.fitting import predict
from service.schemas.compute import PredictRequest
from tests import thermometer
from tests.fitting.fits import fit

BASE: dict[str, Any] = {"model": thermometer.MODEL, "data": thermometer.DATA}


@pytest.mark.parametrize(
    "scaling", [None, {"t_u": {"scale": 0.1, "offset": -3.0}}, "standardize", "min_max"]
)
def test_raw_params_do_not_depend_on_the_scaling(scaling: Any) -> None:
    answer = fit(**BASE, scaling=scaling)
    raw = answer.params_unscaled
    assert raw is not None
    assert raw.values == pytest.approx({"w": 0.5367719209, "b": -17.3047855}, rel=1e-8)
    assert raw.stderr == pytest.approx({"w": 0.0355386, "b": 1.9272273}, rel=1e-6)
    if scaling is None:
        assert raw.values == answer.params
        assert raw.stderr == answer.statistics.stderr


def test_a_way_back_that_is_not_exact_is_not_given() -> None:
    x = np.linspace(1, 9, 12)
    data = {"x": x.tolist(), "y": (2 * np.log(x) + 0.3 * x).tolist()}
    answer = fit(model="a*log(x) + c*x", data=data, scaling={"x": {"scale": 0.1}})
    assert answer.params_unscaled is None


@pytest.mark.parametrize("scaling", [None, "standardize", {"t_u": {"scale": 0.1}}])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_body_for_predict_predicts_what_the_fit_did(scaling: Any, dtype: str) -> None:
    answer = fit(**BASE, scaling=scaling, dtype=dtype)
    body = json.loads(answer.predict.model_dump_json(exclude_none=True))
    body["data"] = thermometer.DATA
    found = predict(PredictRequest.model_validate(body))
    w, b = 0.5367719209075441, -17.304785503010788
    expected = [w * t + b for t in thermometer.DATA["t_u"]]
    assert found.target == "t_c"
    assert found.predictions == pytest.approx(expected, abs=1e-9 if dtype == "float64" else 1e-4)


def test_a_transformed_target_is_predicted_on_its_own_scale() -> None:
    data = {"x": [1.0, 2.0, 3.0, 4.0], "y": [2.0, 4.1, 7.9, 16.2]}
    answer = fit(model="log(y) = a + b*x", data=data)
    body = json.loads(answer.predict.model_dump_json(exclude_none=True))
    found = predict(PredictRequest.model_validate({**body, "data": {"x": [2.5]}}))
    assert found.target == "log(y)"
    assert found.predictions[0] == pytest.approx(np.log(np.sqrt(4.1 * 7.9)), abs=0.02)


def test_the_history_of_a_short_descent() -> None:
    answer = fit(
        **BASE,
        params=thermometer.START,
        optimizer={"name": "sgd", "learning_rate": 1e-4},
        epochs=10,
        record_every=4,
    )
    assert answer.history.epoch == [1, 4, 8, 10]
    assert answer.history.loss[0] == pytest.approx(1763.8848, abs=1e-3)
    assert answer.history.params["w"][-1] == answer.params["w"]
    assert set(answer.history.gradient) == {"w", "b"}


def test_the_same_request_gives_the_same_bytes() -> None:
    request = {
        **BASE,
        "params": thermometer.START,
        "epochs": 30,
        "seed": 3,
        "optimizer": {"name": "adam", "learning_rate": 0.1, "batch_size": 4},
    }
    assert fit(**request).model_dump_json() == fit(**request).model_dump_json()
    searched = {"model": "t_c = a*exp(k*t_u)", "data": thermometer.DATA}
    assert fit(**searched).model_dump_json() == fit(**searched).model_dump_json()


def test_columns_are_named_as_they_are_folded() -> None:
    """A formula folds its names (NFKC); a column's must fold the same way."""
    answer = fit(model="y = a*µ + b", data={"µ": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.1]})
    assert len(answer.model.inputs) == 1
    assert set(answer.params) == {"a", "b"}


def test_a_column_with_a_composed_accent_is_the_one_with_a_combining_one() -> None:
    answer = fit(model="y = a*é + b", data={"e\u0301": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.1]})
    assert set(answer.params) == {"a", "b"}


def test_a_param_may_be_given_by_its_unfolded_name() -> None:
    answer = fit(model="y = µ*x", data={"x": [1.0, 2.0], "y": [2.0, 4.0]}, params={"µ": 1.0})
    assert list(answer.params.values()) == pytest.approx([2.0])


def test_rows_with_missing_values_are_dropped_where_asked() -> None:
    data = {"x": [1.0, None, 3.0, 4.0, 5.0], "y": [2.0, 4.0, None, 8.0, 10.1]}
    answer = fit(data=data, missing="drop")
    whole = fit(data={"x": [1.0, 4.0, 5.0], "y": [2.0, 8.0, 10.1]})
    assert answer.params == whole.params
    assert answer.statistics.n == 3
    assert answer.dropped is not None
    assert (answer.dropped.count, answer.dropped.rows) == (2, [2, 3])
    sigma = fit(data=data, missing="drop", sigma=[1.0, 1.0, 1.0, 2.0, 3.0])
    alone = fit(data={"x": [1.0, 4.0, 5.0], "y": [2.0, 8.0, 10.1]}, sigma=[1.0, 2.0, 3.0])
    assert sigma.params == alone.params


def test_profile_intervals_of_a_line_are_t_intervals() -> None:
    """For a linear model the profile is a parabola."""
    t = fit(**BASE).statistics.confidence_interval
    profile = fit(**BASE, confidence_interval={"method": "profile"}).statistics.confidence_interval
    assert t is not None
    assert profile is not None
    assert profile.lower == pytest.approx(t.lower, rel=1e-6)
    assert profile.upper == pytest.approx(t.upper, rel=1e-6)
