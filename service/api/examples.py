"""The examples of openapi.json. A test sends each of them, so they work."""

from __future__ import annotations

from typing import Any

T_U = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]
T_C = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0]

_THERMOMETER: dict[str, Any] = {"model": "t_c = w * t_u + b", "data": {"t_u": T_U, "t_c": T_C}}
_AT_START: dict[str, Any] = {**_THERMOMETER, "params": {"w": 1.0, "b": 0.0}}

Examples = dict[str, dict[str, Any]]


def _example(summary: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "value": value}


READ: Examples = {
    "thermometer": _example(
        "Columns with their units",
        {"data": {"t_u": T_U, "t_c": T_C}, "units": {"t_c": "°C"}},
    ),
}

FIT: Examples = {
    "smallest": _example(
        "A line through five points",
        {"data": {"x": [1, 2, 3, 4, 5], "y": [2.1, 3.9, 6.2, 7.8, 10.1]}},
    ),
    "thermometer": _example("An unlabelled thermometer against degrees Celsius", _THERMOMETER),
    "gradient_descent": _example(
        "The same by plain gradient descent, its input scaled so that it converges",
        {
            **_AT_START,
            "params": {"w": 0.1, "b": 0.0},
            "optimizer": {"name": "sgd", "learning_rate": 0.01},
            "scaling": {"t_u": {"scale": 0.1}},
            "epochs": 5000,
            "record_every": 500,
        },
    ),
    "background": _example(
        "In the background: the answer is a job", {**_THERMOMETER, "background": True}
    ),
}

_KINETICS: dict[str, Any] = {
    "conc": [0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.1, 1.1],
    "rate": [76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200],
}

COMPARE: Examples = {
    "nested": _example(
        "Michaelis and Menten's rate against Hill's, with an F test and a test for lack of fit",
        {
            "data": _KINETICS,
            "models": ["michaelis_menten", "hill"],
            "tests": ["f", "lack_of_fit"],
        },
    ),
    "curves": _example(
        "Do two curves differ, and in what? Km shared, or one curve, against separate curves",
        {
            "data": {
                "conc": [0.06, 0.11, 0.22, 0.56, 1.1, 0.06, 0.11, 0.22, 0.56, 1.1],
                "rate": [97, 123, 159, 191, 207, 84, 98, 131, 144, 160],
                "state": ["treated"] * 5 + ["untreated"] * 5,
            },
            "models": ["rate = Vm*conc/(Km + conc)"],
            "group_by": "state",
            "null": [{"shared": ["Km"]}, {"shared": "all"}],
            "alternative": {"shared": []},
        },
    ),
    "catalogue": _example(
        "Every family of the catalogue, in the background", {"data": _KINETICS, "background": True}
    ),
    "fixed": _example(
        "A slope that is fixed against one that is fitted",
        {
            "data": {"x": [1, 2, 3, 4, 5, 6], "y": [1.1, 2.9, 5.2, 6.8, 9.1, 10.8]},
            "models": [
                {
                    "label": "slope 2",
                    "model": "y = a + b*x",
                    "params": {"b": {"value": 2, "fixed": True}},
                },
                {"label": "free slope", "model": "y = a + b*x"},
            ],
        },
    ),
}

PREDICT: Examples = {
    "thermometer": _example(
        "Degrees Celsius of two readings",
        {
            "model": "t_c = w * t_u + b",
            "params": {"w": 0.53671, "b": -17.3012},
            "data": {"t_u": [35.7, 68.4]},
        },
    ),
}

INVERT: Examples = {
    "calibration": _example(
        "Two samples, of two readings each, from a calibration line",
        {
            "model": "signal = a + b*conc",
            "params": {"a": 0.12, "b": 1.98},
            "covariance": {"a": {"a": 0.0024, "b": -0.0006}, "b": {"a": -0.0006, "b": 0.0002}},
            "residual_std": 0.0632,
            "degrees_of_freedom": 3,
            "input_range": {"conc": [1, 5]},
            "data": {"sample": ["A", "A", "B", "B"], "signal": [4.1, 4.2, 7.9, 8.1]},
        },
    ),
}

LOSS: Examples = {
    "thermometer": _example("The loss before the first step", _AT_START),
    "residuals": _example("With the residuals", {**_AT_START, "residuals": True}),
    "surface": _example(
        "Over a grid of two params",
        {
            **_AT_START,
            "surface": {
                "w": {"min": 0.0, "max": 1.0, "steps": 5},
                "b": {"min": -30.0, "max": 0.0, "steps": 4},
            },
        },
    ),
}

GRADIENT: Examples = {
    "thermometer": _example("The gradient before the first step", _AT_START),
    "numeric": _example(
        "By central differences", {**_AT_START, "gradient": {"method": "numeric", "delta": 0.1}}
    ),
    "check": _example("All three methods side by side", {**_AT_START, "check": True}),
    "explain": _example("The chain rule, factor by factor", {**_AT_START, "explain": True}),
}

PLOT: Examples = {
    "fit": _example(
        "A line over its data",
        {"view": "fit", **_THERMOMETER, "params": {"w": 0.53671, "b": -17.3012}},
    ),
    "loss": _example(
        "A loss by epoch, in characters",
        {
            "view": "loss",
            "format": "txt",
            "history": {"epoch": [1, 2, 3, 4], "loss": [80.4, 37.6, 30.9, 29.8]},
        },
    ),
    "losses": _example("Squared against absolute loss", {"view": "losses"}),
}
