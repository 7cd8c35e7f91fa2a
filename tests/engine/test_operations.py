"""Every operation's value against math, and its derivatives against central differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.operations import CALLABLE, OPERATIONS
from tests.engine.builders import jacobian, predictions

EULER = 0.57721566490153286

VALUES: dict[str, tuple[Callable[..., float], list[tuple[float, ...]]]] = {
    "exp": (math.exp, [(0.0,), (1.3,), (-700.0,)]),
    "expm1": (math.expm1, [(1e-12,), (2.0,)]),
    "log": (math.log, [(0.1,), (7.0,)]),
    "log1p": (math.log1p, [(1e-12,), (2.0,)]),
    "log10": (math.log10, [(0.1,), (1000.0,)]),
    "log2": (math.log2, [(0.1,), (1024.0,)]),
    "sqrt": (math.sqrt, [(0.0,), (2.0,)]),
    "abs": (abs, [(-3.5,), (0.0,), (2.0,)]),
    "sign": (lambda x: (x > 0) - (x < 0), [(-3.5,), (0.0,), (2.0,)]),
    "sin": (math.sin, [(0.5,), (-20.0,)]),
    "cos": (math.cos, [(0.5,), (-20.0,)]),
    "tan": (math.tan, [(0.5,), (-20.0,)]),
    "asin": (math.asin, [(-0.7,), (1.0,)]),
    "acos": (math.acos, [(-0.7,), (1.0,)]),
    "atan": (math.atan, [(-0.7,), (1e9,)]),
    "atan2": (math.atan2, [(1.0, -2.0), (-1.0, -2.0), (0.0, -1.0), (2.0, 0.0)]),
    "sinh": (math.sinh, [(0.5,), (-20.0,)]),
    "cosh": (math.cosh, [(0.5,), (-20.0,)]),
    "tanh": (math.tanh, [(0.5,), (-200.0,)]),
    "asinh": (math.asinh, [(0.5,), (-20.0,)]),
    "acosh": (math.acosh, [(1.5,), (20.0,)]),
    "atanh": (math.atanh, [(0.5,), (-0.99,)]),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), [(0.5,), (-20.0,), (700.0,)]),
    "softplus": (lambda x: math.log1p(math.exp(x)), [(0.5,), (-20.0,), (700.0,)]),
    "relu": (lambda x: max(x, 0.0), [(0.5,), (0.0,), (-20.0,)]),
    "erf": (math.erf, [(0.5,), (-3.0,)]),
    "erfc": (math.erfc, [(0.5,), (5.0,)]),
    "gamma": (math.gamma, [(0.5,), (5.0,), (-0.5,), (-1.5,), (-2.5,), (30.0,)]),
    "lgamma": (math.lgamma, [(0.5,), (5.0,), (-1.5,), (1e6,)]),
    "digamma": (lambda x: {1.0: -EULER, 0.5: -EULER - 2 * math.log(2)}[x], [(1.0,), (0.5,)]),
    "min": (min, [(1.0, 2.0), (3.0, -2.0)]),
    "max": (max, [(1.0, 2.0), (3.0, -2.0)]),
    "clip": (lambda x, low, high: min(max(x, low), high), [(5.0, 1.0, 3.0), (0.0, 1.0, 3.0)]),
    "step": (lambda x: float(x >= 0), [(-1.0,), (0.0,), (2.0,)]),
}
"""Each function with its meaning by Python's math, and points to compare at."""


def test_every_function_is_compared() -> None:
    assert set(VALUES) == set(CALLABLE) - {"where"}


@pytest.mark.parametrize("name", VALUES)
def test_a_functions_value(name: str) -> None:
    """To 1e-13: torch's double-precision functions are good to a few ulp, lgamma's to 1e-14."""
    meaning, points = VALUES[name]
    for point in points:
        columns = {"uvw"[i]: [value] for i, value in enumerate(point)}
        found = predictions(f"{name}({', '.join(columns)})", columns)[0]
        assert found == pytest.approx(meaning(*point), rel=1e-13, abs=1e-300), point


@pytest.mark.parametrize("name", VALUES)
def test_a_functions_value_on_constants_is_the_same(name: str) -> None:
    """Constants are folded when the text is read."""
    meaning, points = VALUES[name]
    for point in points:
        text = f"{name}({', '.join(repr(value) for value in point)}) + 0*x"
        assert predictions(text, {"x": [1.0]})[0] == pytest.approx(
            meaning(*point), rel=1e-13, abs=1e-300
        )


# Where each function is smooth: the ranges of its arguments, away from kinks and poles.
SMOOTH: dict[str, list[tuple[float, float]]] = {
    **{name: [(-3.0, 3.0)] for name in ("exp", "expm1", "sin", "cos", "atan", "sinh", "cosh")},
    **{name: [(-3.0, 3.0)] for name in ("tanh", "asinh", "sigmoid", "softplus", "erf", "erfc")},
    **{name: [(0.2, 5.0)] for name in ("log", "log10", "log2", "sqrt", "gamma", "lgamma")},
    "digamma": [(0.2, 5.0)],
    "log1p": [(-0.7, 3.0)],
    "abs": [(0.1, 3.0)],
    "sign": [(0.1, 3.0)],
    "step": [(0.1, 3.0)],
    "relu": [(-3.0, -0.1)],
    "tan": [(-1.2, 1.2)],
    "asin": [(-0.9, 0.9)],
    "acos": [(-0.9, 0.9)],
    "atanh": [(-0.9, 0.9)],
    "acosh": [(1.2, 5.0)],
    "atan2": [(-2.0, 2.0), (0.3, 2.0)],
    "min": [(0.1, 1.0), (1.2, 2.0)],
    "max": [(0.1, 1.0), (1.2, 2.0)],
    "clip": [(0.1, 2.9), (-1.0, 0.0), (3.0, 4.0)],
}
ARITHMETIC = {
    "u + v": [(-3.0, 3.0), (-3.0, 3.0)],
    "u - v": [(-3.0, 3.0), (-3.0, 3.0)],
    "u * v": [(-3.0, 3.0), (-3.0, 3.0)],
    "u / v": [(-3.0, 3.0), (0.3, 3.0)],
    "-u": [(-3.0, 3.0)],
    "u**2": [(-3.0, 3.0)],
    "u**3": [(-3.0, 3.0)],
    "u**-1": [(0.3, 3.0)],
    "u**-2.5": [(0.3, 3.0)],
    "u**v": [(0.3, 3.0), (-2.0, 2.0)],
    "2**u": [(-3.0, 3.0)],
    "where(u < 9, u**2, v)": [(-3.0, 3.0), (-3.0, 3.0)],
    "where(u > 9, u**2, exp(v))": [(-3.0, 3.0), (-3.0, 3.0)],
}
TEXTS = {
    **{f"{name}({', '.join('uvw'[: len(at)])})": at for name, at in SMOOTH.items()},
    **ARITHMETIC,
}


def test_every_operation_is_differentiated() -> None:
    assert set(SMOOTH) == set(CALLABLE) - {"where"}


def difference(text: str, x: float, point: dict[str, float], name: str) -> tuple[float, float]:
    """(4·D(h) − D(2h))/3 of central differences, and the size of what it loses to rounding."""

    def at(shift: float) -> float:
        return predictions(text, {"x": [x]}, **{**point, name: point[name] + shift})[0]

    h = 2e-4
    sloped = [(at(step) - at(-step)) / (2 * step) for step in (h, 2 * h)]
    return (4 * sloped[0] - sloped[1]) / 3, 1e-15 * abs(at(0.0)) / h


@pytest.mark.parametrize("text", TEXTS)
def test_derivatives_are_those_of_central_differences(text: str) -> None:
    """To 1e-8 of their size: Richardson's O(h⁴) with h = 2e-4, and rounding 1e-16/h."""

    @given(st.tuples(*(st.floats(low, high) for low, high in TEXTS[text])))
    def holds(values: tuple[float, ...]) -> None:
        point = dict(zip("uvw", values, strict=False))
        exact = jacobian(f"{text} + x", {"x": [1.0]}, **point)
        for name in point:
            numeric, rounding = difference(f"{text} + x", 1.0, point, name)
            assert exact[name][0] == pytest.approx(numeric, rel=1e-8, abs=1e-8 + 20 * rounding)

    holds()


@given(a=st.floats(0.2, 2), b=st.floats(-1.5, 1.5), c=st.floats(0.2, 2), x=st.floats(-1.5, 1.5))
def test_the_chain_rule_through_several_operations(a: float, b: float, c: float, x: float) -> None:
    text = "a*exp(-b*x)*sin(c*x) + log(1 + a**2*x**2)/(1 + exp(-c*x)) + (c*x**2 + a)**b"
    exact = jacobian(text, {"x": [x]}, a=a, b=b, c=c)
    point = {"a": a, "b": b, "c": c}
    for name in point:
        numeric, _ = difference(text, x, point, name)
        assert exact[name][0] == pytest.approx(numeric, rel=1e-8, abs=1e-8)


class TestDelicatePoints:
    """Where a careless rule gives NaN, or the wrong side of a kink."""

    def test_a_power_of_zero(self) -> None:
        """∂(a·xᵇ)/∂b = a·xᵇ·ln x is 0 at x = 0 for b > 0."""
        slopes = jacobian("a*x**b", {"x": [0.0, 1.0]}, safe=True, a=2.0, b=1.5)
        assert slopes == {"a": [0.0, 1.0], "b": [0.0, 0.0]}

    @pytest.mark.parametrize(("b", "slope"), [(1.0, 1.0), (2.0, 0.0), (3.0, 0.0)])
    def test_a_base_of_zero(self, b: float, slope: float) -> None:
        assert jacobian("a**b*x", {"x": [1.0]}, a=0.0, b=b)["a"] == [slope]
        assert jacobian(f"a**{b:g}*x", {"x": [1.0]}, a=0.0)["a"] == [slope]

    @pytest.mark.parametrize("text", ["(-2)**b*x", "a**3*x", "a**-2*x"])
    def test_a_negative_base(self, text: str) -> None:
        model = predictions(text, {"x": [1.0]}, **({"b": 3.0} if "b" in text else {"a": -2.0}))
        assert model[0] == {"(-2)**b*x": -8.0, "a**3*x": -8.0, "a**-2*x": 0.25}[text]
        if "a" in text:
            exact = jacobian(text, {"x": [1.0]}, a=-2.0)["a"][0]
            assert exact == {"a**3*x": 12.0, "a**-2*x": 0.25}[text]

    @pytest.mark.parametrize("text", ["sqrt(a*x)", "(a*x)**0.5", "a*sqrt(x)", "sqrt(x**2*a)"])
    def test_a_root_of_zero(self, text: str) -> None:
        """At x = 0 the prediction is 0 whatever a is."""
        slope = jacobian(text, {"x": [0.0]}, a=4.0)["a"]
        assert slope == [0.0]

    @pytest.mark.parametrize(
        "text",
        [
            "where(x > 0, a*log(x), b)",
            "where(x <= 0, b, a*log(x))",
            "where(x > 0, a*sqrt(x)*log(x), b)",
            "where(x > 0, log(a*x), b)",
            "where(x > 0, a/sqrt(x), b)",
        ],
    )
    def test_a_branch_not_taken_may_be_no_number(self, text: str) -> None:
        slopes = jacobian(text, {"x": [-1.0, 0.0, 1.0]}, a=1.5, b=2.0)
        assert slopes["a"][:2] == [0.0, 0.0]
        assert math.isfinite(slopes["a"][2])
        assert slopes["b"] == [1.0, 1.0, 0.0]

    def test_a_param_in_a_branch_not_taken_may_be_no_number(self) -> None:
        slopes = jacobian(
            "where(x > k, a*sqrt(x - k), b)",
            {"x": [-1.0, 0.0, 1.0]},
            a=1.0,
            b=2.0,
            k=0.0,
        )
        assert slopes == {"k": [0.0, 0.0, -0.5], "a": [0.0, 0.0, 1.0], "b": [1.0, 1.0, 0.0]}
        assert jacobian("where(a > 0, log(a)*x, x*a)", {"x": [2.0]}, a=-1.0) == {"a": [2.0]}

    def test_kinks_take_the_mean_of_both_sides(self) -> None:
        x = {"x": [0.0, 1.0, 2.0]}
        assert jacobian("min(a, x)", x, a=1.0)["a"] == [0.0, 0.5, 1.0]
        assert jacobian("max(a, x)", x, a=1.0)["a"] == [1.0, 0.5, 0.0]
        assert jacobian("clip(x, a, b)", x, a=1.0, b=2.0) == {
            "a": [1.0, 0.5, 0.0],
            "b": [0, 0, 0.5],
        }
        assert jacobian("clip(a, x, 9)", x, a=1.0)["a"] == [1.0, 0.5, 0.0]
        assert jacobian("abs(a)*x", {"x": [1.0]}, a=0.0)["a"] == [0.0]

    def test_far_out_nothing_overflows(self) -> None:
        far = {"x": [1e4, -1e4]}
        assert predictions("sigmoid(a*x)", far, a=1.0) == [1.0, 0.0]
        assert predictions("softplus(a*x)", far, a=1.0) == [1e4, 0.0]
        assert jacobian("softplus(a*x)", far, a=1.0)["a"] == [1e4, 0.0]
        assert jacobian("tanh(a*x)", far, a=1.0)["a"] == [0.0, 0.0]
        assert jacobian("exp(-a*x)", {"x": [1e4]}, a=1.0)["a"] == [0.0]
        assert jacobian("a*x*exp(-b*x**2)", {"x": [1e200]}, a=1.0, b=1.0) == {
            "a": [0.0],
            "b": [0.0],
        }


def test_every_operation_has_a_rule_for_each_argument_and_a_way_to_be_written() -> None:
    for name, operation in OPERATIONS.items():
        arguments = [f"u{i}" for i in range(operation.arity)]
        assert operation.text.format(*arguments), name
        assert operation.latex.format(*arguments), name
        assert all(argument in operation.text.format(*arguments) for argument in arguments), name
        assert all(argument in operation.latex.format(*arguments) for argument in arguments), name
