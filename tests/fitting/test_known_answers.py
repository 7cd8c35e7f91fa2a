"""Fits whose answers are in books and packages."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.known import CARS, HOBBS, PUROMYCIN, RYEGRASS
from tests.fitting.fits import fit

pytestmark = pytest.mark.usefixtures("device")


def test_the_weeds_of_hobbs() -> None:
    """Nash, Nonlinear Parameter Optimization Using R Tools (2014): 196.1863, 49.0916, 0.3136,
    sum of squares 2.587, from the hard start of ones."""
    answer = fit(
        model="y = b1/(1 + b2*exp(-b3*t))", data=HOBBS, params={"b1": 1.0, "b2": 1.0, "b3": 1.0}
    )
    assert answer.stop_reason == "converged"
    assert answer.params["b1"] == pytest.approx(196.1863, abs=5e-5)
    assert answer.params["b2"] == pytest.approx(49.0916, abs=5e-5)
    assert answer.params["b3"] == pytest.approx(0.3136, abs=5e-5)
    assert answer.loss * 12 == pytest.approx(2.587, abs=5e-4)


@pytest.mark.parametrize(
    "model",
    ["c + (d - c)/(1 + exp(b*(log(conc) - log(e))))", "c + (d - c)/(1 + (conc/e)**b)"],
)
def test_ryegrass_by_drc(model: str) -> None:
    """drc: summary(drm(rootl ~ conc, data = ryegrass, fct = LL.4())): b 2.98222 (0.46506),
    c 0.48141 (0.21219), d 7.79296 (0.18857), e 3.05795 (0.18573), residual standard error 0.5196
    on 20 degrees of freedom. drc's standard errors are of the numerical Hessian, so 3 % off."""
    answer = fit(
        model=f"rootl = {model}", data=RYEGRASS, params={"b": 1.0, "c": 0.0, "d": 8.0, "e": 3.0}
    )
    expected = {"b": 2.98222, "c": 0.48141, "d": 7.79296, "e": 3.05795}
    assert answer.params == pytest.approx(expected, abs=1e-5)
    assert answer.statistics.residual_std == pytest.approx(0.5196256, abs=1e-6)
    assert answer.statistics.degrees_of_freedom == 20
    assert answer.statistics.stderr == pytest.approx(
        {"b": 0.46506, "c": 0.21219, "d": 0.18857, "e": 0.18573}, rel=0.03
    )


def test_michaelis_menten_by_nls() -> None:
    answer = fit(model="rate = Vm*conc/(K + conc)", data=PUROMYCIN, params={"Vm": 200, "K": 0.05})
    assert answer.params == pytest.approx({"Vm": 212.7, "K": 0.06412}, rel=1e-4)


def test_a_line_by_lm_with_its_intervals() -> None:
    """R: confint(lm(dist ~ speed, cars))."""
    answer = fit(model="dist = b0 + b1*speed", data=CARS)
    assert answer.optimizer == "exact"
    interval = answer.statistics.confidence_interval
    assert interval is not None
    assert interval.lower == pytest.approx({"b0": -31.167850, "b1": 3.096964}, abs=5e-7)
    assert interval.upper == pytest.approx({"b0": -3.990340, "b1": 4.767853}, abs=5e-7)


@pytest.mark.parametrize("inflection", [8.0, 9.0, 10.0])
def test_exact_data_end_where_only_rounding_is_left(inflection: float) -> None:
    x = np.arange(81) * 0.25
    y = 5 * np.exp(-np.exp(-1.2 * (x - inflection)))
    found = fit(model="gompertz", data={"x": x.tolist(), "y": y.tolist()})
    assert found.stop_reason == "converged"
    assert found.epochs < 20
    assert found.params["k"] == pytest.approx(1.2, rel=1e-13)
    assert found.verdict == "trustworthy"
