"""Which formulas are proved to be special cases of others, and which are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine.inference.nesting import Nesting, nested
from service.engine.problem import Problem
from service.fitting import to_plan
from service.schemas.fit import FitRequest

X = np.linspace(0.2, 9.0, 12)


def problem(model: Any, **options: Any) -> Problem:
    body = {"model": model, "data": {"x": X.tolist(), "y": (1 + X).tolist()}, **options}
    return to_plan(FitRequest.model_validate(body)).task.problem


def proof(smaller: Any, larger: Any, **of_larger: Any) -> Nesting | None:
    return nested(problem(smaller), problem(larger, **of_larger))


NESTED = [
    ("d/(1 + exp((m - log(x))/s))", "a + (b - a)/(1 + exp((m - log(x))/s))"),
    ("logistic4", "logistic5"),
    ("michaelis_menten", "hill"),
    ("a*exp(-k*x)", "a*exp(-k*x) + c"),
    ("a*exp(k*x)", "p*exp(-q*x) + c"),
    ("a + b*x", "polynomial"),
    ("q*x**2 + p", "a + b*(x + 1) + c*(x - 3)**2"),
    ("2.5 + b*x", "a + b*x"),
    ("a*exp(-(x/s)**2)", "p*exp(-(x/q)**r)"),
    ("sine", "damped_sine"),
    ("lorentzian", "pseudo_voigt"),
    ("v*x/(k + x)", "v*x/(k + x) + v2*x/(k2 + x)"),
]


@pytest.mark.parametrize(("smaller", "larger"), NESTED)
def test_special_cases_are_proved(smaller: str, larger: str) -> None:
    found = proof(smaller, larger)
    assert found is not None
    assert proof(larger, smaller) is None
    if found.values is None:
        return
    # The larger model at the params found has the smaller one's curve, at any params of that.
    theta = [0.7, 1.3, 0.9, 1.1, 0.6][: len(problem(smaller).params)]
    start = found.start(theta)
    assert start is not None
    own, other = problem(smaller), problem(larger)
    ours, theirs = (
        each.formula.bind(each.columns, each.rows, each.target).predict(
            each.initial.new_tensor(values)
        )
        for each, values in ((own, theta), (other, start))
    )
    assert ours.numpy() == pytest.approx(theirs.numpy(), rel=1e-9)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("a + b*x", "a*x + c*x**2 + d*x**3"),
        ("a*exp(-k*x)", "a + b*x + c*x**2"),
        ("gaussian", "pseudo_voigt"),
        ("a*x**b", "a + b*x + c*x**2"),
        ("a + b*x", "a + b*x"),
        ("a*x", "where(x < 5, a*x, b*x + 3)"),
        ("a*log(x)", "a*log(x + 1) + c"),
    ],
)
def test_others_are_not(smaller: str, larger: str) -> None:
    assert proof(smaller, larger) is None


def test_a_fixed_param_is_a_constant() -> None:
    larger = "a + b*x**c"
    fixed = {"c": {"value": 1.7, "fixed": True}}
    assert nested(problem(larger, params=fixed), problem(larger)) is not None
    assert nested(problem("a + b*x", params={}), problem(larger, params={"c": 2.0})) is not None
    elsewhere = {"c": {"value": 2.0, "fixed": True}}
    assert nested(problem("b*x", params={}), problem(larger, params=elsewhere)) is None


def test_a_bound_may_exclude_the_special_case() -> None:
    pair = ("a*exp(-k*x)", "a*exp(-k*x) + c")
    assert proof(*pair, params={"c": {"min": 0.0}}) is not None
    assert proof(*pair, params={"c": {"min": 0.1}}) is None
    assert proof(*pair, params={"k": {"min": 0.0}}) is None


def test_params_without_effect_are_named() -> None:
    found = proof("a*exp(-k*x)", "p*exp(-q*x) + r*exp(-s*x)")
    assert found is not None
    assert len(found.lost) == 1
    assert set(found.lost) <= {"q", "s"}
    straight = proof("a + b*x", "piecewise_linear")
    assert straight is not None
    assert straight.lost
