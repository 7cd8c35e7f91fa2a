"""What numpy does for few rows is what torch does for many."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from service.engine.linear import ExactRun, SmallExactRun, least_squares, solve_exactly
from service.engine.small import FUNCTIONS, ROWS, NumpyReader
from torch import Tensor

from service.engine.formula import Formula, read_formula
from service.engine.objectives.bound import BoundFormula, SmallBound
from service.engine.operations import CALLABLE
from service.engine.optimizers.exact import Exact, solve, solve_small
from service.engine.problem import Problem
from tests.engine.builders import problem, task
from tests.engine.test_operations import VALUES
from tests.engine.test_short_ways import problem as random_problem

FORMULAS = (
    "y = w*x + b",
    "y = a*exp(-b*x) + c",
    "y = a*x**b + c*z",
    "y = c + exp(a)",
    "y = a",
    "y = a*x + a*z + b*0",
    "y = a/(1 + exp(-b*(x - c)))",
    "y = where(x > a, b*x, c) + max(x, a)*clip(z, -1, b) + relu(x - b)",
    "y = softplus(a*x) + sigmoid(b*z)*abs(z) + log(x)",
    "y = a*sin(b*x + c) + tanh(z)/b",
)


def both(text: str, seed: int, rows: int = 9) -> tuple[Formula, SmallBound, BoundFormula, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    names = ("x", "z")
    formula = read_formula(text, frozenset({*names, "y"}))
    columns = {n: torch.randn(rows, generator=draw, dtype=torch.float64) for n in names}
    theta = torch.randn(len(formula.params), generator=draw, dtype=torch.float64)
    used = {name: columns[name] for name in formula.inputs}
    small = formula.bind(used, rows, theta)
    assert isinstance(small, SmallBound)
    return formula, small, formula.bind_long(used, rows, theta), theta


def alike(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12, equal_nan=True)


@given(
    text=st.sampled_from(FORMULAS),
    seed=st.integers(0, 10_000),
    size=st.sampled_from([1.0, 1e3, 1e200]),
)
def test_numpy_reads_what_torch_reads(text: str, seed: int, size: float) -> None:
    _, small, long, first = both(text, seed)
    for theta in (size * first, first, -first):
        alike(small.predict(theta), long.predict(theta))
        for ours, theirs in zip(small.jacobian(theta), long.jacobian(theta), strict=True):
            alike(ours, theirs)
        slope = torch.linspace(-1, 1, 9, dtype=torch.float64)
        prediction, back = small.pullback(theta, safe=True)
        wanted, torch_back = long.pullback(theta, safe=True)
        alike(prediction, wanted)
        size_of_terms = long.jacobian(theta)[1].abs().mT @ slope.abs()
        gap = (back(slope) - torch_back(slope)).abs()
        where = torch.isfinite(size_of_terms)
        assert (gap[where] <= 1e-12 * size_of_terms[where]).all()


@pytest.mark.parametrize("text", FORMULAS)
def test_many_points_at_once_are_each_alone(text: str) -> None:
    _, small, long, theta = both(text, 7)
    points = torch.stack([theta, 2 * theta, -theta])
    alike(small.predict(points), long.predict(points))
    alike(small.jacobian(points)[1], long.jacobian(points)[1])


@pytest.mark.parametrize("text", FORMULAS)
def test_a_reading_is_the_same_bit_for_bit_the_first_time_and_later(text: str) -> None:
    """The first is without room of its own, the later ones write over what was there."""
    formula, _, _, theta = both(text, 3)
    x = {name: np.linspace(0.1, 2.0, 9) * (i + 1) for i, name in enumerate(formula.inputs)}
    with np.errstate(all="ignore"):
        for other in (np.zeros(len(theta)), np.full(len(theta), 1e300)):
            fresh, used = formula.program.bind(x, 9), formula.program.bind(x, 9)
            used.read(other)
            used.read(-other, safe=True)
            for safe in (False, True):
                fresh = formula.program.bind(x, 9)
                one, two = fresh.read(theta.numpy(), safe=safe), used.read(theta.numpy(), safe=safe)
                np.testing.assert_array_equal(one, two)
                np.testing.assert_array_equal(fresh.slopes, used.slopes)
            again = formula.program.bind(x, 9)
            np.testing.assert_array_equal(again.predict(theta.numpy()), used.predict(theta.numpy()))


def test_what_was_handed_out_is_not_written_over() -> None:
    _, small, _, theta = both("y = a*exp(-b*x) + c", 1)
    (first, slopes), back = small.jacobian(theta), small.pullback(theta)[1]
    kept = first.clone(), slopes.clone(), back(torch.ones_like(first))
    small.jacobian(2 * theta)
    small.predict(-theta)
    assert torch.equal(first, kept[0])
    assert torch.equal(slopes, kept[1])
    assert torch.equal(back(torch.ones_like(first)), kept[2])


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) & set(CALLABLE) - {"where"}))
def test_every_function_of_numpy_is_the_operation(name: str) -> None:
    meaning, points = VALUES[name]
    for point in points:
        out = np.empty(())
        expected = pytest.approx(meaning(*point), rel=1e-13, abs=1e-300)
        assert float(FUNCTIONS[name](*point)) == expected
        FUNCTIONS[name](*map(np.array, point), out)
        assert float(out) == expected


@pytest.mark.parametrize("text", ["y = a*erf(x) + b", "y = gamma(a*x)"])
def test_what_numpy_has_not_stays_with_torch(text: str) -> None:
    formula = read_formula(text, frozenset({"x", "y"}))
    x = torch.ones(3, dtype=torch.float64)
    assert isinstance(formula.bind({"x": x}, 3, x), BoundFormula)


@pytest.mark.parametrize(("rows", "dtype"), [(ROWS + 1, torch.float64), (3, torch.float32)])
def test_many_rows_and_other_numbers_stay_with_torch(rows: int, dtype: torch.dtype) -> None:
    formula = read_formula("y = w*x + b", frozenset({"x", "y"}))
    x = torch.ones(rows, dtype=dtype)
    assert isinstance(formula.bind({"x": x}, rows, x), BoundFormula)


def test_autograd_goes_through() -> None:
    _, small, _, theta = both("y = a*exp(-b*x) + c", 2)
    leaf = theta.clone().requires_grad_()
    small.predict(leaf).sum().backward()
    assert leaf.grad is not None
    alike(leaf.grad, small.jacobian(theta)[1].sum(dim=0))


# --- least squares --------------------------------------------------------------------------------


@given(
    rows=st.integers(1, 12),
    params=st.integers(1, 5),
    seed=st.integers(0, 10_000),
    rank=st.integers(0, 5),
    size=st.sampled_from([1e-200, 1.0, 1e150]),
)
def test_the_small_solution_is_the_solution(
    rows: int, params: int, seed: int, rank: int, size: float
) -> None:
    draw = np.random.default_rng(seed)
    jacobian = size * draw.normal(size=(rows, params))
    jacobian[:, rank:] = jacobian[:, :1] if rank else 0.0
    residual = draw.normal(size=rows)
    ours, found = solve_small(np.ascontiguousarray(jacobian.T), residual)
    theirs = solve(torch.from_numpy(jacobian), torch.from_numpy(residual))
    assert found == theirs.rank
    gap = jacobian @ ours - jacobian @ theirs.step.numpy()
    assert np.abs(gap).max() <= 1e-12 * (1 + np.abs(residual).max()) * (
        1 + size * float(theirs.step.abs().max())
    )


def test_several_sides_are_solved_as_one_by_one() -> None:
    draw = np.random.default_rng(1)
    slopes, sides = draw.normal(size=(3, 9)), draw.normal(size=(4, 9))
    together = solve_small(slopes, sides)[0]
    for step, side in zip(together, sides, strict=True):
        np.testing.assert_allclose(step, solve_small(slopes, side)[0], rtol=1e-13)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_has_no_solution(bad: float) -> None:
    for slopes, side in (([[1.0, bad]], [1.0, 2.0]), ([[1.0, 2.0]], [bad, 1.0])):
        step, rank = solve_small(np.array(slopes), np.array(side))
        assert np.isnan(step).all()
        assert rank == 0


LINEAR = ("y = w*x + b", "y = a*x + b*z + c", "y = a*x**2 + b*x + c", "y = a*x + d*x + c")


@given(text=st.sampled_from(LINEAR), seed=st.integers(0, 10_000), sigma=st.booleans())
def test_the_short_exact_run_is_the_long_one(text: str, seed: int, sigma: bool) -> None:
    of = random_problem(text, seed, sigma=sigma)
    asked = task(of, "exact", Exact(), 1)
    short, long = solve_exactly(asked), ExactRun(asked)
    assert isinstance(short, SmallExactRun)
    for ours, theirs in zip(_rows(short), _rows(long), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    assert short.result().loss == pytest.approx(long.result().loss, rel=1e-10, abs=1e-24)
    assert short.result().stop_reason == long.result().stop_reason


def _rows(run: ExactRun) -> tuple[Tensor, ...]:
    rows = run.step(1)
    return rows.epoch, rows.loss, rows.params, rows.gradient


def test_a_line_starts_at_its_least_squares() -> None:
    of: Problem = problem("w*x + b", {"x": [0.0, 1.0, 3.0], "y": [1.0, 2.0, 2.5]}, {"w": 0, "b": 0})
    assert isinstance(of.formula, Formula)
    found = least_squares(of.formula, of.columns, of.target)
    assert found == pytest.approx(np.polyfit([0.0, 1.0, 3.0], [1.0, 2.0, 2.5], 1).tolist())


def test_only_what_is_linear_starts_there() -> None:
    of = problem("a*exp(-b*x)", {"x": [0.0, 1.0], "y": [1.0, 2.0]}, {"a": 1, "b": 1})
    assert isinstance(of.formula, Formula)
    assert least_squares(of.formula, of.columns, of.target) is None
    assert isinstance(of.formula.program.bind({"x": np.ones(2)}, 2), NumpyReader)
