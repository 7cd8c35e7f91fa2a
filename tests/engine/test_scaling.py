"""Scaled inputs, and the way back to raw units: exact, or not claimed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from service.engine.formula import read_formula
from service.engine.scaling import METHODS, Scale, Scaling, inverse, min_max, standardize, unscale
from service.errors import InvalidData
from tests.engine.builders import predictions

pytestmark = pytest.mark.usefixtures("device")

X = torch.linspace(1.0, 9.0, 17, dtype=torch.float64)
SHIFT = Scale(0.25, -0.6)


def test_standardize_gives_mean_0_and_spread_1() -> None:
    column = standardize("x", X).apply(X)
    assert float(column.mean()) == pytest.approx(0.0, abs=1e-15)
    assert float(column.std(correction=0)) == pytest.approx(1.0, rel=1e-15)


def test_min_max_gives_0_to_1() -> None:
    column = min_max("x", X).apply(X)
    assert (float(column.min()), float(column.max())) == pytest.approx((0.0, 1.0), abs=1e-15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 3.0, 0.1, 1e300])
def test_a_constant_column_cannot_be_scaled(method: str, value: float) -> None:
    column = torch.full((7,), value, dtype=torch.float64)
    with pytest.raises(InvalidData, match="column 'load' is constant"):
        METHODS[method]("load", column)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ends", [(-1.7e308, 1.7e308), (0.0, 5e-324), (1.7e308, 1.6e308)])
def test_a_scaling_that_would_overflow_is_refused(method: str, ends: tuple[float, float]) -> None:
    """Or, where it need not overflow, is one that can be undone."""
    column = torch.tensor([*ends, ends[0] / 2 + ends[1] / 2], dtype=torch.float64)
    try:
        undone = inverse({"x": METHODS[method]("x", column)})["x"]
    except InvalidData:
        return
    assert math.isfinite(undone.scale)
    assert math.isfinite(undone.offset)


EXACT: dict[str, tuple[str, dict[str, float], Scale, dict[str, float]]] = {
    "a line": ("w*x + b", {"w": 2.0, "b": 1.0}, SHIFT, {"w": 2 * 0.25, "b": 1 - 2 * 0.6}),
    "a line, mirrored": ("w*x + b", {"w": 2.0, "b": 1.0}, Scale(-1.0, 3.0), {"w": -2.0, "b": 7.0}),
    "a parabola": (
        "c0 + c1*x + c2*x**2",
        {"c0": 1.0, "c1": -2.0, "c2": 3.0},
        SHIFT,
        {"c0": 1 + 1.2 + 3 * 0.36, "c1": -0.5 - 3 * 2 * 0.25 * 0.6, "c2": 3 * 0.0625},
    ),
    "a proportion": ("w*x", {"w": 2.0}, Scale(0.1, 0.0), {"w": 0.2}),
    "a decay": (
        "a*exp(-k*x) + c",
        {"a": 2.0, "k": 1.5, "c": 0.3},
        SHIFT,
        {"a": 2 * math.exp(1.5 * 0.6), "k": 1.5 * 0.25, "c": 0.3},
    ),
    "a peak": (
        "h*exp(-(x - m)**2/(2*s**2)) + c",
        {"h": 3.0, "m": 0.4, "s": 0.5, "c": 0.1},
        SHIFT,
        {"h": 3.0, "m": (0.4 + 0.6) / 0.25, "s": 2.0, "c": 0.1},
    ),
    "a sine": (
        "a*sin(w*x + p) + c",
        {"a": 1.5, "w": 2.0, "p": 0.3, "c": 4.0},
        SHIFT,
        {"a": 1.5, "w": 0.5, "p": 0.3 - 1.2, "c": 4.0},
    ),
    "a logistic": (
        "a/(1 + exp(-k*(x - m)))",
        {"a": 4.0, "k": 3.0, "m": 0.5},
        SHIFT,
        {"a": 4.0, "k": 0.75, "m": 4.4},
    ),
    "a power, stretched": (
        "a*x**b",
        {"a": 2.0, "b": 1.3},
        Scale(0.1),
        {"a": 2 * 0.1**1.3, "b": 1.3},
    ),
    "a logarithm, stretched": (
        "a*log(x) + c",
        {"a": 2.0, "c": 1.0},
        Scale(0.1),
        {"a": 2.0, "c": 1 + 2 * math.log(0.1)},
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_way_back_is_exact(name: str) -> None:
    """To 1e-9: it is followed by Newton's method from the params themselves."""
    text, scaled, scale, raw = EXACT[name]
    model = read_formula(text, frozenset({"x", "y"}))
    theta = torch.tensor([scaled[p] for p in model.params], dtype=torch.float64)
    found = unscale(model, {"x": X}, {"x": scale}, theta)
    assert found is not None
    values = dict(zip(model.params, found.values.tolist(), strict=True))
    assert values == pytest.approx(raw, rel=1e-9, abs=1e-9)
    x = X.tolist()
    mine = predictions(text, {"x": scale.apply(X).tolist()}, **scaled)
    assert predictions(text, {"x": x}, **values) == pytest.approx(mine, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("name", ["a line", "a parabola", "a decay", "a power, stretched"])
def test_the_map_is_the_derivative_of_the_way_back(name: str) -> None:
    text, scaled, scale, _ = EXACT[name]
    model = read_formula(text, frozenset({"x", "y"}))
    theta = torch.tensor([scaled[p] for p in model.params], dtype=torch.float64)
    found = unscale(model, {"x": X}, {"x": scale}, theta)
    assert found is not None
    for i in range(len(theta)):
        step = torch.zeros_like(theta)
        step[i] = 1e-5
        above, below = (unscale(model, {"x": X}, {"x": scale}, theta + s) for s in (step, -step))
        assert above is not None
        assert below is not None
        slope = (above.values - below.values) / 2e-5
        assert found.map[:, i].tolist() == pytest.approx(slope.tolist(), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "scaled", "scale"),
    [
        ("a*log(x) + c*x", {"a": 2.0, "c": 1.0}, Scale(0.1)),
        ("a*log(x) + c", {"a": 2.0, "c": 1.0}, Scale(0.1, 0.5)),
        ("a*x**b", {"a": 2.0, "b": 1.3}, Scale(0.1, 0.5)),
        ("w*x", {"w": 2.0}, Scale(1.0, 0.5)),
        ("a*exp(-k*x)", {"a": 2.0, "k": 1.0}, Scale(math.nan)),
        ("a*sin(x) + c", {"a": 2.0, "c": 1.0}, Scale(0.5)),
        ("c0 + c2*x**2", {"c0": 1.0, "c2": 1.0}, Scale(1.0, 1.0)),
        ("a/x + b", {"a": 1.0, "b": 1.0}, Scale(1.0, 1.0)),
    ],
)
def test_where_there_is_no_way_back_none_is_claimed(
    text: str, scaled: dict[str, float], scale: Scale
) -> None:
    model = read_formula(text, frozenset({"x", "y"}))
    theta = torch.tensor([scaled[p] for p in model.params], dtype=torch.float64)
    assert unscale(model, {"x": X}, {"x": scale}, theta) is None


def test_params_that_are_no_numbers_have_no_way_back() -> None:
    model = read_formula("w*x + b", frozenset({"x", "y"}))
    theta = torch.tensor([math.nan, 1.0], dtype=torch.float64)
    assert unscale(model, {"x": X}, {"x": SHIFT}, theta) is None


def test_several_inputs_go_back_together() -> None:
    model = read_formula("a + b*x + c*z", frozenset({"x", "z", "y"}))
    theta = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    scaling: Scaling = {"x": Scale(0.5, 1.0), "z": Scale(10.0, -2.0)}
    rng = np.random.default_rng(0)
    raw = {"x": X, "z": torch.from_numpy(rng.normal(size=17))}
    found = unscale(model, raw, scaling, theta)
    assert found is not None
    assert found.values.tolist() == pytest.approx([1 + 2 - 6, 1.0, 30.0], rel=1e-12)


def test_a_fixed_params_way_back_is_not_a_constraint() -> None:
    """With x' = x/10 the thermometer's w, b go to w/10, b."""
    model = read_formula("t_c = w * t_u + b", frozenset({"t_u", "t_c"}))
    theta = torch.tensor([5.3671, -17.3012], dtype=torch.float64)
    found = unscale(model, {"t_u": X * 10}, {"t_u": Scale(0.1)}, theta)
    assert found is not None
    assert found.values.tolist() == pytest.approx([0.53671, -17.3012], rel=1e-13)
