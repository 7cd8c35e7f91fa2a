"""Scaled inputs: what is given of params is in raw units, as it is without scaling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidRequest
from service.fitting import loss
from service.schemas.compute import LossRequest
from tests import thermometer
from tests.fitting.fits import SETTINGS, codes, cured, fit, plan

X = np.linspace(5.0, 14.0, 40)
NOISE = np.random.default_rng(14).normal(size=X.size)

Values = dict[str, float]
CLOSED: dict[str, tuple[str, Values, Values]] = {
    "a line": ("w*x + b", {"w": 2.0, "b": -3.0}, {"w": 1.0, "b": 0.0}),
    "a parabola": (
        "c0 + c1*x + c2*x**2",
        {"c0": 1.0, "c1": -2.0, "c2": 0.3},
        {"c0": 0.0, "c1": 1.0, "c2": 1.0},
    ),
    "a decay": (
        "a*exp(-k*x) + c",
        {"a": 20.0, "k": 0.4, "c": 1.0},
        {"a": 10.0, "k": 0.2, "c": 0.0},
    ),
    "a decay from amplitude 0": (
        "a*exp(-k*x) + c",
        {"a": 20.0, "k": 0.4, "c": 1.0},
        {"a": 0.0, "k": 0.3, "c": 0.0},
    ),
    "a decay by its logarithm": (
        "exp(p - k*x)",
        {"p": 3.0, "k": 0.2},
        {"p": 2.0, "k": 0.1},
    ),
    "a peak": (
        "h*exp(-(x - m)**2/(2*s**2)) + c",
        {"h": 3.0, "m": 9.0, "s": 1.3, "c": 0.2},
        {"h": 1.0, "m": 8.0, "s": 2.0, "c": 0.0},
    ),
    "a logistic": (
        "a/(1 + exp(-k*(x - m)))",
        {"a": 4.0, "k": 1.5, "m": 9.0},
        {"a": 3.0, "k": 1.0, "m": 8.0},
    ),
    "a sine": (
        "a*sin(w*x + p) + c",
        {"a": 1.5, "w": 1.1, "p": 0.3, "c": 4.0},
        {"a": 1.0, "w": 1.05, "p": 0.5, "c": 3.0},
    ),
}
"""Formula, truth and start."""


def of(model: str, truth: Values, **more: Any) -> dict[str, Any]:
    """A request with data of that truth."""
    names = {**truth, "x": X, "exp": np.exp, "sin": np.sin, "log": np.log}
    y = CURVES[model](names) + 0.01 * NOISE
    return {"model": model, "data": {"x": X.tolist(), "y": y.tolist()}, **more}


def loss_of(**asked: Any) -> float:
    return loss(LossRequest.model_validate(asked), SETTINGS).loss


CURVES: dict[str, Any] = {
    "w*x + b": lambda n: n["w"] * X + n["b"],
    "c0 + c1*x + c2*x**2": lambda n: n["c0"] + n["c1"] * X + n["c2"] * X**2,
    "a*exp(-k*x) + c": lambda n: n["a"] * np.exp(-n["k"] * X) + n["c"],
    "exp(p - k*x)": lambda n: np.exp(n["p"] - n["k"] * X),
    "h*exp(-(x - m)**2/(2*s**2)) + c": lambda n: (
        n["h"] * np.exp(-((X - n["m"]) ** 2) / (2 * n["s"] ** 2)) + n["c"]
    ),
    "a/(1 + exp(-k*(x - m)))": lambda n: n["a"] / (1 + np.exp(-n["k"] * (X - n["m"]))),
    "a*sin(w*x + p) + c": lambda n: n["a"] * np.sin(n["w"] * X + n["p"]) + n["c"],
    "v*x/(k + x)": lambda n: n["v"] * X / (n["k"] + X),
    "a*x**b": lambda n: n["a"] * X ** n["b"],
}


@pytest.mark.parametrize("name", CLOSED)
@settings(max_examples=8, deadline=None)
@given(power=st.floats(-3, 3), shift=st.floats(-10, 10))
def test_a_fit_of_scaled_inputs_from_the_same_start_is_the_same(
    name: str, power: float, shift: float
) -> None:
    model, truth, start = CLOSED[name]
    request = of(model, truth, params=start, optimizer="levenberg_marquardt", challenge=False)
    scaling = {"x": {"scale": 10**power, "offset": 10**power * shift}}
    there = plan({**request, "scaling": scaling}).task.problem
    at = dict(zip(there.params, there.initial.tolist(), strict=True))
    asked = {"model": model, "data": request["data"]}
    here = loss_of(**asked, params=start)
    assert loss_of(**asked, params=at, scaling=scaling) == pytest.approx(here, rel=1e-6)
    raw, scaled = fit(**request), fit(**request, scaling=scaling)
    assert scaled.loss == pytest.approx(raw.loss, rel=1e-6)
    assert scaled.params_unscaled is not None
    if "amplitude 0" not in name:  # from there a decay may as well end as a growth of another form
        assert scaled.params_unscaled.values == pytest.approx(raw.params, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("method", ["standardize", "min_max"])
@pytest.mark.parametrize(
    ("model", "truth"), [("v*x/(k + x)", {"v": 4.0, "k": 6.0}), ("a*x**b", {"a": 2.0, "b": 1.3})]
)
def test_where_the_formula_is_not_closed_nothing_is_taken_over(
    model: str, truth: Values, method: str
) -> None:
    request = of(model, truth, scaling=method)
    one = next(iter(truth))
    for params in (truth, {one: {"min": 0.0}}, {one: {"value": 1.0, "fixed": True}}):
        with pytest.raises(InvalidRequest, match="give the same predictions") as refused:
            fit(**request, params=params)
        assert refused.value.errors[0].pointer == f"/params/{one}"
        assert '"scaling": {}' in str(refused.value)
    assert fit(**request).params_unscaled is None
    raw = fit(**of(model, truth, params=truth))
    stretched = fit(**of(model, truth, params=truth, scaling={"x": {"scale": 0.1}}))
    assert stretched.params_unscaled is not None
    assert stretched.params_unscaled.values == pytest.approx(raw.params, rel=1e-6)


Case = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]
STANDARD = {"x": {"scale": 0.5, "offset": -5.0}}
TAKEN: dict[str, Case] = {
    "a place and a width": (
        "a peak",
        STANDARD,
        {"m": {"value": 8, "min": 6, "max": 12}, "s": {"min": 0, "max": 4}, "h": 1},
        {"m": (-1.0, -2.0, 1.0), "s": (1.0, 0.0, 2.0), "h": (1.0, -math.inf, math.inf)},
    ),
    "a rate": (
        "a decay",
        STANDARD,
        {"k": {"value": 0.5, "min": 0}},
        {"k": (1.0, 0.0, math.inf)},
    ),
    "a fixed level": (
        "a decay",
        STANDARD,
        {"c": {"value": 0.5, "fixed": True}},
        {"c": (0.5, -math.inf, math.inf)},
    ),
    "both fixed": (
        "a line",
        STANDARD,
        {"w": {"value": 2, "fixed": True}, "b": {"value": 1, "fixed": True}},
        {"w": (4.0, -math.inf, math.inf), "b": (21.0, -math.inf, math.inf)},
    ),
    "no offset": (
        "a line",
        {"x": {"scale": 0.5}},
        {"w": {"min": 0, "max": 3}, "b": {"value": -1, "min": -2}},
        {"w": (1.0, 0.0, 6.0), "b": (-1.0, -2.0, math.inf)},
    ),
    "mirrored": (
        "a line",
        {"x": {"scale": -0.5}},
        {"w": {"value": 1, "min": -1, "max": 3}},
        {"w": (-2.0, -6.0, 2.0)},
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_given_is_taken_over(name: str) -> None:
    curve, scaling, params, due = TAKEN[name]
    model, truth, _ = CLOSED[curve]
    free_one = {"optimizer": "levenberg_marquardt"}
    there = plan(of(model, truth, params=params, scaling=scaling, **free_one)).task.problem
    found = {
        name: (float(there.initial[i]), *there.limits[:, i].tolist())
        for i, name in enumerate(there.params)
        if name in due
    }
    for param, numbers in due.items():
        assert found[param] == pytest.approx(numbers, rel=1e-9), param
        exact = [value for value in numbers if value in (0.0, math.inf, -math.inf)]
        assert [value for value in found[param] if value in (0.0, math.inf, -math.inf)] == exact


REFUSED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a value whose partner is not given": ("a line", {"b": 1.0}, "b", "also depends on w; give w"),
    "a fixed value that depends on a free one": (
        "a line",
        {"w": 1.0, "b": {"value": 0.0, "fixed": True}},
        "b",
        "cannot be fixed.*also depends on w; fix w",
    ),
    "a limit on a mixture": (
        "a line",
        {"w": 1.0, "b": {"value": 0.0, "min": -5.0}},
        "b",
        "bounds of 'b' .* also depends on w; omit them",
    ),
    "a limit on an amplitude that depends on a rate": (
        "a decay",
        {"a": {"min": 0.0}},
        "a",
        "bounds of 'a' .* also depends on k",
    ),
    "the value of such an amplitude": ("a decay", {"a": 1.0, "c": 0.0}, "a", "also depends on k"),
    "a phase without its frequency": ("a sine", {"p": 1.0}, "p", "also depends on w"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_over_is_refused(name: str) -> None:
    curve, params, where, why = REFUSED[name]
    model, truth, _ = CLOSED[curve]
    with pytest.raises(InvalidRequest, match=why) as refused:
        plan(of(model, truth, params=params, scaling="standardize"))
    assert refused.value.errors[0].pointer == f"/params/{where}"


def test_a_negative_scale_is_refused_as_such() -> None:
    """A decay is closed under it, but the way there is not looked for."""
    model, truth, start = CLOSED["a decay"]
    with pytest.raises(
        InvalidRequest, match="under a negative scale only formulas that are linear"
    ):
        plan(of(model, truth, params=start, scaling={"x": {"scale": -2.0}}))


def test_scaling_by_nothing_takes_anything_over() -> None:
    model, truth, _ = CLOSED["a decay"]
    params = {"a": {"min": 0.0}, "c": {"value": 1.0, "fixed": True}}
    request = of(model, truth, params=params)
    plain, same = fit(**request), fit(**request, scaling={"x": {}})
    assert same.params == plain.params


def test_a_network_goes_on_from_its_raw_params() -> None:
    y = np.sin(X / 2)
    data = {"x": X.tolist(), "z": (X**2).tolist(), "y": y.tolist()}
    request = {"model": {"name": "mlp", "hidden": [3]}, "data": data, "epochs": 20}
    first = fit(**request)
    assert first.params_unscaled is not None
    again = fit(**request, params=first.params_unscaled.values)
    assert again.history.loss[0] == pytest.approx(first.loss, rel=1e-9)
    scaling = {"x": {"scale": 2.0, "offset": 1.0}, "z": {"scale": 0.1}}
    other = fit(**request, params=first.params_unscaled.values, scaling=scaling)
    assert other.history.loss[0] == pytest.approx(first.loss, rel=1e-9)
    with pytest.raises(InvalidRequest, match="also depends on w1_1_1, w1_1_2") as refused:
        fit(**request, params={"b1_1": 0.0})
    assert refused.value.errors[0].pointer == "/params/b1_1"


SGD = {"name": "sgd", "learning_rate": 1e-4}
THERMOMETER: dict[str, Any] = {
    "model": thermometer.MODEL,
    "data": thermometer.DATA,
    "params": thermometer.START,
    "optimizer": SGD,
    "epochs": 100,
}


def test_the_cure_of_a_poor_scale_leaves_the_start_where_it_is() -> None:
    before, after = cured(THERMOMETER, "gradient_imbalance")
    assert after.history.loss[0] == pytest.approx(before.history.loss[0], rel=1e-12)


@pytest.mark.parametrize(
    "params", [{"w": 1.0, "b": {"value": 0.0, "min": -50.0}}, {"b": 0.0}], ids=["a limit", "one"]
)
def test_inputs_are_not_standardized_where_the_request_cannot_have_it(params: Any) -> None:
    before, after = cured({**THERMOMETER, "params": params}, "gradient_imbalance")
    said = next(d for d in before.diagnostics if d.code == "gradient_imbalance")
    assert said.suggestion == {"optimizer": "auto"}
    assert after.trustworthy


def test_a_curve_that_is_not_closed_is_not_cured_by_scaling() -> None:
    x = X * 1e4
    data = {"x": x.tolist(), "y": (3 * x / (5e4 + x)).tolist()}
    request = {
        "model": "v*x/(k + x)",
        "data": data,
        "params": {"v": 1.0, "k": 1e4},
        "optimizer": {"name": "adam"},
        "epochs": 50,
    }
    before, after = cured(request, "poor_scale")
    said = next(d for d in before.diagnostics if d.code == "poor_scale")
    assert said.suggestion == {"optimizer": "auto"}
    assert "poor_scale" not in codes(after)


def test_what_was_guessed_is_said_in_raw_units() -> None:
    model, truth, _ = CLOSED["a peak"]
    found = fit(**of(model, truth, scaling="standardize"))
    (said,) = [d.message for d in found.diagnostics if d.code == "guessed_start"]
    values = dict(each.strip(" .").split("=") for each in said.split(": ")[1].split(","))
    assert float(values["m"]) == pytest.approx(9.0, abs=0.5)
