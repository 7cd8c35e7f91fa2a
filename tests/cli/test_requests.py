"""Command-line options as a request."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from service.cli import options
from service.cli.requests import merged, request, values


def test_options_not_given_are_not_sent() -> None:
    assert request(model="linear", epochs=None, loss=None) == {"model": "linear"}


def test_params_bounds_and_fixed_values() -> None:
    made = request(params=["w=1", "b=-2e-3"], fixed=["c=0"], bounds=["b=:10", "d=0:1"])
    assert made["params"] == {
        "w": 1.0,
        "b": {"value": -0.002, "max": 10.0},
        "c": {"value": 0.0, "fixed": True},
        "d": {"min": 0.0, "max": 1.0},
    }
    assert values(["w=1"]) == {"w": 1.0}


def test_ties_and_reports() -> None:
    made = request(params=["a=1"], ties=["c=a/2"], reports=["q=log(2)/a", "r=a == 1"])
    assert made == {
        "params": {"a": 1.0, "c": {"expr": "a/2"}},
        "report": {"q": "log(2)/a", "r": "a == 1"},
    }
    assert request(reports=["default"]) == {"report": "default"}


def test_settings_by_path() -> None:
    made = request(
        optimizer="sgd",
        settings=["optimizer.learning_rate=1e-4", "optimizer.gradient.method=numeric", "seed=3"],
    )
    gradient = {"method": "numeric"}
    assert made == {
        "optimizer": {"name": "sgd", "learning_rate": 1e-4, "gradient": gradient},
        "seed": 3,
    }
    bare = request(settings=["optimizer.gradient=numeric", "optimizer.gradient.delta=0.1"])
    assert bare == {"optimizer": {"gradient": {"method": "numeric", "delta": 0.1}}}


def test_values_are_json_or_text() -> None:
    made = request(optimizer='{"name": "adam"}', sigma="0.5", group_by="plate", model="y = a*x")
    assert made == {
        "optimizer": {"name": "adam"},
        "sigma": 0.5,
        "group_by": "plate",
        "model": "y = a*x",
    }


def test_errors_of_inputs_are_columns_or_numbers() -> None:
    made = request(errors=["dose=sd", "t=0.1"])
    assert made == {"sigma_x": {"dose": "sd", "t": 0.1}}


def test_a_patch_of_an_option_given_by_name() -> None:
    made = request(optimizer="sgd", patch='{"optimizer": {"learning_rate": 0.1}, "epochs": 5}')
    assert made == {"optimizer": {"name": "sgd", "learning_rate": 0.1}, "epochs": 5}


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ("sgd", {"learning_rate": 1}, {"learning_rate": 1}),
    ],
)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    """The examples of RFC 7396, appendix A, and another."""
    assert merged(target, patch) == result


@pytest.mark.parametrize("word", ["w", "=1", "w=", "w=x"])
def test_invalid_params(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        values([word])
    assert caught.value.exit_code == 2
    assert word.partition("=")[0] in capsys.readouterr().err


def test_likelihoods() -> None:
    assert options.counted("poisson", None, None, None) == "poisson"
    assert options.counted("poisson", "seconds", None, "pearson") == {
        "name": "poisson",
        "exposure": "seconds",
        "overdispersion": "pearson",
    }
    assert options.counted("binomial", None, "20", None) == {"name": "binomial", "n": 20.0}
    assert options.counted(None, None, None, None) is None
    assert options.edges("lo, hi") == ["lo", "hi"]
    for wrong in (lambda: options.counted(None, "t", None, None), lambda: options.edges("lo")):
        with pytest.raises(typer.Exit):
            wrong()
