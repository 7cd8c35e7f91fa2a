"""Names told apart into columns, params and constants; the two sides; linearity."""

from __future__ import annotations

import pytest
import torch

from service.engine.formula import MAX_PARAMS, formula_names, read_formula
from service.errors import InvalidFormula
from tests.engine.builders import formula, predictions


def test_columns_are_inputs_and_other_names_are_params_in_order_of_appearance() -> None:
    model = formula("t_c = w * t_u + b", ["t_u", "t_c", "other"])
    assert (model.inputs, model.params) == (("t_u",), ("w", "b"))
    assert (model.target, model.target_columns) == ("t_c", ("t_c",))
    assert model.text == "t_c = w * t_u + b"


def test_without_a_left_side_the_formula_explains_y() -> None:
    model = formula("b1*(1-exp(-b2*x))")
    assert (model.target, model.text) == ("y", "y = b1*(1-exp(-b2*x))")
    with pytest.raises(InvalidFormula, match="is column 'y', which is not in the data"):
        formula("a*x", ["x", "z"])


def test_a_tilde_is_an_equals_sign() -> None:
    model = formula("log(y) ~ a + b*x")
    assert model.text == "log(y) = a + b*x"
    assert model == formula("log(y) = a + b*x")
    for text in ("y ~ a ~ x", "y = a ~ x", "y ~= a*x", "~ a*x"):
        with pytest.raises(InvalidFormula, match="'='"):
            formula(text)


def test_the_left_side_may_transform_the_target() -> None:
    model = formula("log(y) = a + b*x")
    like = torch.zeros((), dtype=torch.float64)
    values = model.explained({"y": torch.tensor([1.0, 8.0], dtype=torch.float64)}, like)
    assert model.target == "log(y)"
    assert values.tolist() == pytest.approx([0.0, 2.0794415416798357], rel=1e-15)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("z = a*x", 1, "unknown column 'z' on the left side"),
        ("yy = a*x", 1, "did you mean 'y'?"),
        ("2 = a*x", 1, "has no column"),
        ("pi = a*x", 1, "has no column"),
        ("y*c = a*x", 3, "unknown column 'c' on the left side"),
        ("y = a*y", 7, "it cannot be on the right side"),
        ("log(y) = a*x + y", 16, "it cannot be on the right side"),
        ("y < 3 = a*x", 3, "a comparison is a condition"),
        ("a*exp + x", 3, "is a function; write exp(...)"),
        ("a*(x < 1)", 6, "use it in where"),
        ("where(x, a, b)", 7, "takes a comparison first"),
        ("where(x < 1, x < 2, b)", 16, "a comparison is a condition"),
        ("a*x + 1/0", 8, "not a finite number"),
        ("a*x*1e999", 5, "not a finite number"),
        ("a*x + log(-1)", 7, "not a finite number"),
        ("9**9**9*a*x", 2, "not a finite number"),
    ],
)
def test_an_error_points_at_the_column(text: str, column: int, says: str) -> None:
    with pytest.raises(InvalidFormula) as raised:
        formula(text)
    assert says in str(raised.value)
    assert raised.value.column == column


def test_a_prediction_knows_its_params_and_offers_the_nearest_name() -> None:
    known = frozenset({"width", "height"})
    read_formula("width*x + height", frozenset({"x"}), known)
    with pytest.raises(InvalidFormula, match="did you mean 'width'") as raised:
        read_formula("widht*x + height", frozenset({"x"}), known)
    assert raised.value.column == 1


def test_a_constant_is_a_column_only_to_be_refused_and_e_is_a_name_like_any_other() -> None:
    assert formula("pi*a*x + e").params == ("a", "e")
    with pytest.raises(InvalidFormula, match="'pi' is a constant; rename that column"):
        formula("a*pi", ["pi", "y"])


def test_a_column_may_bear_a_functions_name_beside_the_function() -> None:
    columns = {"exp": [2.0], "min": [3.0]}
    assert predictions("exp*min + exp(exp)", columns)[0] == pytest.approx(6 + 7.38905609893065)


def test_a_formula_has_a_bounded_number_of_params() -> None:
    def summed(count: int) -> str:
        return "+".join(f"p{i}" for i in range(count))

    assert len(formula(summed(MAX_PARAMS)).params) == MAX_PARAMS
    with pytest.raises(InvalidFormula, match=f"at most {MAX_PARAMS} params"):
        formula(summed(MAX_PARAMS + 1))


@pytest.mark.parametrize(
    ("text", "name"),
    [("µ*x", "μ"), ("ﬁ*x", "fi"), ("𝐚*x", "a"), ("K*x", "K"), ("α*x", "α"), ("ａ*x", "a")],
)
def test_names_are_compared_after_unicode_folding(text: str, name: str) -> None:
    """NFKC: the micro sign is the letter mu, the Kelvin sign K, a ligature its letters."""
    assert formula(text).params == (name,)


def test_a_superscript_is_not_part_of_a_name() -> None:
    """NFKC folds x² into x2: a square would be read as another name."""
    with pytest.raises(InvalidFormula, match=r"\*\*"):
        formula("a*x²")


@pytest.mark.parametrize(
    ("text", "linear", "free"),
    [
        ("a*x + b", True, "ab"),
        ("a*exp(-k*x) + c", False, "akc"),
        ("a*exp(-k*x) + c", True, "ac"),
        ("a*exp(-k*x) + c", False, "k"),
        ("a*b*x", False, "ab"),
        ("a*b*x", True, "a"),
        ("a*x/b", False, "b"),
        ("(a + b*x)**2", False, "ab"),
        ("where(x < k, a, b)", True, "ab"),
        ("where(x < 1, a, b*x)", True, "ab"),
        ("abs(a)*x", False, "a"),
        ("a**1*x", True, "a"),
        ("a*0 + b*x", True, "ab"),
    ],
)
def test_linear_in_the_params_is_found(text: str, linear: bool, free: str) -> None:
    assert formula(text).is_linear_in(free) is linear


@pytest.mark.parametrize("text", ["where(x < k, 1, 2) + a", "step(k*x) + a", "sign(k)*x + a"])
def test_a_param_that_only_switches_is_not_linear(text: str) -> None:
    """Its derivative is zero almost everywhere, and yet the prediction depends on it."""
    assert not formula(text).is_linear_in({"k", "a"})


def test_formula_names_are_those_of_both_sides() -> None:
    assert formula_names("log(y) = a*x + pi") == {"y", "a", "x", "pi"}
