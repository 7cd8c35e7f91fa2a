"""Statistics against closed forms, R's numbers, and StRD's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from service.certification import strd
from service.certification.agreement import digits_of
from service.engine import Problem
from service.engine.inference.statistics import Statistics, summarise
from tests.engine.builders import exactly, marquardt, problem
from tests.engine.known import CARS, PUROMYCIN

pytestmark = pytest.mark.usefixtures("device")

DATA = {"x": [1.0, 2.0, 3.0, 4.0, 6.0], "y": [2.2, 3.9, 6.3, 7.7, 12.4]}


def fitted(of: Problem) -> tuple[Statistics, dict[str, float], dict[str, float]]:
    """The statistics at the minimum, the params and their standard errors by name."""
    result = exactly(of) if of.is_linear else marquardt(of)
    statistics = summarise(of, result.params)
    values = dict(zip(of.params, result.params.tolist(), strict=True))
    stderr = statistics.stderr
    assert stderr is not None
    return statistics, values, dict(zip(statistics.free, stderr.tolist(), strict=True))


def test_a_line_in_closed_form() -> None:
    """Seber and Lee, Linear Regression Analysis, 2nd ed., 6.1."""
    x, y = np.array(DATA["x"]), np.array(DATA["y"])
    n, centred = len(x), x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    intercept = float(y.mean() - slope * x.mean())
    rss = float(np.sum((y - slope * x - intercept) ** 2))
    variance = rss / (n - 2)
    statistics, values, stderr = fitted(problem("w*x + b", DATA, {"w": 0.0, "b": 0.0}))
    assert values == pytest.approx({"w": slope, "b": intercept}, rel=1e-13)
    assert statistics.residual_std == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert stderr == pytest.approx(
        {
            "w": math.sqrt(variance / (centred @ centred)),
            "b": math.sqrt(variance * (1 / n + x.mean() ** 2 / (centred @ centred))),
        },
        rel=1e-12,
    )
    assert statistics.covariance is not None
    assert float(statistics.covariance[0, 1]) == pytest.approx(
        -x.mean() * variance / (centred @ centred), rel=1e-12
    )
    r_squared = 1 - rss / np.sum((y - y.mean()) ** 2)
    assert statistics.r_squared == pytest.approx(r_squared, rel=1e-14)
    assert statistics.adjusted_r_squared == pytest.approx(
        1 - (1 - r_squared) * (n - 1) / (n - 2), rel=1e-14
    )
    likelihood = -n / 2 * (math.log(2 * math.pi) + math.log(rss / n) + 1)
    assert statistics.aic == pytest.approx(-2 * likelihood + 2 * 3, rel=1e-13)
    assert statistics.bic == pytest.approx(-2 * likelihood + math.log(n) * 3, rel=1e-13)
    assert statistics.aicc == pytest.approx(
        -2 * likelihood + 2 * 3 + 2 * 3 * 4 / (n - 3 - 1), rel=1e-13
    )
    assert (statistics.n, statistics.degrees_of_freedom) == (n, n - 2)


def test_r_lm_of_cars() -> None:
    """R: summary(lm(dist ~ speed, cars)); AIC; BIC."""
    statistics, values, stderr = fitted(
        problem("dist = b0 + b1*speed", CARS, {"b0": 0.0, "b1": 0.0})
    )
    assert values == pytest.approx({"b0": -17.5791, "b1": 3.9324}, abs=5e-5)
    assert stderr == pytest.approx({"b0": 6.7584, "b1": 0.4155}, abs=5e-5)
    assert statistics.residual_std == pytest.approx(15.38, abs=5e-3)
    assert statistics.r_squared == pytest.approx(0.6511, abs=5e-5)
    assert statistics.adjusted_r_squared == pytest.approx(0.6438, abs=5e-5)
    assert statistics.aic == pytest.approx(419.1569, abs=5e-5)
    assert statistics.bic == pytest.approx(424.8929, abs=5e-5)
    assert statistics.degrees_of_freedom == 48


def test_r_nls_of_puromycin() -> None:
    """R: nls(rate ~ Vm*conc/(K + conc), Puromycin, state == "treated"); Bates and Watts, A1.3."""
    of = problem("rate = Vm*conc/(K + conc)", PUROMYCIN, {"Vm": 200.0, "K": 0.05})
    statistics, values, stderr = fitted(of)
    assert values == pytest.approx({"Vm": 212.7, "K": 0.06412}, rel=1e-4)
    assert stderr == pytest.approx({"Vm": 6.947, "K": 0.008281}, rel=1e-4)
    assert statistics.residual_std == pytest.approx(10.93, abs=5e-3)
    assert statistics.degrees_of_freedom == 10


@pytest.mark.parametrize("name", [name for name in strd.FORMULAS if name != "Lanczos1"])
def test_standard_errors_at_the_certified_params(name: str) -> None:
    """At the 11 certified digits the Jacobian gives the certified standard errors."""
    known = strd.load(name)
    of = problem(known.formula, known.data, known.params)
    statistics = summarise(of, of.initial)
    assert statistics.stderr is not None
    assert statistics.residual_std is not None
    found = dict(zip(statistics.free, statistics.stderr.tolist(), strict=True))
    assert min(digits_of(found[p], known.stderr[p]) for p in found) >= 7
    assert digits_of(statistics.residual_std, known.residual_std) >= 9
    # Rat43.dat writes 9 degrees of freedom; its 15 rows, 4 params and s = √(RSS/11) say 11.
    assert statistics.degrees_of_freedom == (11 if name == "Rat43" else known.degrees_of_freedom)


def test_relative_sigma_is_a_weight_and_its_size_does_not_matter() -> None:
    sigma = [0.1, 0.2, 0.1, 0.3, 0.2]
    first = fitted(problem("w*x + b", DATA, {"w": 0.0, "b": 0.0}, sigma=sigma))
    second = fitted(problem("w*x + b", DATA, {"w": 0.0, "b": 0.0}, sigma=[1000 * s for s in sigma]))
    assert second[1] == pytest.approx(first[1], rel=1e-12)
    assert second[2] == pytest.approx(first[2], rel=1e-10)
    assert second[0].r_squared == pytest.approx(float(first[0].r_squared or 0), rel=1e-12)
    assert second[0].aic == pytest.approx(float(first[0].aic or 0), rel=1e-10)


@pytest.mark.parametrize("absolute", [False, True])
def test_sigma_in_closed_form(absolute: bool) -> None:
    """A weighted mean: its variance is 1/Σw, times s² unless σ is absolute."""
    y, sigma = np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.0, 2.0])
    weights = 1 / sigma**2
    mean = float(weights @ y / weights.sum())
    chi_squared = float(weights @ (y - mean) ** 2)
    of = problem("m", {"y": y.tolist()}, {"m": 0.0}, sigma=sigma.tolist(), sigma_absolute=absolute)
    statistics, values, stderr = fitted(of)
    assert values["m"] == pytest.approx(mean, rel=1e-13)
    factor = 1.0 if absolute else chi_squared / 2
    assert stderr["m"] == pytest.approx(math.sqrt(factor / weights.sum()), rel=1e-12)
    assert statistics.reduced_chi_squared == pytest.approx(chi_squared / 2, rel=1e-12)


def test_scipys_curve_fit_with_sigma() -> None:
    """scipy 1.17: curve_fit(line, x, y, sigma=[.1,.2,.1,.3,.2], absolute_sigma=False and True)."""
    sigma = [0.1, 0.2, 0.1, 0.3, 0.2]
    x, y, w = np.array(DATA["x"]), np.array(DATA["y"]), 1 / np.array(sigma) ** 2
    design = np.stack([x, np.ones_like(x)], axis=1)
    inverse = np.linalg.inv(design.T @ (w[:, None] * design))
    theta = inverse @ design.T @ (w * y)
    s2 = float(w @ (y - design @ theta) ** 2 / 3)
    for absolute, factor in ((True, 1.0), (False, s2)):
        of = problem("w*x + b", DATA, {"w": 0.0, "b": 0.0}, sigma=sigma, sigma_absolute=absolute)
        _, _, stderr = fitted(of)
        expected = np.sqrt(factor * inverse.diagonal())
        assert list(stderr.values()) == pytest.approx(expected.tolist(), rel=1e-10)


def test_correlations_are_between_minus_one_and_one_and_one_with_oneself() -> None:
    statistics, _, _ = fitted(problem("a + b*x + c*x**2", DATA, dict.fromkeys("abc", 0.0)))
    correlation = statistics.correlation
    assert correlation is not None
    assert correlation.diagonal().tolist() == pytest.approx([1.0, 1.0, 1.0], abs=1e-14)
    assert float(np.abs(correlation - correlation.T).max()) < 1e-14
    assert float(np.abs(correlation).max()) <= 1.0 + 1e-15


def test_a_param_correlates_with_itself_by_exactly_one() -> None:
    statistics, _, _ = fitted(problem("dist = b0 + b1*speed", CARS, {"b0": 0.0, "b1": 0.0}))
    assert statistics.correlation is not None
    assert statistics.correlation.diagonal().tolist() == [1.0, 1.0]


def test_a_fixed_param_has_no_standard_error_and_costs_no_freedom() -> None:
    of = problem("w*x + b", DATA, {"w": 2.0, "b": 0.0}, fixed=["b"])
    statistics, _, stderr = fitted(of)
    assert set(stderr) == {"w"}
    assert statistics.degrees_of_freedom == 4


WITHOUT: dict[str, tuple[Problem, str]] = {
    "a loss with a corner": (problem("w*x", DATA, {"w": 2.0}, loss="mae"), "loss 'mae'"),
    "nothing free": (problem("w*x", DATA, {"w": 2.0}, fixed=["w"]), "no param is free"),
    "as many rows as params": (
        problem("w*x + b", {"x": [1.0, 2.0], "y": [1.0, 3.0]}, {"w": 2.0, "b": -1.0}),
        "no more rows than free params",
    ),
    "dependent params": (problem("(w + v)*x", DATA, {"w": 1.0, "v": 1.0}), "w, v"),
    "an infinite slope": (problem("a + sqrt(b*x)", DATA, {"a": 1.0, "b": 0.0}), "not finite"),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_where_there_is_no_covariance_there_is_a_reason(name: str) -> None:
    of, reason = WITHOUT[name]
    statistics = summarise(of, of.initial)
    assert statistics.covariance is None
    assert reason in str(statistics.covariance_reason)


def test_sigma_absolute_tells_the_noise_without_spare_rows() -> None:
    data = {"x": [1.0, 2.0], "y": [1.0, 3.0]}
    of = problem("w*x + b", data, {"w": 0.0, "b": 0.0}, sigma=[0.1, 0.1], sigma_absolute=True)
    _, _, stderr = fitted(of)
    assert stderr == pytest.approx({"w": 0.1 * math.sqrt(2), "b": 0.1 * math.sqrt(5)}, rel=1e-12)


def test_a_constant_target_has_no_r_squared() -> None:
    of = problem("w*x + b", {"x": [1.0, 2.0, 3.0], "y": [4.0] * 3}, {"w": 0.0, "b": 0.0})
    assert summarise(of, of.initial).r_squared is None


def offset(w: float, b: float) -> float:
    of = problem("w*x + b", DATA, {"w": w, "b": b})
    return summarise(of, of.initial).offset


def test_the_relative_offset_is_zero_at_the_minimum_and_grows_away_from_it() -> None:
    """Bates and Watts 2.10; one standard error away in one param of two, with 3 degrees of freedom,
    the residual's part in the tangent plane over that across it is √(1/2)/√(RSS/3/s²)."""
    of = problem("w*x + b", DATA, {"w": 0.0, "b": 0.0})
    statistics, values, stderr = fitted(of)
    assert offset(values["w"], values["b"]) < 1e-8
    centred = np.array(DATA["x"]) - np.mean(DATA["x"])
    away = stderr["w"] * math.sqrt(1.0)
    # Move along the direction in which only w's own uncertainty counts: b follows.
    moved = offset(values["w"] + away, values["b"] - away * float(np.mean(DATA["x"])))
    assert statistics.residual_std is not None
    along = away * math.sqrt(float(centred @ centred))
    assert moved == pytest.approx(along / math.sqrt(2) / statistics.residual_std, rel=1e-9)
    assert offset(values["w"] + 1, values["b"]) > moved


def test_statistics_are_reckoned_in_float64_whatever_the_fits_dtype() -> None:
    of: Any = problem("w*x + b", DATA, {"w": 0.0, "b": 0.0}, dtype=torch.float32)
    statistics = summarise(of, exactly(of).params)
    assert statistics.covariance is not None
    assert statistics.covariance.dtype == np.float64
    double = fitted(problem("w*x + b", DATA, {"w": 0.0, "b": 0.0}))[2]
    assert statistics.stderr is not None
    assert statistics.stderr.tolist() == pytest.approx(list(double.values()), rel=1e-5)


def test_a_perfect_fit_has_certain_params() -> None:
    of = problem("w*x + b", {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]}, {"w": 1.0, "b": 0.0})
    statistics = summarise(of, of.initial)
    assert statistics.stderr is not None
    assert statistics.stderr.tolist() == [0.0, 0.0]
    assert statistics.aic == -math.inf
    assert statistics.r_squared == 1.0


@pytest.mark.parametrize("rows", range(3, 13))
@pytest.mark.parametrize("value", [0.1, -3e150, 7e-100])
def test_of_a_target_that_does_not_vary_none_is_explained(rows: int, value: float) -> None:
    data = {"x": [float(i) for i in range(rows)], "y": [value] * rows}
    of = problem("y = a*x + b", data, {"a": 0.0, "b": 0.0})
    assert summarise(of, exactly(of).params).r_squared is None


def test_a_standard_error_whose_square_is_no_float_is_told() -> None:
    data = {"x": [1e150 * i for i in range(1, 6)], "y": [1e-75, 3e-75, 2e-75, 5e-75, 4e-75]}
    of = problem("y = a*x", data, {"a": 0.0})
    statistics = summarise(of, exactly(of).params)
    assert statistics.stderr is not None
    x, y = np.arange(1, 6), np.array([1.0, 3.0, 2.0, 5.0, 4.0])
    slope = x @ y / (x @ x)
    due = math.sqrt(((y - slope * x) ** 2).sum() / 4 / (x @ x)) * 1e-225
    assert float(statistics.stderr[0]) == pytest.approx(due, rel=1e-9)
