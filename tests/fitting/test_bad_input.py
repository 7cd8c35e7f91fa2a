"""Every request that cannot be carried out: the class of its error, where, and what mends it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from service.errors import (
    BudgetExceeded,
    InvalidData,
    InvalidFormula,
    InvalidRequest,
    UnknownName,
    UnknownNameInFormula,
)
from service.fitting import check
from service.schemas.fit import FitRequest
from service.settings import Settings
from tests.fitting.fits import fit, plan

X, Y = [1.0, 2.0, 3.0, 4.0], [2.1, 3.9, 6.2, 7.8]
DATA = {"x": X, "y": Y}

REFUSED: dict[str, tuple[dict[str, Any], type[InvalidRequest], str, str]] = {
    "a formula without params": (
        {"model": "y = 2*x"},
        InvalidFormula,
        "/model",
        "no params to fit",
    ),
    "float32 overflow": (
        {"data": {"x": [1e39, 2.0, 3.0], "y": [1.0, 2.0, 3.0]}, "dtype": "float32"},
        InvalidData,
        "/data/x/0",
        "range of float32",
    ),
    "a scaling that overflows": (
        {
            "scaling": {"x": {"scale": 1e308}},
            "data": {"x": [10.0, 20.0, 30.0], "y": [1.0, 2.0, 3.0]},
        },
        InvalidData,
        "/data/x/0",
        "after scaling",
    ),
    "sigma too small to divide by": ({"sigma": 1e-320}, InvalidData, "/sigma", "to divide by"),
    "a logarithm of a negative number": (
        {"model": "y = a*log(x) + b", "data": {"x": [-1.0, 1.0, 2.0], "y": [1.0, 2.0, 3.0]}},
        InvalidData,
        "/data/x/0",
        "'log(x)' is not finite in row 1 (x = -1), whatever the params",
    ),
    "a logarithm of scaled inputs": (
        {
            "model": "y = a*log(x) + b",
            "data": {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]},
            "scaling": {"x": {"offset": -1.5}},
        },
        InvalidData,
        "/data/x/0",
        "(x = 1, scaled -0.5)",
    ),
    "a division by zero": (
        {"model": "y = a/x + b", "data": {"x": [1.0, 0.0, 2.0], "y": [1.0, 2.0, 3.0]}},
        InvalidData,
        "/data/x/1",
        "row 2",
    ),
    "no columns": ({"data": {}}, InvalidData, "/data", "send at least one"),
    "an empty column": ({"data": {"x": [], "y": []}}, InvalidData, "/data/x", "is empty"),
    "unequal columns": (
        {"data": {"x": X, "y": Y[:3]}},
        InvalidData,
        "/data/y",
        "3 rows, but 'x' has 4",
    ),
    "a missing value": (
        {"data": {"x": [1.0, None, None, 4.0], "y": Y}},
        InvalidData,
        "/data/x/1",
        "column 'x', row 2 (and 1 more row) is missing",
    ),
    "infinity": (
        {"data": {"x": [1.0, 2.0, float("inf"), 4.0], "y": Y}},
        InvalidData,
        "/data/x/2",
        "column 'x', row 3 is infinite",
    ),
    "a missing target": (
        {"data": {"x": X, "y": [1.0, 2.0, 3.0, None]}},
        InvalidData,
        "/data/y/3",
        "row 4",
    ),
    "a left side that is no number": (
        {"model": "log(y - 3) = a*x"},
        InvalidData,
        "/data/y/0",
        "not finite in row 1 (y = 2.1)",
    ),
    "every row missing": (
        {"data": {"x": [None] * 4, "y": Y}, "missing": "drop"},
        InvalidData,
        "/data",
        "every row",
    ),
    "no target": ({"data": {"x": X}}, InvalidFormula, "/model", "name it `y`"),
    "no input": ({"data": {"y": Y}}, InvalidFormula, "/model", "besides 'y'"),
    "which input": ({"data": {"a": X, "c": X, "y": Y}}, InvalidFormula, "/model", "Name it `x`"),
    "an unknown model": ({"model": "linaer"}, UnknownName, "/model", "did you mean 'linear'?"),
    "an unknown column on the left": (
        {"model": "yy = a*x"},
        UnknownNameInFormula,
        "/model",
        "did you mean 'y'?",
    ),
    "an unknown function": (
        {"model": "a*exxp(x)"},
        UnknownNameInFormula,
        "/model",
        "did you mean 'exp'? (column 3)",
    ),
    "a formula that does not parse": (
        {"model": "y = a*(x"},
        InvalidFormula,
        "/model",
        "expected ')', found the end (column 9)",
    ),
    "a caret": ({"model": "a*x^2"}, InvalidFormula, "/model", "write '**' (column 4)"),
    "a column that cannot be used in a family": (
        {"data": {"w": X, "y": Y}},
        InvalidRequest,
        "/model",
        "rename the column",
    ),
    "an unknown input of a family": (
        {"model": {"name": "linear", "inputs": ["xx"]}},
        UnknownName,
        "/model/inputs/0",
        "did you mean 'x'?",
    ),
    "an unknown target of a family": (
        {"model": {"name": "linear", "target": "yy"}},
        UnknownName,
        "/model/target",
        "did you mean 'y'?",
    ),
    "a degree for a line": (
        {"model": {"name": "linear", "degree": 2}},
        InvalidRequest,
        "/model/degree",
        "no degree",
    ),
    "a param that the formula lacks": (
        {"params": {"ww": 1.0}},
        UnknownName,
        "/params/ww",
        "did you mean 'w'?",
    ),
    "a param's name with a slash": (
        {"params": {"a/b": 1.0}},
        UnknownName,
        "/params/a~1b",
        "unknown param",
    ),
    "bounds crossed": (
        {"params": {"w": {"min": 2.0, "max": 1.0}}},
        InvalidRequest,
        "/params/w",
        "`min` must be below `max`",
    ),
    "bounds that meet": (
        {"params": {"w": {"min": 1.0, "max": 1.0}}},
        InvalidRequest,
        "/params/w",
        "or the param fixed",
    ),
    "a start outside its bounds": (
        {"params": {"w": {"value": 5.0, "min": 0.0, "max": 1.0}}},
        InvalidRequest,
        "/params/w/value",
        "initial value 5 of 'w' is outside its bounds, 0 to 1",
    ),
    "fixed without a value": (
        {"params": {"w": {"fixed": True}}},
        InvalidRequest,
        "/params/w/value",
        "has no value",
    ),
    "exact with bounds": (
        {"optimizer": "exact", "params": {"w": {"min": 0.0}}},
        InvalidRequest,
        "/optimizer",
        "does not support bounds; use 'auto'",
    ),
    "exact on a nonlinear formula": (
        {"optimizer": "exact", "model": "exp(a*x)"},
        InvalidRequest,
        "/optimizer",
        "linear in its free params",
    ),
    "exact with another loss": (
        {"optimizer": "exact", "loss": "huber"},
        InvalidRequest,
        "/optimizer",
        "minimises mse",
    ),
    "nesterov without momentum": (
        {"optimizer": {"name": "sgd", "nesterov": True}},
        InvalidRequest,
        "/optimizer/nesterov",
        "`momentum` above 0",
    ),
    "scaling of no input": (
        {"scaling": {"xx": {"scale": 2.0}}},
        UnknownName,
        "/scaling/xx",
        "did you mean 'x'?",
    ),
    "scaling of the target": (
        {"scaling": {"y": {"scale": 2.0}}},
        UnknownName,
        "/scaling/y",
        "known: x",
    ),
    "a scale of 0": (
        {"scaling": {"x": {"scale": 0.0}}},
        InvalidRequest,
        "/scaling/x/scale",
        "must not be 0",
    ),
    "a constant input standardized": (
        {"data": {"x": [0.1] * 4, "y": Y}, "scaling": "standardize"},
        InvalidData,
        "/scaling",
        "column 'x' is constant",
    ),
    "a constant input to its range": (
        {"data": {"x": [0.1] * 4, "y": Y}, "scaling": "min_max"},
        InvalidData,
        "/scaling",
        "column 'x' is constant",
    ),
    "an input too wide to be standardized": (
        {"data": {"x": [-1.7e308, 0.0, 1.0, 1.7e308], "y": Y}, "scaling": "standardize"},
        InvalidData,
        "/scaling",
        "give it in another unit",
    ),
    "an input too wide for its range": (
        {"data": {"x": [-1.7e308, 0.0, 1.0, 1.7e308], "y": Y}, "scaling": "min_max"},
        InvalidData,
        "/scaling",
        "give it in another unit",
    ),
    "an input too narrow to be standardized": (
        {"data": {"x": [0.0, 5e-324, 1e-323, 2e-323], "y": Y}, "scaling": "standardize"},
        InvalidData,
        "/scaling",
        "give it in another unit",
    ),
    "sigma of no column": ({"sigma": "sd"}, UnknownName, "/sigma", "known: x, y"),
    "sigma of another length": (
        {"sigma": [1.0, 2.0]},
        InvalidData,
        "/sigma",
        "2 values for 4 rows",
    ),
    "sigma of 0 in a column": (
        {"data": {**DATA, "s": [1.0, 0.0, 1.0, 1.0]}, "sigma": "s"},
        InvalidData,
        "/data/s/1",
        "column 's' is not in row 2",
    ),
    "sigma missing in a column": (
        {"data": {**DATA, "s": [1.0, None, 1.0, 1.0]}, "sigma": "s"},
        InvalidData,
        "/data/s/1",
        "row 2",
    ),
    "more time than there is": (
        {"time_limit_s": 4000.0},
        BudgetExceeded,
        "/time_limit_s",
        "at most 3600",
    ),
    "more work than one fit may cost": (
        {"data": {"x": X * 50_000, "y": Y * 50_000}, "optimizer": "sgd", "epochs": 10**8},
        BudgetExceeded,
        "/epochs",
        "at most 25,000,000 epochs",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused(name: str) -> None:
    request, kind, pointer, says = REFUSED[name]
    with pytest.raises(kind) as raised:
        plan({"data": DATA, **request})
    (error,) = raised.value.errors
    assert type(raised.value) is kind
    assert error.pointer == pointer
    assert says in error.detail


MISTYPED: dict[str, tuple[dict[str, Any], tuple[str | int, ...]]] = {
    "an unknown optimizer": ({"optimizer": "sdg"}, ("optimizer",)),
    "an unknown loss": ({"loss": "hubber"}, ("loss",)),
    "a learning rate of 0": (
        {"optimizer": {"name": "sgd", "learning_rate": 0}},
        ("optimizer", "sgd", "learning_rate"),
    ),
    "a learning rate below 0": (
        {"optimizer": {"name": "adam", "learning_rate": -1}},
        ("optimizer", "adam", "learning_rate"),
    ),
    "an option of another optimizer": (
        {"optimizer": {"name": "sgd", "beta1": 0.9}},
        ("optimizer", "sgd", "beta1"),
    ),
    "no epochs": ({"epochs": 0}, ("epochs",)),
    "too many epochs": ({"epochs": 10**9}, ("epochs",)),
    "half an epoch": ({"epochs": 1.5}, ("epochs",)),
    "sigma of 0": ({"sigma": 0}, ("sigma", "constrained-float")),
    "sigma below 0 in a list": (
        {"sigma": [1.0, -1.0, 1.0, 1.0]},
        ("sigma", "list[constrained-float]", 1),
    ),
    "a number as a word": ({"params": {"w": "1"}}, ("params", "w", "float")),
    "truth as a number": ({"params": {"w": True}}, ("params", "w", "float")),
    "an infinite start": ({"params": {"w": float("inf")}}, ("params", "w", "float")),
    "an unknown field": ({"epoch": 5}, ("epoch",)),
    "an unknown dtype": ({"dtype": "float16"}, ("dtype",)),
    "a seed below 0": ({"seed": -1}, ("seed",)),
    "a delta of 0": (
        {"loss": {"name": "huber", "delta": 0}},
        ("loss", "huber", "delta", "constrained-float"),
    ),
    "a quantile of 1": (
        {"loss": {"name": "quantile", "quantile": 1}},
        ("loss", "quantile", "quantile"),
    ),
    "a batch of none": (
        {"optimizer": {"name": "sgd", "batch_size": 0}},
        ("optimizer", "sgd", "batch_size"),
    ),
    "a tolerance below 0": ({"tolerance": {"loss": -1}}, ("tolerance", "loss")),
}


@pytest.mark.parametrize("name", MISTYPED)
def test_what_is_mistyped_is_refused_where_it_is(name: str) -> None:
    request, place = MISTYPED[name]
    with pytest.raises(ValidationError) as raised:
        plan({"data": DATA, **request})
    assert place in [error["loc"] for error in raised.value.errors()]


def test_limits_are_the_settings() -> None:
    request = FitRequest.model_validate({"data": DATA, "optimizer": "sgd", "epochs": 11})
    check(request, Settings(max_epochs=11, max_rows=4))
    with pytest.raises(BudgetExceeded, match="11 epochs are more than the 10 allowed"):
        check(request, Settings(max_epochs=10))
    with pytest.raises(InvalidData, match="4 rows are more than the 3 allowed"):
        check(request, Settings(max_rows=3))


# What is odd but can be done must not fail.
ODD: dict[str, dict[str, Any]] = {
    "whole numbers": {"data": {"x": [1, 2, 3], "y": [2, 4, 5]}},
    "one row": {"data": {"x": [1.0], "y": [2.0]}},
    "two rows for three params": {
        "data": {"x": [1.0, 2.0], "y": [2.0, 3.0]},
        "model": {"name": "polynomial", "degree": 2},
    },
    "a polynomial of degree 20": {"model": {"name": "polynomial", "degree": 20}},
    "a polynomial of degree 0": {"model": {"name": "polynomial", "degree": 0}},
    "a polynomial of degree 1": {"model": {"name": "polynomial", "degree": 1}},
    "a constant": {"model": "y = a", "data": {"y": Y}},
    "everything fixed": {"params": {n: {"value": 1.0, "fixed": True} for n in "wb"}},
    "everything fixed, by sgd": {
        "params": {n: {"value": 1.0, "fixed": True} for n in "wb"},
        "optimizer": "sgd",
        "epochs": 3,
    },
    "a constant input": {"data": {"x": [2.0] * 4, "y": Y}},
    "a constant target": {"data": {"x": X, "y": [2.0] * 4}},
    "a target of zeros": {"data": {"x": X, "y": [0.0] * 4}, "model": "a*exp(b*x)"},
    "huge data": {"data": {"x": [1e300, 2e300, 4e300], "y": [1e300, -1e300, 1e300]}},
    "huge data, by lm": {
        "data": {"x": [1e300, 2e300, 4e300], "y": [1e300, -1e300, 1e300]},
        "optimizer": "levenberg_marquardt",
    },
    "tiny data": {"data": {"x": [1e-310, 2e-310, 4e-310], "y": [1e-310, 1e-310, 1e-310]}},
    "sigma too large to divide by": {"sigma": 1e300},
    "a start that is no number": {"model": "a*log(x - k)", "params": {"k": 9.0}},
    "a start that is no number, by sgd": {
        "model": "a*log(x - k)",
        "params": {"k": 9.0},
        "optimizer": "sgd",
        "epochs": 3,
    },
    "a start that is no number, by lbfgs": {
        "model": "a*log(x - k)",
        "params": {"k": 9.0},
        "optimizer": "lbfgs",
    },
    "a batch beyond the rows": {"optimizer": {"name": "sgd", "batch_size": 99}, "epochs": 3},
    "a huge rate": {"optimizer": {"name": "adam", "learning_rate": 1e300}, "epochs": 9},
    "a numeric gradient too fine": {
        "optimizer": {"name": "sgd", "gradient": {"method": "numeric", "delta": 1e-300}},
        "epochs": 3,
    },
    "a column nobody uses": {"data": {**DATA, "note": [None] * 4}, "model": "a*x"},
    "bounds on all": {"params": {n: {"min": -1.0, "max": 1.0} for n in "wb"}},
    "lbfgs with a quantile": {"loss": "quantile", "optimizer": "lbfgs"},
    "sgd with mae": {"loss": "mae", "optimizer": "sgd", "epochs": 20},
    "one row dropped of two": {"data": {"x": [1.0, None], "y": [1.0, 2.0]}, "missing": "drop"},
    "profile intervals": {"confidence_interval": {"method": "profile"}},
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_answered_honestly(name: str) -> None:
    answer = fit(**{"data": DATA, **ODD[name]})
    severities = {diagnostic.severity for diagnostic in answer.diagnostics}
    verdict = "doubtful" if "warning" in severities else "trustworthy"
    assert answer.verdict == ("untrustworthy" if "error" in severities else verdict)
    assert answer.trustworthy == (answer.verdict == "trustworthy")
    statistics = answer.statistics
    if statistics.stderr is None:
        assert statistics.covariance_reason
    else:
        assert all(value == value for value in statistics.stderr.values()), "a NaN standard error"
    answer.model_dump_json()
    if not all(abs(v) < float("inf") for v in [answer.loss, *answer.params.values()]):
        assert answer.verdict == "untrustworthy"
