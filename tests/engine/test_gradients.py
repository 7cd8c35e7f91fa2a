"""The three gradients agree, and each does what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from service.catalogue.losses import LOSSES
from service.engine.fit_options import GradientMethod
from service.engine.objectives.objective import GRADIENTS, Objective
from tests.engine.builders import problem

LINE = {"x": [1.0, 2.0, 4.0], "y": [1.0, 3.0, 2.0]}

# --- random smooth formulas ----------------------------------------------------------------------

LEAVES = ["x", "z", "a", "b", "c", "0.5", "2", "pi"]


def grown(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A formula from smaller ones; every function is smooth where it is used."""
    pairs = st.tuples(of, of)
    return st.one_of(
        pairs.map(lambda p: f"({p[0]} + {p[1]})"),
        pairs.map(lambda p: f"({p[0]} - {p[1]})"),
        pairs.map(lambda p: f"{p[0]}*{p[1]}"),
        pairs.map(lambda p: f"{p[0]}/(2 + {p[1]}**2)"),
        pairs.map(lambda p: f"(1 + {p[0]}**2)**(0.3*sin({p[1]}))"),
        pairs.map(lambda p: f"atan2({p[0]}, 3 + {p[1]}**2)"),
        of.map(lambda p: f"-{p}"),
        of.map(lambda p: f"{p}**2"),
        of.map(lambda p: f"exp(-({p})**2)"),
        of.map(lambda p: f"log(1 + ({p})**2)"),
        of.map(lambda p: f"sqrt(1 + ({p})**2)"),
        st.tuples(
            st.sampled_from(["sin", "cos", "tanh", "atan", "sigmoid", "softplus", "erf", "asinh"]),
            of,
        ).map(lambda p: f"{p[0]}({p[1]})"),
    )


FORMULAS = st.recursive(st.sampled_from(LEAVES), grown, max_leaves=7)
NUMBERS = st.floats(-2, 2)


@given(
    text=FORMULAS,
    values=st.tuples(NUMBERS, NUMBERS, NUMBERS),
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=12),
    loss=st.sampled_from(["mse", "soft_l1", "cauchy", "log_cosh"]),
    weighted=st.booleans(),
)
def test_the_three_gradients_agree(
    text: str,
    values: tuple[float, ...],
    rows: list[tuple[float, ...]],
    loss: str,
    weighted: bool,
) -> None:
    """To 1e-6 of the sum of the terms' magnitudes: Σ over the rows of |∂loss/∂f · ∂f/∂θ|.

    The numeric one's own error is of the order ε^(2/3) of the loss and its derivatives.
    """
    data = {name: [row[i] for row in rows] for i, name in enumerate(("x", "z", "y"))}
    sigma = [0.5 + abs(row[0]) for row in rows] if weighted else None
    of = problem(f"{text} + a", data, dict(zip("abc", values, strict=True)), loss=loss, sigma=sigma)
    objective, theta = Objective(of), of.initial
    slopes = {m: objective.gradient(theta, GradientMethod(m))[1] for m in GRADIENTS}
    z, jacobian = objective.jacobian(theta)
    assume(bool(torch.isfinite(jacobian).all()) and float(jacobian.abs().max()) < 1e6)
    magnitude = (of.loss.slope(z).unsqueeze(-1) * jacobian).abs().sum(dim=0)
    rounding = float(objective.loss(theta)) + 1.0
    allowed = 1e-6 * magnitude + 1e-9 * rounding
    # log_cosh's own rounding at z = 0, and that of numbers below the smallest normal one
    near = 1e-12 * magnitude + 1e-15 * jacobian.abs().sum(dim=0) + torch.finfo(theta.dtype).tiny
    assert bool(((slopes["analytic"] - slopes["autograd"]).abs() <= near).all())
    assert bool(((slopes["analytic"] - slopes["numeric"]).abs() <= allowed).all())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sigma", [None, [0.5, 1.0, 3.0]])
def test_the_gradients_agree_for_every_loss(loss: str, sigma: list[float] | None) -> None:
    of = problem("a*x + b", LINE, {"a": 0.7, "b": -0.23}, loss=loss, sigma=sigma)
    objective = Objective(of)
    slopes = [objective.gradient(of.initial, GradientMethod(m))[1].tolist() for m in GRADIENTS]
    for slope in slopes[1:]:
        assert slope == pytest.approx(slopes[0], rel=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_rho_has_psi_for_its_derivative_and_weight_reweights(loss: str) -> None:
    function = LOSSES[loss]
    z = torch.linspace(-7.0, 7.0, 28, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(function.rho(z, function.default).sum(), z)
    z = z.detach()
    assert slope.tolist() == pytest.approx(function.psi(z, function.default).tolist(), rel=1e-12)
    assert float(function.rho(torch.zeros(1, dtype=torch.float64), function.default)) == 0.0


# --- each method ---------------------------------------------------------------------------------


def by_hand(delta: float) -> list[float]:
    def loss(a: float, b: float) -> float:
        pairs = zip(LINE["x"], LINE["y"], strict=True)
        return sum((a * x + b - y) ** 2 for x, y in pairs) / 3

    return [
        (loss(0.7 + delta, 0.1) - loss(0.7 - delta, 0.1)) / (2 * delta),
        (loss(0.7, 0.1 + delta) - loss(0.7, 0.1 - delta)) / (2 * delta),
    ]


@pytest.mark.parametrize("delta", [0.1, 1e-3, 2.0])
def test_numeric_is_the_central_difference_of_its_delta(delta: float) -> None:
    of = problem("a*x + b", LINE, {"a": 0.7, "b": 0.1})
    slope = Objective(of).gradient(of.initial, GradientMethod("numeric", delta))[1]
    assert slope.tolist() == pytest.approx(by_hand(delta), rel=1e-11)


def test_a_fixed_param_has_no_gradient() -> None:
    of = problem("a*x + b", LINE, {"a": 0.7, "b": 0.1}, fixed=["a"])
    for method in GRADIENTS:
        slope = Objective(of).gradient(of.initial, GradientMethod(method))[1]
        assert float(slope[0]) == 0.0
        assert float(slope[1]) != 0.0


@pytest.mark.parametrize(
    ("text", "params", "rows"),
    [
        ("a*x**b", {"a": 2.0, "b": 1.5}, [0.0, 1.0, 2.0]),
        ("sqrt(a*x)", {"a": 2.0}, [0.0, 1.0, 2.0]),
        ("where(x > 0, a*log(x), b)", {"a": 2.0, "b": 1.0}, [-1.0, 0.0, 2.0]),
        ("where(x > k, a*sqrt(x - k), a)", {"a": 2.0, "k": 0.5}, [-1.0, 0.0, 2.0]),
    ],
)
def test_the_analytic_gradient_is_finite_where_the_loss_is(
    text: str, params: dict[str, Any], rows: list[float]
) -> None:
    of = problem(text, {"x": rows, "y": [1.0, 2.0, 3.0]}, params)
    objective = Objective(of)
    slope = objective.gradient(of.initial, GradientMethod("analytic"))[1]
    numeric = objective.gradient(of.initial, GradientMethod("numeric", 1e-6))[1]
    assert slope.tolist() == pytest.approx(numeric.tolist(), rel=1e-6)
    assert bool(torch.isfinite(objective.jacobian(of.initial)[1]).all())


def test_a_part_of_the_rows_has_the_gradient_of_those_rows() -> None:
    data = {"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 0.0, 2.0, 5.0]}
    whole = problem("a*x**2 + b", data, {"a": 0.3, "b": 1.0}, sigma=[1.0, 2.0, 3.0, 4.0])
    rows = torch.tensor([3, 1])
    part = problem(
        "a*x**2 + b", {"x": [4.0, 2.0], "y": [5.0, 0.0]}, {"a": 0.3, "b": 1.0}, sigma=[4.0, 2.0]
    )
    method = GradientMethod("analytic")
    found = Objective(whole).on(rows).gradient(whole.initial, method)
    expected = Objective(part).gradient(part.initial, method)
    assert found[0].item() == expected[0].item()
    assert found[1].tolist() == expected[1].tolist()
    assert Objective(whole).on(rows).loss(whole.initial).item() == expected[0].item()
