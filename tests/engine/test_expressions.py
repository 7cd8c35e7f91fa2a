"""Tied params are substituted; derived quantities have exact derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.engine.formula import read_formula
from service.errors import InvalidRequest

COLUMNS = frozenset({"x", "y"})
THETA = torch.tensor([[1.3, 0.4, 2.1], [0.2, 1.7, 0.9]], dtype=torch.float64)
X = torch.linspace(0.1, 3.0, 17, dtype=torch.float64)
EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "k", "2", "0.5"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        inner.map(lambda each: f"exp(-({each})**2)"),
        inner.map(lambda each: f"sqrt(1 + ({each})**2)"),
    ),
    max_leaves=6,
)


@given(first=EXPRESSIONS, second=EXPRESSIONS)
def test_a_formula_with_ties_is_the_formula_with_its_expressions_written_out(
    first: str, second: str
) -> None:
    """A chain: d uses c."""
    tied = read_formula(
        "y = a*exp(-k*x) + b*x + c + d*x**2",
        COLUMNS,
        None,
        (("d", f"c + {second}"), ("c", first)),
    )
    by_hand = read_formula(
        f"y = a*exp(-k*x) + b*x + ({first}) + (({first}) + {second})*x**2", COLUMNS
    )
    order = [by_hand.params.index(name) for name in tied.params]
    theta = torch.zeros(len(order), dtype=torch.float64)
    theta[order] = THETA[0]
    for one, other in zip(
        tied.bind({"x": X}, len(X), THETA).jacobian(THETA[0]),
        by_hand.bind({"x": X}, len(X), THETA).jacobian(theta),
        strict=True,
    ):
        torch.testing.assert_close(one, other if one.dim() == 1 else other[:, order])


@given(text=EXPRESSIONS)
def test_the_derivatives_of_a_quantity_are_its_finite_differences(text: str) -> None:
    formula = read_formula("y = a*exp(-k*x) + b", COLUMNS)
    derived = formula.derived((("q", text),))
    _, slopes = derived.read(THETA)
    for i in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[i] = 1e-6
        above, below = derived.read(THETA + step)[0], derived.read(THETA - step)[0]
        assert slopes[:, 0, i] == pytest.approx((above - below)[:, 0] / 2e-6, rel=1e-5, abs=1e-5)


def test_an_expression_may_have_params_of_its_own_that_are_given() -> None:
    formula = read_formula("y = a*x + b", COLUMNS, None, (("b", "2*k"),), frozenset({"k"}))
    assert formula.params == ("a", "k")
    assert formula.tied is not None
    assert formula.tied.read(torch.tensor([[1.0, 3.0]]))[0].tolist() == [[6.0]]


@pytest.mark.parametrize(
    ("ties", "pointer", "said"),
    [
        ((("b", "a +"),), "/params/b/expr", "found the end"),
        ((("b", "b"),), "/params/b/expr", "cycle, b → b"),
        ((("b", "2*x"),), "/params/b/expr", "'x' is a column"),
        ((("b", "aa"),), "/params/b/expr", "did you mean 'a'?"),
        ((("b", "a = 1"),), "/params/b/expr", "has no '='"),
        ((("b", "a < 1"),), "/params/b/expr", "a comparison is a condition"),
        ((("z", "a"),), "/params/z", "unknown param 'z'"),
    ],
)
def test_what_cannot_be_an_expression_is_refused_at_its_place(
    ties: tuple[tuple[str, str], ...], pointer: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said.replace("+", "\\+").replace("?", "\\?")) as error:
        read_formula("y = a*x + b", COLUMNS, None, ties)
    assert [each.pointer for each in error.value.errors] == [pointer]


def test_a_cycle_of_two_is_named() -> None:
    with pytest.raises(InvalidRequest, match="form a cycle"):
        read_formula("y = a*x + b", COLUMNS, None, (("a", "b + 1"), ("b", "a + 1")))


def test_a_chain_of_doublings_stays_small() -> None:
    """Expressions are nodes of one tape: written out, the last would have 2^40 names."""
    ties = tuple((f"c{i}", f"c{i - 1} + c{i - 1}") for i in range(1, 41))
    formula = read_formula("y = c0*x + c40", COLUMNS, None, ties)
    assert formula.params == ("c0",)
    assert len(formula.tape.nodes) < 100
    assert formula.tied is not None
    assert np.isclose(formula.tied.read(torch.ones((1, 1)))[0][0, -1], 2.0**40)
