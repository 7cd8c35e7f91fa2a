"""Comparison of models whose noise follows from each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.errors import InvalidRequest
from service.fitting.comparison.plan import to_comparison
from service.jobs.fit_backend import FIT_BACKEND
from service.jobs.history import Rows
from service.schemas.answers import Timings
from service.schemas.compare import CompareRequest
from service.settings import Settings
from tests.fitting.resampled import run

RNG = np.random.default_rng(31)
X = np.repeat([0.1, 0.3, 1, 3, 10, 30, 100.0], 3)
Y = (2 + 93 * X / (7 + X)) * (1 + 0.05 * RNG.standard_normal(21))
SMALL, LARGE = "y = d*x/(e + x)", "y = c + (d - c)*x/(e + x)"
REQUEST: dict[str, Any] = {"data": {"x": X.tolist(), "y": Y.tolist()}, "models": [SMALL, LARGE]}
TIMES = Timings(queued_s=0.0, fit_s=0.0)


def compared(**request: Any) -> Any:
    asked = CompareRequest.model_validate(request)
    plan = to_comparison(asked, Settings())
    running = FIT_BACKEND.start(plan, None)
    while not running.done:
        running.step(running.left)
    return FIT_BACKEND.explain(
        plan, running.result(None), Rows.empty(0, 0), job_id="job_1", timings=TIMES
    )


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("sigma", [
    {"expr": "0.05*pred"},
    {"expr": "s*pred", "estimate": ["s"]},
    {"expr": "s*pred**k", "estimate": ["s", "k"]},
])  # fmt: skip
def test_criteria_are_those_of_each_fit(sigma: dict[str, Any], absolute: bool) -> None:
    noise = {"sigma": sigma, "sigma_absolute": absolute}
    found = compared(**REQUEST, **noise)
    more = len(sigma.get("estimate", ())) - 1 if sigma.get("estimate") else 0
    for model in found.models:
        fit = run({"data": REQUEST["data"], "model": model.label, **noise})
        s = fit.statistics
        assert (model.aic, model.aicc, model.bic) == pytest.approx((s.aic, s.aicc, s.bic))
        free = 2 + (model.label == LARGE)
        known = absolute and not sigma.get("estimate")
        assert model.k == free + more + (not known)
        assert model.log_likelihood == pytest.approx(model.k - s.aic / 2)
        assert model.noise.params == pytest.approx(fit.noise.params)
    assert found.best == LARGE
    (test,) = found.tests
    larger, smaller = found.models
    ratio = 2 * (larger.log_likelihood - smaller.log_likelihood)
    assert (test.test, test.df1, test.df2) == ("lrt", 1, None)
    assert test.statistic == pytest.approx(ratio)
    assert test.p == pytest.approx(math.erfc(math.sqrt(ratio / 2)), rel=1e-6)


def test_curves_of_groups() -> None:
    twice = {"x": [*X, *X], "y": [*Y, *(1.5 * Y)], "g": [0.0] * 21 + [1.0] * 21}
    noise = {"sigma": {"expr": "s*pred", "estimate": ["s"]}}
    found = compared(data=twice, models=[LARGE], group_by="g", null={"shared": ["e"]}, **noise)
    assert found.best == "e shared"
    assert found.tests[0].p > 0.5


@pytest.mark.parametrize(("change", "pointer"), [
    ({"tests": ["f"]}, "/tests/0"),
    ({"tests": ["lrt", "lack_of_fit"]}, "/tests/1"),
    ({"data": {**REQUEST["data"], "g": [1.0] * 21}, "group_by": "g"}, "/group_by"),
    ({"sigma": {"expr": "q*pred"}}, "/sigma/expr"),
])  # fmt: skip
def test_what_is_refused(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        compared(**{**REQUEST, "sigma": {"expr": "0.05*pred"}, **change})
    assert refused.value.errors[0].pointer == pointer
