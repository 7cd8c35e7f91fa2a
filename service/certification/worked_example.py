"""The worked example: an unlabelled thermometer, by gradient descent in float32 and exactly.

Of each epoch its table has the loss and the gradient before the update, and the params after it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from typing import Any

from service.certification.agreement import digits_printed
from service.certification.case import Case, Figure, Route, Source, read

MODEL = "t_c = w * t_u + b"
SOURCE = Source("Descent's worked example, an unlabelled thermometer")
SINGLE = 6.0
"""Digits that must agree where float32 leaves the others to the order of operations."""
_FEW = 3
"""Digits below which a figure of the table says little: gradients near zero, in four decimals."""
_LARGE = 1e5
_WORDS = {"nan": "NaN", "inf": "Infinity"}
_COLUMNS = {
    "loss": "loss",
    "w": "params/w",
    "b": "params/b",
    "grad_w": "gradient/w",
    "grad_b": "gradient/b",
}


@cache
def table() -> Mapping[str, Any]:
    """The worked example, with its numbers as they are printed."""
    found: Mapping[str, Any] = read("thermometer.json")
    return found


@cache
def data() -> dict[str, list[float]]:
    """The readings, and the temperatures in degrees Celsius."""
    return {name: [float(v) for v in column] for name, column in table()["data"].items()}


def worked_cases() -> list[Case]:
    """The start, each run of gradient descent, its limits, and the exact fit."""
    exact = table()["exact"]
    return [
        *_start(),
        *map(_run, table()["runs"], table()["final_params"]),
        _limits("raw", 1.0, exact),
        _limits("scaled", 0.1, exact["scaled_by_0_1"]),
        _exact(),
    ]


def _case(name: str, title: str, route: Route, body: Mapping[str, Any], *of: Figure) -> Case:
    asked = {"model": MODEL, "data": data(), **body}
    return Case(f"thermometer-{name}", f"Thermometer: {title}", SOURCE, route, asked, of)


def _start() -> Iterator[Case]:
    printed = table()["at_start"]
    start = {name: float(text) for name, text in table()["start"].items()}
    delta = float(printed["numeric_gradient_delta"])
    predicted = [Figure(f"/predictions/{i}", v) for i, v in enumerate(printed["predictions"])]
    single = {"params": start, "dtype": "float32"}
    yield _case("predictions", "predictions at the start", "/predict", single, *predicted)
    loss = _single("/loss", printed["loss"])
    yield _case("loss", "loss at the start", "/loss", single, loss)
    slope = [Figure(f"/gradient/{n}", _decimal(v)) for n, v in printed["gradient"].items()]
    numeric = {"method": "numeric", "delta": delta}
    methods: Mapping[str, Any] = {"analytic": "analytic", "autograd": "autograd"}
    for name, method in {**methods, "numeric": numeric}.items():
        body = {"params": start, "gradient": method}
        yield _case(f"gradient-{name}", f"{name} gradient at the start", "/gradient", body, *slope)
    after = printed["after_one_numeric_step_at_learning_rate_0_01"].items()
    yield _case(
        "numeric-step",
        "one step by the numeric gradient",
        "/fit",
        {
            "params": start,
            "optimizer": {"name": "sgd", "learning_rate": 0.01, "gradient": numeric},
            "epochs": 1,
        },
        *(Figure(f"/params/{name}", text) for name, text in after),
    )


def _run(run: Mapping[str, Any], final: Mapping[str, str] | None) -> Case:
    scale, rate = float(run["scale"]), float(run["learning_rate"])
    epochs = [int(row["epoch"]) for row in run["rows"]]
    every = reduce(math.gcd, epochs)
    start = table()["start"]
    # The history has the first epoch too.
    places = [epoch // every - (every == 1) for epoch in epochs]
    figures = [
        Figure(f"/history/epoch/{place}", row["epoch"])
        for place, row in zip(places, run["rows"], strict=True)
    ]
    for place, row in zip(places, run["rows"], strict=True):
        of_row = [_of_row(f"/history/{of}/{place}", row[n], n) for n, of in _COLUMNS.items()]
        figures += [each for each in of_row if digits_printed(each.text) >= _FEW]
    figures += [_single(f"/params/{n}", _decimal(text)) for n, text in (final or {}).items()]
    return _case(
        f"sgd-{run['epochs']}-{run['learning_rate']}-{run['scale']}",
        run["name"],
        "/fit",
        {
            # The table's start is for scaled inputs; a request's is in raw units.
            "params": {"w": float(start["w"]) * scale, "b": float(start["b"])},
            "optimizer": {"name": "sgd", "learning_rate": rate},
            "scaling": {"t_u": {"scale": scale}},
            "epochs": int(run["epochs"]),
            "record_every": every,
            "on_divergence": "continue",
            "dtype": "float32",
        },
        *figures,
    )


def _limits(name: str, scale: float, printed: Mapping[str, str]) -> Case:
    """Of the learning rate, and the condition number, printed to three digits."""
    return _case(
        f"limits-{name}",
        f"limits of gradient descent, {name} inputs",
        "/fit",
        {
            "optimizer": {"name": "sgd", "learning_rate": 1e-4},
            "scaling": {"t_u": {"scale": scale}},
            "epochs": 1,
        },
        Figure("/curvature/learning_rate_limit", printed["learning_rate_limit"]),
        Figure("/curvature/condition_number", f"{float(printed['condition_number']):.2e}"),
    )


def _exact() -> Case:
    printed = table()["exact"]
    return _case(
        "exact",
        "the exact fit",
        "/fit",
        {},
        *(Figure(f"/params/{name}", printed[name]) for name in ("w", "b")),
        *(Figure(f"/statistics/stderr/{n}", text) for n, text in printed["stderr"].items()),
        Figure("/statistics/r_squared", printed["r_squared"]),
        Figure("/loss", printed["mse"]),
    )


def _of_row(at: str, text: str, name: str) -> Figure:
    """A figure of the table; a loss has all the digits of its float32."""
    if text in _WORDS:
        return Figure(at, _WORDS[text])
    return _single(at, f"{float(text):.6e}" if name == "loss" else _decimal(text))


def _decimal(text: str) -> str:
    """With the four decimals that it was printed with."""
    value = float(text)
    return f"{value:.4e}" if abs(value) > _LARGE else f"{value:.4f}"


def _single(at: str, text: str) -> Figure:
    return Figure(at, text, SINGLE if digits_printed(text) > SINGLE else None)
