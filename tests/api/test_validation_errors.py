from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from service.api.validation_errors import MOST, validation_errors
from service.errors import FieldError
from service.schemas.fit import FitRequest

DATA = {"x": [1, 2], "y": [1, 2]}


def found(**members: Any) -> list[FieldError]:
    body = {"data": DATA, **members}
    with pytest.raises(ValidationError) as caught:
        FitRequest.model_validate_json(json.dumps(body))
    return validation_errors(caught.value.errors(), body, FitRequest)


@pytest.mark.parametrize(
    ("members", "pointer", "detail"),
    [
        ({"epoch": 5}, "/epoch", "unknown field 'epoch'; did you mean 'epochs'?"),
        ({"data": [1]}, "/data", "data must be an object; got a list of 1"),
        (
            {"data": {"x": [1, "a"]}},
            "/data/x/1",
            "data.x[1] must be a number; got the string 'a'",
        ),
        ({"data": {"y": 5}}, "/data/y", "data.y must be a list; got 5"),
        ({"epochs": 0}, "/epochs", "epochs must be from 1 to 100000000; got 0"),
        ({"epochs": 10**9}, "/epochs", "epochs must be from 1 to 100000000; got 1000000000"),
        ({"epochs": 5.5}, "/epochs", "epochs must be a whole number; got 5.5"),
        ({"seed": True}, "/seed", "seed must be a whole number; got true"),
        (
            {"background": "yes"},
            "/background",
            "background must be true or false; got the string 'yes'",
        ),
        ({"dtype": "float16"}, "/dtype", "unknown dtype 'float16'; did you mean 'float64'?"),
        ({"optimizer": "sdg"}, "/optimizer", "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        (
            {"optimizer": {"name": "sdg"}},
            "/optimizer/name",
            "unknown optimizer 'sdg'; did you mean 'sgd'?",
        ),
        ({"optimizer": 5}, "/optimizer", "optimizer must be a name or an object; got 5"),
        (
            {"optimizer": {"name": "sgd", "learning_rate": 0}},
            "/optimizer/learning_rate",
            "optimizer.learning_rate must be above 0; got 0",
        ),
        (
            {"optimizer": {"name": "sgd", "momentum": 1.5}},
            "/optimizer/momentum",
            "optimizer.momentum must be at least 0 and below 1; got 1.5",
        ),
        (
            {"optimizer": {"name": "sgd", "momentm": 0.5}},
            "/optimizer/momentm",
            "unknown field 'optimizer.momentm'; did you mean 'momentum'?",
        ),
        (
            {"optimizer": {"name": "sgd", "schedule": {"name": "stp"}}},
            "/optimizer/schedule/name",
            "unknown optimizer.schedule 'stp'; did you mean 'step'?",
        ),
        ({"loss": "msee"}, "/loss", "unknown loss 'msee'; did you mean 'mse'?"),
        (
            {"model": {"name": "polynomal"}},
            "/model/name",
            "unknown model 'polynomal'; did you mean 'polynomial'?",
        ),
        ({"model": 3}, "/model", "model must be a name or an object; got 3"),
        (
            {"params": {"w": "1.5"}},
            "/params/w",
            "params.w must be a number or an object; got the string '1.5'; write it without quotes",
        ),
        (
            {"params": {"b": {"vlaue": 1}}},
            "/params/b/vlaue",
            "unknown field 'params.b.vlaue'; did you mean 'value'?",
        ),
        ({"sigma": -1}, "/sigma", "sigma must be above 0; got -1"),
        ({"sigma": [1, -1]}, "/sigma/1", "sigma[1] must be above 0; got -1"),
        ({"sigma": {}}, "/sigma/expr", "sigma.expr is required"),
        (
            {"scaling": "standardise"},
            "/scaling",
            "unknown scaling 'standardise'; did you mean 'standardize'?",
        ),
        (
            {"scaling": {"x": {"scal": 1}}},
            "/scaling/x/scal",
            "unknown field 'scaling.x.scal'; did you mean 'scale'?",
        ),
        ({"params": {"a/b~c": "no"}}, "/params/a~1b~0c", "params.a/b~c must be"),
    ],
)
def test_one_slip_makes_one_error_with_its_remedy(
    members: dict[str, Any], pointer: str, detail: str
) -> None:
    (error,) = found(**members)
    assert error.pointer == pointer
    assert error.detail.startswith(detail)


def test_a_missing_field_is_pointed_at_where_it_should_be() -> None:
    with pytest.raises(ValidationError) as caught:
        FitRequest.model_validate_json("{}")
    (error,) = validation_errors(caught.value.errors(), {}, FitRequest)
    assert error == FieldError("/data", "data is required")


def test_a_nameless_optimizer_is_told_the_names() -> None:
    (error,) = found(optimizer={})
    assert error.detail.startswith("optimizer needs a 'name'; known: adagrad, adam")


def test_a_bound_field_of_another_optimizer_is_told_this_ones() -> None:
    (error,) = found(optimizer={"name": "adam", "momentum": 0.5})
    assert "beta1" in error.detail
    assert "nesterov" not in error.detail


def test_input_is_echoed_in_short() -> None:
    long = "x" * 10_000
    for error in (*found(**{long: 1}), *found(dtype=long), *found(params={long: long})):
        assert long[:100] not in error.pointer + error.detail


def test_validation_errors_are_counted() -> None:
    assert len(found(**{f"u{i}": 1 for i in range(5000)})) == MOST
