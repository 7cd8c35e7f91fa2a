"""Unknowns from a standard curve, held against closed forms and published figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.formula import read_formula
from service.engine.inference import inversion
from service.engine.inference.distributions import t_quantile
from service.engine.inference.inversion import Kind, Unknowns, invert
from service.engine.inference.roots import find_roots
from service.engine.inference.standard_curves import Range, Readings, StandardCurves
from service.engine.scaling import Scale

Floats = Any
LINE = "y = a + b*x"
LOGISTIC = "y = d + (a - d)/(1 + (x/c)**b)"
RISING = {"a": 0.1, "b": 1.3, "c": 20.0, "d": 2.0}


def curves(
    model: str,
    params: Mapping[str, Floats],
    covariance: Floats = None,
    degrees: float = 10.0,
    level: float = 0.95,
    scaling: Mapping[str, Scale] | None = None,
    inputs: tuple[str, ...] = ("x",),
) -> StandardCurves:
    """One curve, or one for each value of the params; the covariance in their order."""
    formula = read_formula(model, frozenset(inputs), frozenset(params))
    theta = np.array([np.atleast_1d(params[name]) for name in formula.params]).T
    order = [list(params).index(name) for name in formula.params]
    if covariance is not None:
        covariance = np.array(covariance, dtype=float)[..., order, :][..., order]
        covariance = np.broadcast_to(covariance, (len(theta), *covariance.shape[-2:]))
    t = np.full(len(theta), t_quantile(0.5 + level / 2, degrees))
    free = tuple(range(len(formula.params)))
    return StandardCurves(formula, "x", scaling or {}, theta, free, covariance, t)


def readings(mean: Floats, variance: float = 0.0, curve: Floats = 0, **others: Floats) -> Readings:
    mean = np.atleast_1d(np.array(mean, dtype=float))
    at = np.broadcast_to(np.array(curve, dtype=np.int64), mean.shape)
    named = {name: np.array(column, dtype=float) for name, column in others.items()}
    return Readings(mean, np.full(len(mean), variance), at, named)


def solved(
    made: StandardCurves, what: Readings, known: Range, searched: Range | None = None,
    kind: Kind = "inversion",
) -> Unknowns:  # fmt: skip
    return invert(made, what, known, searched or known, kind)


def fitted_line(rng: np.random.Generator, slope: float, noise: float) -> tuple[Floats, Floats, Any]:
    """x, θ̂ = (a, b) and s² of a line fitted to ten points."""
    x = np.arange(10.0)
    y = 1 + slope * x + noise * rng.standard_normal(len(x))
    design = np.column_stack([np.ones_like(x), x])
    theta, rss, *_ = np.linalg.lstsq(design, y)
    return x, theta, float(rss[0]) / (len(x) - 2)


def fieller(x: Floats, theta: Floats, variance: float, mean: float, m: int, t: float) -> Floats:
    """The closed form of Draper and Smith, 3.2; None where it is not an interval."""
    a, b = theta
    about = x.mean()
    sxx = ((x - about) ** 2).sum()
    g = t**2 * variance / (b**2 * sxx)
    if g >= 1:
        return None
    apart = (mean - a) / b - about
    half = t / b * math.sqrt(variance * (apart**2 / sxx + (1 - g) * (1 / m + 1 / len(x))))
    ends = about + (apart + half) / (1 - g), about + (apart - half) / (1 - g)
    return tuple(sorted(ends))


@given(seed=st.integers(0, 10**6), where=st.floats(0.0, 9.0), m=st.integers(1, 5))
def test_the_interval_of_a_line_is_fiellers(seed: int, where: float, m: int) -> None:
    x, theta, variance = fitted_line(np.random.default_rng(seed), 0.5, 0.4)
    design = np.column_stack([np.ones_like(x), x])
    covariance = variance * np.linalg.inv(design.T @ design)
    made = curves(LINE, {"a": theta[0], "b": theta[1]}, covariance, degrees=8)
    mean = theta[0] + theta[1] * where
    expected = fieller(x, theta, variance, mean, m, float(made.t[0]))
    found = solved(made, readings(mean, variance / m), (0.0, 9.0))
    assert found.estimate[0] == pytest.approx(where, abs=1e-9)
    if expected is None:
        assert found.status[0] == inversion.UNBOUNDED
        return
    assert (found.lower[0], found.upper[0]) == pytest.approx(expected, rel=1e-8, abs=1e-8)
    assert found.status[0] == inversion.OK


def test_a_slope_that_is_not_significant_has_no_bounded_interval() -> None:
    """g ≥ 1: the set is all x, or two pieces; and an end that is missing is said to be."""
    x, theta, variance = fitted_line(np.random.default_rng(3), 0.0, 1.0)
    design = np.column_stack([np.ones_like(x), x])
    covariance = variance * np.linalg.inv(design.T @ design)
    made = curves(LINE, {"a": theta[0], "b": theta[1]}, covariance, degrees=8)
    mean = theta[0] + theta[1] * np.array([4.5, 0.0])
    assert fieller(x, theta, variance, float(mean[0]), 1, float(made.t[0])) is None
    found = solved(made, readings(mean, variance), (0.0, 9.0))
    assert found.status.tolist() == [inversion.UNBOUNDED] * 2
    assert found.is_open.any(axis=0).all()
    assert np.isnan(found.lower).any()
    assert np.isfinite(found.estimate).all()


def test_an_interval_in_two_pieces_has_no_ends() -> None:
    """With g > 1 and a reading far from the mean, x beyond the opposite end fit as well."""
    made = curves(LINE, {"a": 0.0, "b": 1.0}, [[1e-4, 0.0], [0.0, 0.3]], degrees=8)
    found = solved(made, readings(100.0, 1e-4), (0.0, 200.0))
    assert found.status[0] == inversion.UNBOUNDED
    assert found.in_pieces[0]
    assert np.isnan([found.lower[0], found.upper[0]]).all()


@given(x=st.floats(1e-6, 200.0), rising=st.booleans())
def test_a_prediction_is_inverted_to_its_x(x: float, rising: bool) -> None:
    params = RISING if rising else {**RISING, "a": 2.0, "d": 0.1}
    made = curves(LOGISTIC, params)
    y = float(made.read(made.program, np.array([x]), np.zeros(1, dtype=int), {})[0, 0])
    found = solved(made, readings(y), (0.0, 200.0), kind="none")
    slope = float(made.read(made.program, np.array([x]), np.zeros(1, dtype=int), {})[1, 0])
    assert found.status[0] == inversion.OK
    assert found.estimate[0] == pytest.approx(x, rel=1e-9, abs=8e-16 / abs(slope))


def test_the_standard_error_is_that_of_the_delta_method() -> None:
    covariance = np.diag([1e-4, 1e-3, 0.5, 4e-4])
    made = curves(LOGISTIC, RISING, covariance)
    (x,) = solved(made, readings(1.2, 0.01), (0.0, 200.0), kind="wald").estimate

    def inverse(y: float, a: float, b: float, c: float, d: float) -> float:
        return float(c * ((a - d) / (y - d) - 1) ** (1 / b))

    at = (1.2, *RISING.values())
    assert x == pytest.approx(inverse(*at), rel=1e-12)
    variance = 0.0
    for i, spread in enumerate([0.01, *np.diag(covariance)]):
        h = 1e-6 * at[i]
        up, down = (inverse(*(v + s * h * (i == j) for j, v in enumerate(at))) for s in (1, -1))
        variance += spread * ((up - down) / (2 * h)) ** 2
    found = solved(made, readings(1.2, 0.01), (0.0, 200.0), kind="wald")
    assert found.stderr[0] == pytest.approx(math.sqrt(variance), rel=1e-7)
    half = made.t[0] * found.stderr[0]
    assert (found.lower[0], found.upper[0]) == pytest.approx((x - half, x + half), rel=1e-12)


@pytest.mark.parametrize(("a", "d"), [(0.1, 2.0), (2.0, 0.1)])
def test_below_and_above_are_sides_of_x_not_of_y(a: float, d: float) -> None:
    """Of a falling curve, a reading below it is of a sample above all that it can tell."""
    made = curves(LOGISTIC, {**RISING, "a": a, "d": d})
    found = solved(made, readings([a + (a - d), d + (d - a)]), (0.0, 200.0), kind="none")
    assert found.status.tolist() == [inversion.BELOW, inversion.ABOVE]
    assert np.isnan(found.estimate).all()


def test_beyond_the_calibrators_is_extrapolated_and_not_the_end_itself() -> None:
    made = curves(LINE, {"a": 1.0, "b": 2.0})
    what = readings([1 + 2 * x for x in (0.0, 10.0, 10.1, 20.1, -0.1)])
    found = solved(made, what, (0.0, 10.0), (0.0, 20.0), kind="none")
    names = [inversion.OK, inversion.OK, inversion.EXTRAPOLATED, inversion.ABOVE, inversion.BELOW]
    assert found.status.tolist() == names
    assert found.estimate[:3] == pytest.approx([0.0, 10.0, 10.1], abs=1e-12)


def test_all_solutions_of_a_peak_are_listed() -> None:
    made = curves("y = exp(-0.5*((x - m)/w)**2)", {"m": 5.0, "w": 1.0})
    top = 1 - 1e-9  # both solutions are in one cell of the grid
    found = solved(made, readings([0.5, top, 1.5]), (0.0, 10.0), kind="inversion")
    assert found.status[:2].tolist() == [inversion.NOT_MONOTONE] * 2
    half = math.sqrt(2 * math.log(2))
    near = math.sqrt(-2 * math.log(top))
    assert found.roots == pytest.approx([5 - half, 5 + half, 5 - near, 5 + near], rel=1e-6)
    assert found.owner.tolist() == [0, 0, 1, 1]
    assert np.isnan(found.estimate).all()


def test_a_range_chooses_one_of_several_solutions() -> None:
    covariance = np.diag([1e-6, 1e-6])
    made = curves("y = exp(-0.5*((x - m)/w)**2)", {"m": 5.0, "w": 1.0}, covariance)
    found = solved(made, readings(0.5, 1e-6), (0.0, 10.0), (0.0, 5.0))
    assert found.status[0] == inversion.OK
    assert found.estimate[0] == pytest.approx(5 - math.sqrt(2 * math.log(2)), rel=1e-9)
    assert 3.8 < found.lower[0] < found.estimate[0] < found.upper[0] < 3.9


def test_of_solutions_those_among_the_calibrators_count() -> None:
    """The mirror image of a parabola's solution is beyond its calibrators."""
    made = curves("y = a*x**2", {"a": 1.0})
    found = solved(made, readings(4.0), (1.0, 3.0), (-5.0, 5.0), kind="none")
    assert (found.status[0], found.estimate[0]) == (inversion.OK, pytest.approx(2.0))


def test_a_pole_and_a_step_are_no_solutions() -> None:
    pole = curves("y = a/(x - b)", {"a": 1.0, "b": 3.3})
    found = solved(pole, readings(0.0), (0.0, 10.0), kind="none")
    assert np.isnan(found.estimate[0])
    step = curves("y = where(x < k, a, b)", {"k": 3.3, "a": 1.0, "b": 2.0})
    found = solved(step, readings(1.5), (0.0, 10.0), kind="none")
    assert np.isnan(found.estimate[0])


def test_the_logarithm_of_0_is_the_end_of_the_curve() -> None:
    """t1/(1 + exp(t2 + t3·log(x))) is t1 at x = 0, where an interval may end."""
    made = curves(
        "y = t1/(1 + exp(t2 + t3*log(x)))", {"t1": 9.0, "t2": -0.6, "t3": 1.35}, 1e-4 * np.eye(3)
    )
    found = solved(made, readings([9.0, 8.95], 0.01), (0.0, 4.0))
    assert found.status.tolist() == [inversion.OK] * 2
    assert (found.estimate[0], found.lower[1]) == (0.0, 0.0)
    assert 0 < found.estimate[1] < found.upper[1] < 1
    line = curves("y = a + b*log(x)", {"a": 1.0, "b": 2.0}, 1e-4 * np.eye(2))
    found = solved(line, readings(-3.0, 0.01), (0.0, 4.0))
    assert found.estimate[0] == pytest.approx(math.exp(-2), rel=1e-12)
    assert 0 < found.lower[0] < found.upper[0]


def test_beyond_an_asymptote_the_interval_has_no_end() -> None:
    made = curves(LOGISTIC, RISING, np.diag([1e-4, 1e-3, 0.5, 4e-4]))
    found = solved(made, readings([1.0, 1.98], 0.01), (0.0, 200.0), (0.0, 2000.0))
    assert found.status.tolist() == [inversion.OK, inversion.EXTRAPOLATED]
    assert found.is_open[:, 1].tolist() == [False, True]
    assert np.isnan(found.upper[1])
    assert found.lower[1] < found.estimate[1]


def test_many_curves_are_as_one_at_a_time() -> None:
    rng = np.random.default_rng(5)
    a, c = rng.uniform(0.0, 0.2, 30), rng.uniform(10, 30, 30)
    covariance = np.array([np.diag(rng.uniform(1e-5, 1e-4, 4)) for _ in range(30)])
    params = {"a": a, "b": np.full(30, 1.3), "c": c, "d": np.full(30, 2.0)}
    at = rng.integers(0, 30, 200)
    y = rng.uniform(0.0, 2.2, 200)
    together = solved(curves(LOGISTIC, params, covariance), readings(y, 1e-3, at), (0.0, 200.0))
    for group in range(30):
        own = at == group
        single = curves(LOGISTIC, {k: v[group] for k, v in params.items()}, covariance[group])
        alone = solved(single, readings(y[own], 1e-3), (0.0, 200.0))
        assert together.status[own].tolist() == alone.status.tolist()
        for name in ("estimate", "stderr", "lower", "upper"):
            pair = getattr(together, name)[own], getattr(alone, name)
            np.testing.assert_allclose(*pair, rtol=1e-9, equal_nan=True)


def test_a_curve_that_failed_has_no_unknowns() -> None:
    params = {"a": np.array([1.0, np.nan]), "b": np.array([2.0, 1.0])}
    found = solved(curves(LINE, params), readings([5.0, 5.0], curve=[0, 1]), (0.0, 10.0))
    assert found.status.tolist() == [inversion.OK, inversion.NO_CURVE]


def test_other_inputs_and_scales() -> None:
    """x′ = 10·x − 3 in the formula; each sample at its own temperature."""
    made = curves(
        "y = a*x + b*temp", {"a": 0.5, "b": 0.1}, np.diag([1e-4, 1e-4]),
        scaling={"x": Scale(10.0, -3.0)}, inputs=("x", "temp"),
    )  # fmt: skip
    temp = np.array([20.0, 30.0, 20.0])
    x = np.array([1.0, 2.0, 3.0])
    y = 0.5 * (10 * x - 3) + 0.1 * temp
    found = solved(made, readings(y, 0.01, temp=temp), (0.0, 5.0))
    assert found.estimate == pytest.approx(x, rel=1e-12)
    variance = 0.01 + 1e-4 * (10 * x - 3) ** 2 + 1e-4 * temp**2
    assert found.stderr == pytest.approx(np.sqrt(variance) / 5, rel=1e-12)


def test_no_readings_have_no_unknowns() -> None:
    found = solved(curves(LINE, {"a": 1.0, "b": 2.0}), readings([]), (0.0, 1.0))
    assert len(found.estimate) == len(found.roots) == 0


@given(root=st.floats(-50.0, 50.0), power=st.sampled_from([1, 3, 5]), scale=st.floats(1e-3, 1e3))
def test_roots_are_found_to_rounding(root: float, power: int, scale: float) -> None:
    def function(x: Floats, _: Floats) -> Floats:
        return scale * (x - root) ** power * np.exp(0.01 * x)

    a, b = np.array([-60.0]), np.array([70.0])
    i = np.zeros(1, dtype=int)
    found = find_roots(function, a, function(a, i), b, function(b, i), 1e-30)
    assert found.best[0] == pytest.approx(root, rel=1e-14, abs=1e-14)
