"""What the families report is what its name says, by their own curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from service.catalogue.families import FAMILIES
from tests.engine.models.curves import formula_of

REPORTS = [(family, name) for family in FAMILIES.values() for name in family.reports]


def value(name: str, report: str, params: dict[str, float]) -> float:
    own, text = formula_of(name), FAMILIES[name].reports[report].expr
    theta = torch.tensor([[params[p] for p in own.params]], dtype=torch.float64)
    return float(own.derived(((report, text),)).read(theta)[0][0, 0])


def curve(name: str, params: dict[str, float], x: float | np.ndarray) -> np.ndarray:
    own = formula_of(name)
    theta = torch.tensor([params[p] for p in own.params], dtype=torch.float64)
    points = torch.from_numpy(np.atleast_1d(np.asarray(x, dtype=float)))
    found: np.ndarray = own.bind({"x": points}, len(points), theta).predict(theta).numpy()
    return found


@pytest.mark.parametrize(("family", "name"), REPORTS, ids=lambda each: getattr(each, "name", each))
def test_every_report_is_an_expression_of_the_params(family, name: str) -> None:
    assert name not in family.params
    params = dict.fromkeys(family.params, 1.0) | {"b": 2.0}
    params = {each: params[each] for each in family.params}
    assert math.isfinite(value(family.name, name, params))
    assert family.reports[name].meaning
    assert family.reports[name].unit


@pytest.mark.parametrize("b", [1.7, -1.7])
@pytest.mark.parametrize("name", ["logistic4", "logistic5", "hill"])
def test_an_ec_is_the_dose_of_that_part_of_the_effect(name: str, b: float) -> None:
    given = {"c": 0.5, "d": 8.0, "e": 3.0, "b": b, "f": 1.6, "Vmax": 8.0, "K": 3.0, "n": b}
    params = {each: given[each] for each in FAMILIES[name].params}
    control, far = curve(name, params, 1e-12)[0], curve(name, params, 1e12)[0]
    for part in (10, 50, 90):
        dose = value(name, f"ec{part}", params)
        effect = (curve(name, params, dose)[0] - control) / (far - control)
        assert effect == pytest.approx(part / 100, abs=1e-9)


@pytest.mark.parametrize("name", ["gaussian", "lorentzian", "pseudo_voigt"])
def test_widths_and_areas_of_peaks(name: str) -> None:
    given = {"a": 2.0, "mu": 1.0, "x0": 1.0, "sigma": 0.7, "hwhm": 0.7, "c": 0.0, "eta": 0.3}
    params = {each: given[each] for each in FAMILIES[name].params}
    half = curve(name, params, 1.0 + value(name, "fwhm", params) / 2)[0]
    assert half == pytest.approx(1.0, rel=1e-9)
    # With x = 1 + tan(u) the wings are within the grid.
    u = np.linspace(-math.pi / 2, math.pi / 2, 200_001)[1:-1]
    integrand = curve(name, params, 1.0 + np.tan(u)) / np.cos(u) ** 2
    area = float(np.trapezoid(integrand, u))
    assert value(name, "area", params) == pytest.approx(area, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "report", "params", "factor"),
    [
        ("exponential_decay", "half_life", {"a": 3.0, "k": 0.4, "c": 0.0}, 0.5),
        ("exponential_growth", "doubling_time", {"a": 3.0, "k": 0.4}, 2.0),
        ("exponential_decay", "time_constant", {"a": 3.0, "k": 0.4, "c": 0.0}, math.exp(-1)),
    ],
)
def test_times_of_exponentials(
    name: str, report: str, params: dict[str, float], factor: float
) -> None:
    at = value(name, report, params)
    ratio = curve(name, params, 1.0 + at) / curve(name, params, 1.0)
    assert ratio[0] == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "report", "params", "level"),
    [
        ("michaelis_menten", "x90", {"Vmax": 5.0, "Km": 2.0}, 4.5),
        ("langmuir", "x_half", {"qmax": 5.0, "K": 2.0}, 2.5),
        ("saturating_growth", "half_time", {"a": 5.0, "k": 2.0}, 2.5),
        ("logistic3", "x_half", {"L": 5.0, "k": 2.0, "x0": 1.0}, 2.5),
        ("gompertz", "x_half", {"a": 5.0, "k": 2.0, "x0": 1.0}, 2.5),
        ("weibull", "x_half", {"a": 5.0, "drop": 4.0, "scale": 2.0, "shape": 3.0}, 3.0),
        ("von_bertalanffy", "x_half", {"Linf": 5.0, "K": 2.0, "t0": 0.3}, 2.5),
        ("linear", "x_intercept", {"w": 2.0, "b": 3.0}, 0.0),
        ("ricker", "x_peak", {"a": 2.0, "b": 0.5}, 4.0 * math.exp(-1)),
    ],
)
def test_places_on_curves(name: str, report: str, params: dict[str, float], level: float) -> None:
    assert curve(name, params, value(name, report, params))[0] == pytest.approx(level, abs=1e-12)
