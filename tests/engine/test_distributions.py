"""Quantiles and tails of Student's t; tails of F and χ²."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.inference.distributions import (
    chi_squared_tail,
    f_tail,
    incomplete_beta,
    t_quantile,
    t_tail,
)

# (probability, degrees, t): roots of the incomplete beta function in 40 digits, by mpmath 1.3; the
# rows for 0.975 and 0.995 are those of every printed table.
TABLE = [
    (0.6, 1, 0.32491969623290633),
    (0.6, 2, 0.28867513459481288),
    (0.6, 30, 0.25560536495191277),
    (0.75, 1, 1.0),
    (0.75, 3, 0.76489232840434528),
    (0.75, 120, 0.67653972491252022),
    (0.95, 1, 6.3137515146750431),
    (0.95, 5, 2.0150483733330242),
    (0.95, 1000, 1.6463788172854647),
    (0.975, 1, 12.706204736174705),
    (0.975, 2, 4.3026527297494639),
    (0.975, 3, 3.1824463052837096),
    (0.975, 5, 2.5705818356363155),
    (0.975, 10, 2.2281388519862747),
    (0.975, 30, 2.0422724563012383),
    (0.975, 120, 1.9799304050824408),
    (0.975, 1000, 1.9623390808264085),
    (0.975, 1e6, 1.959966356814107),
    (0.995, 1, 63.656741162871581),
    (0.995, 10, 3.1692726726169512),
    (0.9995, 2, 31.599054576443621),
    (0.9995, 30, 3.6459586350420218),
    (0.99999, 1, 31830.988607907092),
    (0.99999, 10, 7.5269540193396511),
    (0.99999, 1e6, 4.2649112540696597),
]


@pytest.mark.parametrize(("probability", "degrees", "t"), TABLE)
def test_a_quantile_of_the_table(probability: float, degrees: float, t: float) -> None:
    """To 1e-9; in the far tail to what 1 − p keeps: its rounding over 1 − p."""
    slack = max(1e-9, 4e-16 / (1 - probability))
    assert t_quantile(probability, float(degrees)) == pytest.approx(t, rel=slack)


@pytest.mark.parametrize("probability", [0.55, 0.9, 0.975, 0.9999])
def test_one_and_two_degrees_in_closed_form(probability: float) -> None:
    cauchy = math.tan(math.pi * (probability - 0.5))
    alpha = 4 * probability * (1 - probability)
    two = 2 * (probability - 0.5) * math.sqrt(2 / alpha)
    assert t_quantile(probability, 1.0) == pytest.approx(cauchy, rel=1e-11)
    assert t_quantile(probability, 2.0) == pytest.approx(two, rel=1e-11)


@given(st.floats(0.5, 0.99999), st.floats(0.5, 1e5))
def test_a_quantile_has_its_probability(probability: float, degrees: float) -> None:
    """To 1e-10: lgamma of 5·10⁴ is good to as much."""
    t = t_quantile(probability, degrees)
    assert 1 - t_tail(t, degrees) == pytest.approx(probability, abs=1e-10)


@given(st.floats(0.3, 50), st.floats(0.3, 50), st.floats(0.001, 0.999))
def test_the_incomplete_beta_function_is_symmetric(a: float, b: float, x: float) -> None:
    """Abramowitz and Stegun 26.5.2."""
    assert incomplete_beta(a, b, x) + incomplete_beta(b, a, 1 - x) == pytest.approx(1, abs=1e-11)


def test_the_incomplete_beta_function_of_whole_numbers() -> None:
    """I_x(1, b) = 1 − (1−x)^b; I_x(2, 2) = 3x² − 2x³."""
    assert incomplete_beta(1, 3, 0.2) == pytest.approx(1 - 0.8**3, rel=1e-14)
    assert incomplete_beta(2, 2, 0.3) == pytest.approx(3 * 0.09 - 2 * 0.027, rel=1e-14)
    assert (incomplete_beta(2, 3, 0.0), incomplete_beta(2, 3, 1.0)) == (0.0, 1.0)


# (F, df1, df2, P(F > f)) and (χ², degrees, P(χ² > x)): points of every printed table.
F_TABLE = [
    (161.4476, 1, 1, 0.05),
    (4.964603, 1, 10, 0.05),
    (10.04429, 1, 10, 0.01),
    (3.325835, 5, 10, 0.05),
    (3.841459, 1, 1e8, 0.05),
]
CHI_SQUARED = [
    (3.841459, 1, 0.05),
    (6.634897, 1, 0.01),
    (5.991465, 2, 0.05),
    (18.30704, 10, 0.05),
    (124.3421, 100, 0.05),
    (2.705543, 1, 0.1),
    (0.003932140, 1, 0.95),
]


@pytest.mark.parametrize(("f", "df1", "df2", "p"), F_TABLE)
def test_tails_of_f_are_those_of_the_tables(f: float, df1: float, df2: float, p: float) -> None:
    assert f_tail(f, df1, df2) == pytest.approx(p, rel=2e-6)


@pytest.mark.parametrize(("x", "degrees", "p"), CHI_SQUARED)
def test_tails_of_chi_squared_are_those_of_the_tables(x: float, degrees: float, p: float) -> None:
    assert chi_squared_tail(x, degrees) == pytest.approx(p, rel=2e-6)


@given(st.floats(0.01, 50), st.floats(1, 200))
def test_f_with_one_degree_is_the_square_of_t(t: float, degrees: float) -> None:
    assert f_tail(t * t, 1, degrees) == pytest.approx(2 * t_tail(t, degrees), rel=1e-9)


@given(st.floats(0.01, 200))
def test_chi_squared_with_two_degrees_is_exponential(x: float) -> None:
    assert chi_squared_tail(x, 2) == pytest.approx(math.exp(-x / 2), rel=1e-11)


@given(st.floats(0.1, 60), st.integers(1, 60))
def test_f_tends_to_chi_squared(x: float, degrees: int) -> None:
    limit = chi_squared_tail(x, degrees)
    assert f_tail(x / degrees, degrees, 1e7) == pytest.approx(limit, rel=1e-3, abs=1e-12)


def test_tails_end_at_0_and_1() -> None:
    assert (f_tail(0.0, 3, 4), f_tail(math.inf, 3, 4)) == (1.0, 0.0)
    assert (chi_squared_tail(0.0, 3), chi_squared_tail(math.inf, 3)) == (1.0, 0.0)
