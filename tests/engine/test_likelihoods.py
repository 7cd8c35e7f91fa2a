"""Likelihoods of counts: deviances, the kernel against plain torch, integrals over bins, starts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from service.catalogue.likelihoods import LIKELIHOODS
from service.catalogue.options import NoOptions
from service.engine.curvature import hessians
from service.engine.formula import over_bins
from service.engine.inference.covariance import of_kind
from service.engine.inference.statistics import summarise
from service.engine.kernel import composite, likelihoods, operators, readings
from service.engine.losses import Loss
from service.engine.problem import Groups, Problem, Task
from service.engine.start.feasible import with_feasible_starts
from tests.engine.builders import formula, marquardt, problem, task

CASES = [(y, mu) for y in (0.0, 0.25, 0.5, 1.0) for mu in (1e-300, 1e-9, 0.24, 0.5, 0.76, 1.0)]
OUTSIDE = {"poisson": (-1e-300, -2.0), "binomial": (-1e-300, -2.0, 1.0 + 1e-15, 3.0)}


def counts(name: str, rows: int = 200) -> Problem:
    """A curve in the domain of the likelihood, with weights."""
    rng, x = np.random.default_rng(4), np.linspace(0, 3, rows)
    weight = rng.integers(1, 30, rows)
    mean = 0.8 * np.exp(-0.9 * x) + 0.05
    draw = rng.poisson(weight * mean) if name == "poisson" else rng.binomial(weight, mean)
    made = problem(
        "y = a*exp(-k*x) + c", {"x": x.tolist(), "y": (draw / weight).tolist()},
        {"a": 0.7, "k": 1.1, "c": 0.06}, sigma=(1 / np.sqrt(weight)).tolist(), sigma_absolute=True,
    )  # fmt: skip
    return replace(made, loss=Loss.of_likelihood(name))


def plain(name: str, y: float, mu: float) -> float:
    """The deviance as it is written in books."""

    def part(y: float, mu: float) -> float:
        if y == 0:
            return 0.0
        return y * math.log(y / mu) if mu > 0 else math.inf

    if name == "poisson":
        return 2 * (part(y, mu) - (y - mu))
    return 2 * (part(y, mu) + part(1 - y, 1 - mu))


@pytest.mark.parametrize("name", likelihoods.NAMES)
@pytest.mark.parametrize(("y", "mu"), CASES)
def test_deviance(name: str, y: float, mu: float) -> None:
    number = Loss.of_likelihood(name).number
    expected = plain(name, y, mu)
    y_, mu_ = (torch.tensor([each], dtype=torch.float64) for each in (y, mu))
    found = float(LIKELIHOODS[name].deviance(y_, mu_))
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert likelihoods.deviance(number, y, mu) == pytest.approx(found, rel=1e-14, abs=1e-300)


@pytest.mark.parametrize("name", likelihoods.NAMES)
def test_outside_the_domain(name: str) -> None:
    number, of = Loss.of_likelihood(name).number, LIKELIHOODS[name].deviance
    for mu in OUTSIDE[name]:
        for y in (0.0, 0.5, 1.0):
            y_, mu_ = (torch.tensor([each], dtype=torch.float64) for each in (y, mu))
            assert math.isnan(float(of(y_, mu_)))
            assert math.isnan(likelihoods.deviance(number, y, mu))


def test_close_means_lose_no_digits() -> None:
    """At y = 10¹² and μ = y + 10, d = (μ − y)²/y·(1 − …) where the logarithm has no digit left."""
    number = Loss.of_likelihood("poisson").number
    y, apart = 1e12, 10.0
    u = apart / y
    expected = 2 * y * (u * u / 2 - u**3 / 3)
    assert likelihoods.deviance(number, y, y + apart) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", likelihoods.NAMES)
def test_kernel_equals_plain_torch(name: str) -> None:
    of = counts(name)
    number, data = of.loss.number, of.data(of.whole)
    theta = of.initial.unsqueeze(0)
    width = torch.zeros(1, dtype=torch.float64)
    compiled = readings.linearise(of.program, number, 1.0, data, theta, width)
    torches = composite.linearise(of.program, number, 1.0, data, theta, width)
    for one, other in zip(compiled[:1], torches[:1], strict=True):
        torch.testing.assert_close(one[:, 0], other[:, 0], rtol=1e-12, atol=0)
    squares = [r[0].T @ r[0] for r in (compiled[1], torches[1])]
    torch.testing.assert_close(*squares, rtol=1e-11, atol=1e-11)
    for one, other in zip(
        readings.gradient(of.program, number, 1.0, data, theta),
        composite.gradient(of.program, number, 1.0, data, theta),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13)
    reduced = readings.reduce(of.program, number, 1.0, data, theta)
    plainly = composite.reduce(of.program, number, 1.0, data, theta)
    torch.testing.assert_close(reduced[2], plainly[2], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(reduced[1], plainly[1], rtol=1e-11, atol=1e-11)
    constants = (
        operators.constant_losses(number, 1.0, data),
        readings.composite_constant_losses(number, 1.0, data),
    )
    torch.testing.assert_close(*constants, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", likelihoods.NAMES)
def test_observed_covariance_is_that_of_the_hessian(name: str) -> None:
    of = counts(name)
    end = marquardt(of).params
    statistics = of_kind(of, summarise(of, end), "observed")
    assert statistics.covariance is not None
    hessian = hessians(of, Groups(of.whole, end.unsqueeze(0)), end.unsqueeze(0).numpy())[0]
    expected = np.linalg.inv(hessian * of.rows / 2)
    np.testing.assert_allclose(statistics.covariance, expected, rtol=1e-6)


def test_integral_over_bins() -> None:
    """Exact for polynomials up to degree 15, as are its derivatives; shared with tied params."""
    low, high = np.array([0.0, 1.0, -2.0]), np.array([1.0, 3.0, 0.5])
    density = formula("y = a*x**15 + b*x**4 + c", ["x", "y"])
    found = over_bins(density, "x", "width")
    columns = {
        "x": torch.from_numpy((low + high) / 2),
        "width": torch.from_numpy(high - low),
    }
    theta = torch.tensor([2.0, -3.0, 0.5], dtype=torch.float64)
    bound = found.bind(columns, 3, theta)
    slopes = np.stack([(high**16 - low**16) / 16, (high**5 - low**5) / 5, high - low], axis=-1)
    prediction, jacobian = bound.jacobian(theta)
    np.testing.assert_allclose(jacobian.numpy(), slopes, rtol=1e-12)
    np.testing.assert_allclose(prediction.numpy(), slopes @ theta.numpy(), rtol=1e-12)
    assert found.text == density.text


def test_start_outside_the_domain_is_replaced() -> None:
    data = {"x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": [0.0, 0.0, 0.0, 1.0, 2.0]}
    of = replace(
        problem("y = a + b*x", data, {"a": -5.0, "b": 1.0}, sigma_absolute=True),
        loss=Loss.of_likelihood("poisson"),
    )
    asked = task(of, "levenberg_marquardt", NoOptions())
    started = with_feasible_starts(asked)
    mean = started.problem.initial[0] + started.problem.initial[1] * of.columns["x"]
    assert bool((mean > 0).all())
    within = replace(of, initial=torch.tensor([1.0, 0.1], dtype=torch.float64))
    same = Task(within, asked.options)
    assert with_feasible_starts(same) is same
