"""Where a formula says that its params lie, and in which form they are told."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from service.engine.problem import Problem
from service.engine.start.canonical import canonical
from service.engine.start.ranges import Range, drawn, ranges
from service.engine.start.search import screen
from tests.engine.builders import problem

X = np.linspace(0.0, 10.0, 41)
PEAK = "y = h*exp(-((x - m)/s)**2/2) + c"
SINE = "y = c + a*sin(2*pi*f*x + p)"
TWO = "y = h1*exp(-(x - m1)**2) + h2*exp(-(x - m2)**2)"


def posed(text: str, x: np.ndarray, names: str, y: np.ndarray | None = None) -> Problem:
    target = np.cos(X) + 2 if y is None else y
    return problem(text, {"x": x.tolist(), "y": target.tolist()}, dict.fromkeys(names.split(), 1.0))


def found(text: str, x: np.ndarray, names: str) -> Mapping[str, Range]:
    of = posed(text, x, names)
    return dict(zip(of.params, ranges(of), strict=True))


@pytest.mark.parametrize("unit", [1e-12, 1e-3, 1.0, 1e9])
def test_magnitudes_follow_the_unit_of_the_column(unit: float) -> None:
    shift = math.log10(unit)
    for text, names, powers in (
        ("y = a*exp(-b*x) + c", "a b c", {"b": -1, "a": 0, "c": 0}),
        (PEAK, "h m s c", {"s": 1, "m": 1, "h": 0}),
        ("y = v*x**n/(k**n + x**n)", "v n k", {"k": 1, "n": 0, "v": 0}),
        ("y = a*exp(-exp(l)*x)", "a l", {"l": -1, "a": 0}),
    ):
        here, there = found(text, X, names), found(text, X * unit, names)
        for name, power in powers.items():
            moved = there[name].scale - here[name].scale
            assert moved == pytest.approx(power * shift, abs=0.05 + 0.03 * abs(shift)), (text, name)


def test_constants_of_a_formula_are_allowed_for() -> None:
    told = found("y = d*exp(-e*6.02e23*x/8.31)", X, "d e")
    assert told["e"].scale == pytest.approx(-math.log10(6.02e23 / 8.31 * 5.8), abs=0.3)


def test_a_place_lies_among_the_columns_values() -> None:
    for text in (PEAK, "y = where(x < m, h, c)*s", "y = h/(1 + exp(-(x - m)/s)) + c"):
        told = found(text, X + 6558, "h m s c")["m"]
        assert told.places is not None
        assert told.places.min() == pytest.approx(6558)
        values = drawn(told, posed(text, X + 6558, "h m s c"), 200, np.random.default_rng(0))
        assert np.mean((values >= 6557) & (values <= 6569)) > 0.6
    assert found("y = h*exp(-m*x) + s*c", X, "h m s c")["m"].places is None


def test_a_frequency_is_below_nyquists_and_a_phase_within_a_turn() -> None:
    told = found(SINE, X, "c a f p")
    assert told["f"].frequency is not None
    low, middle, high, power = told["f"].frequency
    assert middle == pytest.approx(2.0)
    assert power == 1
    assert high == pytest.approx(middle)
    assert 0 < low < 0.1
    assert told["p"].turn == pytest.approx(2 * math.pi)
    period = found("y = a*cos(2*pi*x/P + p)", X, "a P p")["P"].frequency
    assert period is not None
    assert period[3] == -1


def told(
    text: str, names: str, truth: Mapping[str, float], given: Mapping[str, float]
) -> dict[str, float]:
    """The canonical form of params of a problem whose data are those of the truth."""
    of = posed(text, X, names)
    theta = torch.tensor([truth[name] for name in of.params], dtype=torch.float64)
    y = of.formula.bind({"x": torch.from_numpy(X)}, len(X), theta).predict(theta)
    of = posed(text, X, names, y.numpy() + 0.1 * np.sin(7 * X))
    start = torch.tensor([given[name] for name in of.params], dtype=torch.float64)
    made = canonical(of, start, ranges(of), tuple(range(len(of.params))))
    return dict(zip(of.params, made.tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "names", "truth", "given"),
    [
        (PEAK, "h m s c", {"h": 2, "m": 4, "s": 1.5, "c": 0.3}, {"s": -1.5}),
        (SINE, "c a f p", {"c": 1, "a": 2, "f": 0.3, "p": 0.4}, {"p": 0.4 - 4 * math.pi}),
        (SINE, "c a f p", {"c": 1, "a": 2, "f": 0.3, "p": 0.4}, {"a": -2, "p": 0.4 - math.pi}),
        (
            TWO, "h1 m1 h2 m2", {"h1": 2, "m1": 3, "h2": 1, "m2": 7},
            {"h1": 1, "m1": 7, "h2": 2, "m2": 3},
        ),
        (
            "y = d + (a - d)/(1 + exp(k*(x - m)))", "d a k m",
            {"d": 1, "a": 3, "k": 2, "m": 5}, {"d": 3, "a": 1, "k": -2},
        ),
    ],
)  # fmt: skip
def test_params_that_predict_the_same_have_one_form(
    text: str, names: str, truth: dict[str, float], given: dict[str, float]
) -> None:
    made = told(text, names, truth, {**truth, **given})
    assert made == pytest.approx(truth, rel=1e-9)


def test_what_predicts_otherwise_is_left_alone() -> None:
    truth = {"a": -2.0, "b": -0.5, "c": 1.0}
    assert told("y = a*exp(b*x) + c", "a b c", truth, truth) == pytest.approx(truth)


@pytest.mark.parametrize(
    "text", ["y = a - sqrt(x + c)", "y = (x + a)/(c + x)", "y = min(min(1e20/x, c*2), a)"]
)
def test_what_overflows_on_the_way_is_no_fault(text: str) -> None:
    """Columns of 1e150, of which squares and differences are infinite: warnings are errors here."""
    of = posed(text, 1e150 * X, "a c", 1e160 * np.cos(X))
    search = screen(of, (0, 1), 0)
    assert search.waiting.shape[1] == 2
