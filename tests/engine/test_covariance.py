"""The kinds of covariance, against their definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.engine.curvature import hessians
from service.engine.inference.covariance import covariances
from service.engine.inference.statistics import summarise_fits
from service.engine.problem import Groups, Problem
from tests.fitting.fits import plan

RNG = np.random.default_rng(5)
X = np.linspace(0.2, 6.0, 15)


def problem(
    model: str, params: dict[str, float], *, groups: int = 1, sigma: bool = False
) -> Problem:
    """A problem of noisy data, at params that are not its minimum."""
    x = np.tile(X, groups)
    y = 3 * np.exp(-0.6 * x) + 0.4 + 0.1 * np.random.default_rng(5).standard_normal(len(x))
    weights = {"sigma": (0.1 + 0.02 * x).tolist()} if sigma else {}
    request = {"model": model, "data": {"x": x.tolist(), "y": y.tolist()}, "params": params}
    return plan({**request, **weights}).task.problem.to("cpu")


DECAY = "y = a*exp(-k*x) + c"
START = {"a": 2.9, "k": 0.62, "c": 0.41}


@given(a=st.floats(2.5, 3.5), k=st.floats(0.5, 0.7), c=st.floats(0.3, 0.5), weighted=st.booleans())
def test_observed_is_the_inverse_of_the_hessian_by_finite_differences(
    a: float, k: float, c: float, weighted: bool
) -> None:
    own = problem(DECAY, {"a": a, "k": k, "c": c}, sigma=weighted)
    theta = own.initial.unsqueeze(0)
    fits = Groups(own.whole, theta)
    figures = summarise_fits(own, fits, theta)
    found = covariances(own, fits, theta, figures, "observed")[0]
    # The loss is the mean of z², so 2s²H⁻¹ with the Hessian of the sum has n·∂²loss/∂θ².
    hessian = own.rows * hessians(own, fits, theta.numpy())[0]
    if np.linalg.eigvalsh(hessian)[0] <= 1e-6:
        assert np.isnan(found).all()
        return
    assert found == pytest.approx(2 * figures.variance * np.linalg.inv(hessian), rel=1e-4)


def test_sandwich_is_hc3() -> None:
    own = problem(DECAY, START, sigma=True)
    theta = own.initial.unsqueeze(0)
    fits = Groups(own.whole, theta)
    figures = summarise_fits(own, fits, theta)
    bound = own.formula.bind(own.columns, own.rows, own.target)
    prediction, jacobian = (each.numpy() for each in bound.jacobian(own.initial))
    assert own.sigma is not None
    sigma = own.sigma.numpy()
    j, z = jacobian / sigma[:, None], (prediction - own.target.numpy()) / sigma
    bread = np.linalg.inv(j.T @ j)
    leverage = np.einsum("ri,ij,rj->r", j, bread, j)
    meat = (j * np.square(z / (1 - leverage))[:, None]).T @ j
    found = covariances(own, fits, theta, figures, "sandwich")[0]
    assert found == pytest.approx(bread @ meat @ bread, rel=1e-9)


@pytest.mark.parametrize("kind", ["observed", "sandwich"])
def test_a_group_has_the_covariance_that_it_has_alone(kind: str) -> None:
    own = problem(DECAY, START, groups=3)
    spans = torch.tensor([[0, 15, 30], [15, 30, 45]])
    theta = own.initial.repeat(3, 1) * torch.tensor([[1.0], [1.02], [0.99]])
    fits = Groups(spans, theta)
    figures = summarise_fits(own, fits, theta)
    found = covariances(own, fits, theta, figures, kind)  # type: ignore[arg-type]
    for i in range(3):
        part = own.on(slice(15 * i, 15 * i + 15), theta[i])
        alone = Groups(part.whole, theta[i : i + 1])
        one = summarise_fits(part, alone, alone.initial)
        same = covariances(part, alone, alone.initial, one, kind)  # type: ignore[arg-type]
        assert found[i] == pytest.approx(same[0], rel=1e-9)


def test_observed_is_expected_for_a_line() -> None:
    own = problem("y = a*x + b", {"a": -0.3, "b": 2.0})
    theta = own.initial.unsqueeze(0)
    fits = Groups(own.whole, theta)
    figures = summarise_fits(own, fits, theta)
    found = covariances(own, fits, theta, figures, "observed")
    assert found == pytest.approx(figures.covariance, rel=1e-12)


def test_a_fixed_param_has_no_place_in_it() -> None:
    own = replace(problem(DECAY, START), free=(True, False, True))
    theta = own.initial.unsqueeze(0)
    fits = Groups(own.whole, theta)
    figures = summarise_fits(own, fits, theta)
    assert covariances(own, fits, theta, figures, "observed").shape == (1, 2, 2)


def test_far_from_a_minimum_there_is_no_observed_one() -> None:
    own = problem(DECAY, {"a": 0.5, "k": 30.0, "c": -5.0})
    theta = own.initial.unsqueeze(0)
    fits = Groups(own.whole, theta)
    figures = summarise_fits(own, fits, theta)
    assert np.isnan(covariances(own, fits, theta, figures, "observed")).all()
