"""Effective doses by their closed forms: of falling and of rising curves, relative and absolute
(drc's `ED`, relative and with `type = "absolute"`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.schemas.answers import Fit
from tests.fitting.fits import fit

DOSE = np.repeat([0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0], 3)
NOISE = 0.05 * np.sin(7 * np.arange(len(DOSE)) ** 1.3)
FORMULA = "y = c + (d - c)/(1 + (dose/e)**b)"
CURVES: dict[str, tuple[float, float, float, float]] = {
    "falling": (0.5, 8.0, 3.0, 1.7),
    "rising": (8.0, 0.5, 3.0, 1.7),
}
"""c, d, e and b: the response is d without a dose and c at a large one."""
START = {"c": 4.0, "d": 5.0, "e": 2.0, "b": {"value": 1.0, "min": 0}}


def curve(dose: Any, c: float, d: float, e: float, b: float) -> Any:
    return c + (d - c) / (1 + (np.asarray(dose) / e) ** b)


def fitted(kind: str, **more: Any) -> Fit:
    data = {"dose": DOSE, "y": curve(DOSE, *CURVES[kind]) + NOISE}
    return fit(data=data, **{"model": FORMULA, **more})


def implicit(found: Fit, dose: float, level: Any) -> float:
    """The standard error of the dose at which `level`(θ), a function of the params, is reached:
    √(gᵀCg)/|f′| with g = ∂(f − level)/∂θ, by the implicit function theorem."""
    names = list(found.params)
    theta = np.array([found.params[name] for name in names])
    covariance = found.statistics.covariance
    assert covariance is not None
    c = np.array([[covariance[a][b] for b in names] for a in names])

    def apart(values: Any, x: float) -> float:
        by_name = dict(zip(names, values, strict=True))
        return float(curve(x, **by_name) - level(**by_name))

    g = np.empty(len(names))
    for i in range(len(names)):
        step = np.zeros(len(names))
        step[i] = 1e-6 * abs(theta[i])
        g[i] = (apart(theta + step, dose) - apart(theta - step, dose)) / (2 * step[i])
    slope = (apart(theta, dose * (1 + 1e-6)) - apart(theta, dose * (1 - 1e-6))) / (2e-6 * dose)
    return float(np.sqrt(g @ c @ g) / abs(slope))


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize(("name", "part"), [("ec10", 0.1), ("ec50", 0.5), ("ec90", 0.9)])
def test_a_relative_dose_has_that_part_of_the_effect(kind: str, name: str, part: float) -> None:
    family = {"name": "logistic4", "inputs": ["dose"], "target": "y"}
    found = fitted(kind, model=family, report="default")
    assert found.report is not None
    dose = found.report[name].value
    assert dose is not None
    shown = {key: found.params[key] for key in ("c", "d", "e", "b")}
    control, far = (float(curve(x, **shown)) for x in (1e-12, 1e12))
    assert (control < far) == (kind == "rising")
    effect = (float(curve(dose, **shown)) - control) / (far - control)
    assert effect == pytest.approx(part, rel=1e-6)

    def level(c: float, d: float, e: float, b: float) -> float:
        start, end = (d, c) if b > 0 else (c, d)
        return start + part * (end - start)

    stderr = found.report[name].stderr
    assert stderr == pytest.approx(implicit(found, dose, level), rel=1e-5)


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize("wanted", [2.0, 4.0, 7.0])
def test_an_absolute_dose_has_that_response(kind: str, wanted: float) -> None:
    expr = f"e*((d - {wanted})/({wanted} - c))**(1/b)"
    found = fitted(kind, params=START, report={"ed": expr})
    assert found.trustworthy
    assert found.report is not None
    dose, stderr = found.report["ed"].value, found.report["ed"].stderr
    assert dose is not None
    assert float(curve(dose, **found.params)) == pytest.approx(wanted, rel=1e-9)
    assert stderr == pytest.approx(implicit(found, dose, lambda **_: wanted), rel=1e-5)
    c, d, e, b = CURVES[kind]
    assert dose == pytest.approx(e * ((d - wanted) / (wanted - c)) ** (1 / b), rel=0.05)


@pytest.mark.parametrize("kind", CURVES)
def test_a_response_that_the_curve_does_not_reach_has_no_dose(kind: str) -> None:
    found = fitted(kind, params=START, report={"ed": "e*((d - 9)/(9 - c))**(1/b)"})
    assert found.report is not None
    assert not np.isfinite(found.report["ed"].value or np.nan)
    assert found.report["ed"].reason
    assert found.report["ed"].stderr is None
