"""Fits with priors and constraints, without HTTP: resumed, in float32, and with curvature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from service.engine import Result, run_of
from service.engine.inference.covariance import of_kind
from service.engine.inference.statistics import summarise
from service.fitting.packing import pack, unpack
from tests.fitting.fits import plan

X = np.linspace(0, 8, 30)
Y = 3 * np.exp(-0.3 * X) + 2 * np.exp(-2 * X) + 0.02 * np.cos(17 * X)
PRIOR = {"mean": 2.3, "sd": 0.1}
ASKED: dict[str, Any] = {
    "model": "y = a*exp(-k1*x) + b*exp(-k2*x)",
    "data": {"x": X.tolist(), "y": Y.tolist()},
    "sigma": 0.02,
    "sigma_absolute": True,
}
CASES: dict[str, Any] = {
    "prior": {"params": {"k2": {"prior": PRIOR}}},
    "order": {"constraints": ["k1 < k2"]},
    "both": {"params": {"k2": {"prior": PRIOR}}, "constraints": ["k1 < k2", "a > b"]},
}


def finished(request: dict[str, Any], step: int | None = None) -> Result:
    made = plan(request)
    run = run_of(made.with_guesses().task)
    while not run.done:
        run.step(10_000 if step is None else step)
        if step is not None:
            run = run_of(made.with_guesses().task, unpack(pack(run.checkpoint())))
    found = run.result()
    assert isinstance(found, Result)
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_fit_ends_where_the_other_does(case: str) -> None:
    whole, parts = (finished({**ASKED, **CASES[case]}, step) for step in (None, 3))
    assert torch.equal(whole.params, parts.params)
    assert (whole.loss, whole.epochs) == (parts.loss, parts.epochs)


@pytest.mark.parametrize("case", CASES)
def test_float32(case: str) -> None:
    asked = {**ASKED, **CASES[case]}
    exact, found = finished(asked), finished({**asked, "dtype": "float32"})
    assert found.params.tolist() == pytest.approx(exact.params.tolist(), rel=2e-3)


def test_the_observed_covariance_is_the_inverse_of_half_the_hessian() -> None:
    """Of χ² with the prior, by central differences."""
    asked = {**ASKED, **CASES["prior"]}
    problem, theta = plan(asked).task.problem, finished(asked).params.double().cpu()
    place = problem.params.index("k2")

    def chi_squared(at: Any) -> float:
        p = dict(zip(problem.params, at, strict=True))
        fitted = p["a"] * np.exp(-p["k1"] * X) + p["b"] * np.exp(-p["k2"] * X)
        own = ((at[place] - PRIOR["mean"]) / PRIOR["sd"]) ** 2
        return float((((fitted - Y) / 0.02) ** 2).sum() + own)

    here, steps = theta.numpy(), np.diag(1e-4 * np.abs(theta.numpy()))
    hessian = np.array(
        [
            [
                sum(
                    i * j * chi_squared(here + i * one + j * other)
                    for i in (1, -1)
                    for j in (1, -1)
                )
                / (4 * one.sum() * other.sum())
                for other in steps
            ]
            for one in steps
        ]
    )
    found = of_kind(problem, summarise(problem, theta), "observed").covariance
    assert found is not None
    assert found == pytest.approx(np.linalg.inv(hessian / 2), rel=1e-4)
