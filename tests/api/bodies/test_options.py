from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies.options import MAX_PARAMETERS, assemble, read_options, refuse_options
from service.api.bodies.table import Table
from service.api.http_errors import MalformedBody
from service.errors import InvalidRequest
from service.schemas.columns import Labels
from service.schemas.compute import GradientRequest, LossRequest, PredictRequest
from service.schemas.fit import FitRequest


def options(query: str, schema: Any = FitRequest) -> dict[str, Any]:
    return read_options(query.encode(), schema)


@pytest.mark.parametrize(
    ("query", "model"),
    [
        ("model=y~a*x+b", "y~a*x+b"),
        ("model=y=a*x+b", "y=a*x+b"),
        ("model=y%3Da*x+b", "y=a*x+b"),
        ("model=y%20~%20a*x%20+%20b", "y ~ a*x + b"),
        ("model=y~a*x%2Bb", "y~a*x+b"),
        ("model=y+~+a*x+%2B+b", "y ~ a*x + b"),
        ("model=y+%7E+a%2Ax", "y ~ a*x"),
        ("model=y+=+a*x", "y = a*x"),
        ("model=y~a*exp(-b*x)+1e+5", "y~a*exp(-b*x)+1e+5"),
        ("model=y~+a*x", "y~+a*x"),
        ("model=%CE%B8*x", "θ*x"),
        ("model=θ*x", "θ*x"),
        ("model=quadratic", "quadratic"),
    ],
)
def test_a_plus_is_a_plus_unless_it_stands_for_a_space(query: str, model: str) -> None:
    assert options(query) == {"model": model}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("epochs=500&seed=7", {"epochs": 500, "seed": 7}),
        ("epochs=5e2", {"epochs": 500}),
        ("background=true", {"background": True}),
        ("background", {"background": True}),
        ("background=false", {"background": False}),
        ("sigma=s", {"sigma": "s"}),
        ("sigma=0.5", {"sigma": 0.5}),
        ("sigma=.5,1,2e-3", {"sigma": [0.5, 1, 0.002]}),
        ("group_by=well", {"group_by": "well"}),
        ("group_by=well&group_by.history=true", {"group_by": {"column": "well", "history": True}}),
        ("loss=huber", {"loss": "huber"}),
        ("loss=huber&loss.delta=2", {"loss": {"name": "huber", "delta": 2}}),
        ("loss.delta=2&loss.name=huber", {"loss": {"name": "huber", "delta": 2}}),
        (
            "optimizer=adam&optimizer.learning_rate=0.01&optimizer.amsgrad=true",
            {"optimizer": {"name": "adam", "learning_rate": 0.01, "amsgrad": True}},
        ),
        (
            "optimizer=sgd&optimizer.gradient=numeric&optimizer.gradient.delta=1e-3",
            {"optimizer": {"name": "sgd", "gradient": {"method": "numeric", "delta": 0.001}}},
        ),
        (
            "optimizer=sgd&optimizer.schedule=multi_step&optimizer.schedule.milestones=10,20",
            {
                "optimizer": {
                    "name": "sgd",
                    "schedule": {"name": "multi_step", "milestones": [10, 20]},
                }
            },
        ),
        ("params=w:1,b:-2.5", {"params": {"w": 1, "b": -2.5}}),
        ("params.w=1&params.b.min=0", {"params": {"w": 1, "b": {"min": 0}}}),
        ("params=w:1&params.b=2", {"params": {"w": 1, "b": 2}}),
        ('params={"w":{"value":1,"fixed":true}}', {"params": {"w": {"value": 1, "fixed": True}}}),
        ("scaling=standardize", {"scaling": "standardize"}),
        ("scaling.t_u.scale=0.1", {"scaling": {"t_u": {"scale": 0.1}}}),
        ("tolerance.params=1e-6", {"tolerance": {"params": 1e-6}}),
        ("tags=team:a,run:17", {"tags": {"team": "a", "run": "17"}}),
        ("tags.run=17", {"tags": {"run": "17"}}),
        ("model=polynomial&model.degree=3", {"model": {"name": "polynomial", "degree": 3}}),
        ("model.name=mlp&model.hidden=16,8", {"model": {"name": "mlp", "hidden": [16, 8]}}),
        ("model.name=mlp&model.hidden=16", {"model": {"name": "mlp", "hidden": [16]}}),
        ('model={"name":"mlp","hidden":[4]}', {"model": {"name": "mlp", "hidden": [4]}}),
        ("units.x=s", {"units": {"x": "s"}}),
        ("format=text&epochs=5", {"epochs": 5}),
        ("&&", {}),
        ("", {}),
    ],
)
def test_a_text_becomes_what_the_schema_takes(query: str, expected: dict[str, Any]) -> None:
    found = options(query)
    assert found == expected
    FitRequest.model_validate_json(json.dumps({**found, "data": {}}))


@pytest.mark.parametrize(
    ("schema", "query", "expected"),
    [
        (
            PredictRequest,
            "interval=prediction&interval.level=0.9",
            {"kind": "prediction", "level": 0.9},
        ),
        (LossRequest, "params=w:1&surface.w.min=0&surface.w.max=2", {"w": {"min": 0, "max": 2}}),
        (GradientRequest, "params=w:1&gradient=numeric", "numeric"),
    ],
)
def test_the_other_requests_too(schema: Any, query: str, expected: Any) -> None:
    found = options(query, schema)
    assert expected in found.values()
    schema.model_validate_json(json.dumps({**found, "data": {}}))


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("epoch=5", "unknown query parameter 'epoch'; did you mean 'epochs'?"),
        ("optimizer=adam&optimizer.rate=1", "unknown query parameter 'optimizer.rate'"),
        ("optimizer=adamm", "unknown query parameter 'optimizer' 'adamm'; did you mean 'adam'?"),
        ("epochs=many", "'epochs' must be a whole number; got 'many'"),
        ("epochs=0", "'epochs' must be .*; got '0'"),
        ("epochs=2.5", "'epochs' must be a whole number"),
        ("background=yes", "'background' must be true or false; got 'yes'"),
        ("params=w", "'params' must be an object"),
        ("params.w=abc", "'params.w' must be a number"),
        ("optimizer.learning_rate=1", "'optimizer' needs a 'name'"),
        ("epochs=1&epochs=2", "'epochs' is given twice"),
        ("params={w:1}", "'params' is not JSON"),
        ("data=x", "send the data in the body"),
        ("data.x=1,2", "send the data in the body"),
        ("model=%ff", "not UTF-8"),
        ("tolerance.loss.x=1", "'tolerance.loss' must be"),
        ("&".join(f"a{i}=1" for i in range(MAX_PARAMETERS + 1)), "more than 1000"),
        ("params=" + "[" * 100_000, "'params' is not JSON"),
    ],
)
def test_a_slip_is_told_by_the_parameters_name(query: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as caught:
        assemble(FitRequest, Table({}), query.encode())
    assert all(error.pointer == "" for error in caught.value.errors)


def test_the_columns_are_those_of_the_table() -> None:
    labels = Labels.of(["a", "b"])
    asked = assemble(FitRequest, Table({"ｇ": labels}, {"g": "m", "x": "s"}), b"units.x=ms")
    assert asked.data["g"] is labels
    assert asked.units == {"g": "m", "x": "ms"}
    predicted = assemble(PredictRequest, Table({}, {"x": "s"}), b"params=w:1")
    assert predicted.params == {"w": 1.0}


def test_a_request_in_the_body_goes_below_the_query() -> None:
    told = b'{"epochs": 5, "optimizer": {"name": "adam", "learning_rate": 1}, "seed": 3}'
    asked = assemble(FitRequest, Table({}, request=told), b"epochs=7&optimizer.learning_rate=2")
    assert (asked.epochs, asked.seed) == (7, 3)
    assert asked.optimizer.model_dump()["learning_rate"] == 2.0


@pytest.mark.parametrize(
    ("told", "error", "pointer", "says"),
    [
        (b"{", MalformedBody, "", "not JSON"),
        (b"[]", InvalidRequest, "", "must be an object"),
        (b'{"data": {}}', InvalidRequest, "/data", "belong in the part"),
        (b'{"epochs": "5"}', InvalidRequest, "/epochs", "without quotes"),
    ],
)
def test_a_slip_in_the_bodys_request_has_its_pointer(
    told: bytes, error: type[InvalidRequest], pointer: str, says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        assemble(FitRequest, Table({}, request=told), b"")
    assert caught.value.errors[0].pointer == pointer


def test_a_json_body_has_its_options_in_it() -> None:
    refuse_options(b"format=text", FitRequest)
    with pytest.raises(
        InvalidRequest, match=r"'optimizer\.name': with a JSON body, send the options"
    ):
        refuse_options(b"optimizer.name=sgd", FitRequest)


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_escaped_text_comes_back(text: str) -> None:
    assert options("tags.note=" + quote(text, safe="")) == {"tags": {"note": text}}


@given(st.from_regex(r"[a-z~=*/()+ -]{1,20}", fullmatch=True))
def test_a_form_encoders_plus_is_a_space(text: str) -> None:
    """Where the text has a plus of its own, which tells."""
    if "+" in text:
        assert options("model=" + quote_plus(text)) == {"model": text}


@given(st.binary(max_size=60) | st.text('params.w=:,{}[]"&%+ 1e', max_size=60).map(str.encode))
def test_any_query_is_refused_or_read(query: bytes) -> None:
    try:
        assemble(FitRequest, Table({}), query)
    except InvalidRequest:
        return
