"""Rows reduced at their params: against plain torch, loss by loss, and against numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine import Groups, Problem
from service.engine.inference.statistics import summarise
from service.engine.kernel import composite
from service.engine.kernel.losses import NAMES
from tests.engine.builders import problem
from tests.engine.kernel.arrays import SEEDS, reduced, signed, spans_of, triangle_of

FEW = settings(max_examples=20, deadline=None)
FORMULA = "a*exp(-b*x) + c"
SIZES = [3, 700, 1, 64, 65, 20, 577, 1290]


def posed(rng: np.random.Generator, rows: int, **options: Any) -> Problem:
    x = rng.uniform(0, 4, rows)
    y = 2 * np.exp(-x) + 0.3 * rng.standard_normal(rows) + 1
    data = {"x": x.tolist(), "y": y.tolist()}
    return problem(FORMULA, data, {"a": 2.0, "b": 1.0, "c": 1.0}, **options)


@pytest.mark.parametrize("loss", NAMES)
@pytest.mark.parametrize("weighed", [False, True], ids=["alike", "weighed"])
@pytest.mark.parametrize("fixed", [(), ("b",)], ids=["free", "fixed"])
def test_groups_of_any_length_are_as_by_torch(loss: str, weighed: bool, fixed: tuple[str]) -> None:
    rng = np.random.default_rng(0)
    rows = sum(SIZES)
    sigma = rng.uniform(0.2, 3, rows).tolist() if weighed else None
    of = posed(rng, rows, loss=loss, sigma=sigma, fixed=fixed)
    theta = rng.uniform(0.5, 2.0, (len(SIZES), 3))
    found, due = reduced(of, theta, SIZES), reduced(of, theta, SIZES, composite.reduce)
    size = np.abs(due.factor).max(axis=(1, 2), keepdims=True)
    assert np.abs((signed(found.factor) - signed(due.factor)) / size).max() < 1e-13
    for name in ("total", "size", "spread", "log_sigma"):
        mine, theirs = getattr(found, name), getattr(due, name)
        assert mine == pytest.approx(theirs, rel=1e-12, abs=1e-12), name
    assert found.z == pytest.approx(due.z, rel=1e-13, abs=1e-14)


@FEW
@given(seed=SEEDS, rows=st.integers(4, 400), weighed=st.booleans(), absolute=st.booleans())
def test_figures_are_those_of_the_rows(seed: int, rows: int, weighed: bool, absolute: bool) -> None:
    """Seber and Wild, 2.1; R's AIC of nls; Bates and Watts, 2.10."""
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.2, 3, rows) if weighed else np.ones(rows)
    of = posed(
        rng, rows, sigma=sigma.tolist() if weighed else None, sigma_absolute=weighed and absolute
    )
    a, b, c = theta = of.initial.numpy() * rng.uniform(0.9, 1.1, 3)
    fits = Groups(spans_of([rows]), torch.from_numpy(theta[None]))
    figures = summarise(of, fits.initial[0]).figures
    x, y = of.columns["x"].numpy(), of.target.numpy()
    decay = np.exp(-b * x)
    jacobian = np.column_stack([decay, -a * x * decay, np.ones(rows)]) / sigma[:, None]
    z, weight = (a * decay + c - y) / sigma, 1 / sigma**2
    rss, mean = z @ z, weight @ y / weight.sum()
    variance = rss / (rows - 3)
    assert figures.r_squared == pytest.approx(
        1 - rss / (weight @ (y - mean) ** 2), rel=1e-11, abs=1e-11
    )
    likelihood = -rows / 2 * (math.log(2 * math.pi * rss / rows) + 1) - np.log(sigma).sum()
    counted = 4
    if of.sigma_absolute:
        likelihood = -rows / 2 * math.log(2 * math.pi) - rss / 2 - np.log(sigma).sum()
        counted = 3
    assert figures.aic == pytest.approx(2 * counted - 2 * likelihood, rel=1e-11, abs=1e-9)
    q, r = np.linalg.qr(jacobian)
    along = q.T @ z
    across = z - q @ along
    offset = np.linalg.norm(along) / math.sqrt(3) / np.linalg.norm(across) * math.sqrt(rows - 3)
    assert figures.offset == pytest.approx(offset, rel=1e-7)
    inverse = np.linalg.inv(r)
    noise = 1.0 if weighed and absolute else variance
    assert figures.covariance == pytest.approx(noise * inverse @ inverse.T, rel=1e-9)
    assert figures.stderr == pytest.approx(
        math.sqrt(noise) * np.linalg.norm(inverse, axis=1), rel=1e-9
    )


@FEW
@given(seed=SEEDS)
def test_a_group_is_what_it_is_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 200, 9).tolist()
    of = posed(rng, sum(sizes), loss="huber")
    theta = rng.uniform(0.5, 2.0, (9, 3))
    whole = reduced(of, theta, sizes)
    end = 0
    for g, size in enumerate(sizes):
        own = torch.arange(end, end + size)
        alone = reduced(of.on(own, of.initial), theta[g : g + 1])
        assert np.array_equal(whole.z[end : end + size], alone.z)
        for mine, due in zip(whole[:5], alone[:5], strict=True):
            assert np.array_equal(mine[g], due[0])
        end += size


def test_a_long_groups_factor_is_that_of_all_rows_at_once() -> None:
    rng = np.random.default_rng(7)
    of = posed(rng, 20_000)
    theta = np.array([[2.1, 0.9, 1.0]])
    found = reduced(of, theta)
    x, y = of.columns["x"].numpy(), of.target.numpy()
    decay = np.exp(-0.9 * x)
    jacobian = np.column_stack([decay, -2.1 * x * decay, np.ones_like(x)])
    z = 2.1 * decay + 1.0 - y
    due = triangle_of(np.column_stack([jacobian, 2.0 * z]))
    assert signed(found.factor[0]) == pytest.approx(due, rel=1e-11, abs=1e-10)
    assert found.total[0] == pytest.approx(z @ z, rel=1e-13)
    assert found.spread[0] == pytest.approx(np.sum((y - y.mean()) ** 2), rel=1e-13)


@pytest.mark.parametrize("rows", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("value", [0.1, -3e150, 7e-100, 0.0])
@pytest.mark.parametrize("weighed", [False, True], ids=["alike", "weighed"])
def test_a_target_that_does_not_vary_has_no_spread(rows: int, value: float, weighed: bool) -> None:
    data = {"x": [float(i) for i in range(rows)], "y": [value] * rows}
    sigma = np.linspace(0.3, 2.0, rows).tolist() if weighed else None
    of = problem("a*x + b", data, {"a": 0.0, "b": 0.0}, sigma=sigma)
    found = reduced(of, np.zeros((1, 2)))
    assert found.spread[0] == 0.0
    share = sum(1 / s**2 for s in sigma) if sigma else rows
    assert found.size[0] == pytest.approx(abs(value) * math.sqrt(share), rel=1e-14)


def test_what_is_not_finite_stays_in_its_group() -> None:
    data = {"x": [1.0, 2.0, 0.0, 3.0, 4.0, 5.0], "y": [1.0, 2.0, 3.0, 4.0, 5.0, math.inf]}
    of = problem("a + sqrt(b*x)", data, {"a": 1.0, "b": 1.0})
    found = reduced(of, np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), [2, 2, 2])
    assert np.isfinite(found.factor).all(axis=(1, 2)).tolist() == [True, False, False]
    assert np.isfinite(found.total).tolist() == [True, True, False]


def test_an_exact_zero_in_the_chain_rule_outweighs_an_infinity() -> None:
    of = problem("a*x**b", {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 2.0]}, {"a": 1.0, "b": 2.0})
    found = reduced(of, np.array([[1.0, 2.0]]))
    assert np.isfinite(found.factor).all()


def test_a_square_beyond_float64_is_no_reason_not_to_have_a_factor() -> None:
    data = {"x": [1e200, 2e200, -1e200], "y": [1e200, 1e200, 2e200]}
    found = reduced(problem("a*x", data, {"a": 1.0}), np.array([[1.0]]))
    due = triangle_of(np.array([[1.0, 0.0], [2.0, 2.0], [-1.0, -6.0]]))
    assert signed(found.factor[0]) / 1e200 == pytest.approx(due, rel=1e-14)
    assert found.total[0] == math.inf
