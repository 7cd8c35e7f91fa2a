"""The grammar: what a text means, and what it may not be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import SupportsIndex

import pytest

from service.engine import syntax
from service.engine.formula import read_formula
from service.engine.syntax import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES, parse
from service.errors import InvalidFormula
from tests.engine.builders import predictions

X = 1.7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x**2", -(X**2)),
        ("(-x)**2", X**2),
        ("2**3**2 + 0*x", 512.0),
        ("2**-x", 2**-X),
        ("-x**-x", -(X**-X)),
        ("--x", X),
        ("-+-x", X),
        ("10 - 3 - x", 7 - X),
        ("24 / 4 / x", 6 / X),
        ("2 + 3 * x", 2 + 3 * X),
        ("2 * x ** 2", 2 * X**2),
        ("-x * -x", X * X),
        ("2 * -x", -2 * X),
        ("x - -x", 2 * X),
        ("1e2*x + .5 - 5.e-1", 1e2 * X),
        ("pi * x", math.pi * X),
        ("where(x < 2, x, 0)", X),
        ("where((x >= 2), x, 0)", 0.0),
        ("where(x + 1 > 2 * x, 1, 2) + 0*x", 2.0),
        ("where(x == x, 1, 2)", 1.0),
        ("where(x != x, 1, 2)", 2.0),
        ("where(x <= x, where(x > 9, 3, 4), 2)", 4.0),
        ("\tx\r\n+ 1 ", X + 1),
    ],
)
def test_a_text_means_what_python_would_make_of_it(text: str, expected: float) -> None:
    assert predictions(text, {"x": [X]})[0] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("a*log(x", 8, "expected ')'"),
        ("a*x +", 6, "expected a number"),
        ("a x", 3, "a product is written with '*'"),
        ("2x", 2, "a product is written with '*'"),
        ("a*(x))", 6, "expected an operator or the end"),
        ("a*x^2", 4, "write '**'"),
        ("a*sinn(x)", 3, "did you mean 'sin'?"),
        ("a*Exp(x)", 3, "did you mean 'exp'?"),
        ("a*exp(x, 1)", 3, "takes 1 argument, not 2"),
        ("a*min(x)", 3, "takes 2 arguments, not 1"),
        ("y = a = x", 7, "one '='"),
        ("a.b*x", 2, "attributes"),
        ("a*x[0]", 4, "parentheses, not brackets"),
        ("a*'x'", 3, "text is not part"),
        ("x := a", 3, "has no meaning"),
        ("where(x < 1 < 2, x, a)", 13, "comparisons do not chain"),
        ("a//x", 3, "expected a number"),
        ("a*x\x00", 4, "has no meaning"),
        ("", 1, "expected a number"),
    ],
)
def test_an_error_points_at_the_column_and_says_what_would_mend_it(
    text: str, column: int, says: str
) -> None:
    with pytest.raises(InvalidFormula, match="column") as raised:
        parse(text)
    assert raised.value.column == column
    assert says in str(raised.value)


def test_a_formula_may_be_as_long_as_it_may_and_no_longer() -> None:
    parse("x" * MAX_CHARACTERS)
    with pytest.raises(InvalidFormula, match=f"at most {MAX_CHARACTERS}"):
        parse("x" * (MAX_CHARACTERS + 1))


def test_a_formula_may_have_so_many_nodes_and_no_more() -> None:
    most = "+".join("x" * ((MAX_NODES + 1) // 2))
    parse(most)
    with pytest.raises(InvalidFormula, match=f"at most {MAX_NODES} operations and names"):
        parse(most + "+x")


@pytest.mark.parametrize(
    ("opening", "closing"), [("(", ")"), ("exp(", ")"), ("-(", ")"), ("2**(", ")")]
)
def test_a_formula_may_nest_so_deep_and_no_deeper(opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return opening * depth + "x" + closing * depth

    # `2**(` opens two: the exponent and the parenthesis.
    levels = MAX_DEPTH // 2 - 1 if opening == "2**(" else MAX_DEPTH - 1
    parse(nested(levels))
    with pytest.raises(InvalidFormula, match=f"nests at most {MAX_DEPTH} deep"):
        parse(nested(levels + 1))


def test_towers_of_powers_and_runs_of_signs_are_bounded_too() -> None:
    with pytest.raises(InvalidFormula, match="deep"):
        parse("**".join("x" * 40))
    parse("+" * 500 + "x")
    with pytest.raises(InvalidFormula, match="operations and names"):
        parse("-" * 500 + "x")


class Unread(str):
    """A text that tells no more than how long it is."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("it was read")

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        raise AssertionError("it was read")


@pytest.mark.parametrize("text", ["(" * 10**5, "9" * 10**6, "x+" * 10**5, "-" * 10**6])
def test_what_is_far_too_long_is_refused_without_being_read(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syntax, "_TOKEN", None)  # no pattern sees it
    with pytest.raises(
        InvalidFormula, match=f"at most {MAX_CHARACTERS} characters; .* {len(text)}$"
    ):
        parse(Unread(text))


@pytest.mark.parametrize("name", ["negative", "add", "chain", "constant", "square"])
def test_a_param_may_bear_the_name_of_an_operation(name: str) -> None:
    """Found by `make fuzz`: -negative was taken for a double negation."""
    params = read_formula(f"y = -{name} - (-{name}) * x", frozenset({"x", "y"})).params
    assert params == (name,)
