"""Criteria, weights, order and tests of compared models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.inference.comparison import (
    Noise,
    Ranking,
    f_test,
    lack_of_fit,
    likelihood_ratio,
    likelihoods,
    pure_error,
    ranking,
)

VALUES = st.lists(
    st.tuples(st.floats(-1e3, 1e3), st.integers(1, 8), st.booleans()), min_size=1, max_size=12
)


def ranked(rows: list[tuple[float, int, bool]]) -> Ranking:
    values, k, lead = (np.array(column) for column in zip(*rows, strict=True))
    failed = np.zeros((len(rows), 1), dtype=bool)
    return ranking(values.reshape(-1, 1), lead.reshape(-1, 1), failed, (k,))


@given(VALUES)
def test_weights_sum_to_1_and_the_first_is_trustworthy(rows: list[tuple[float, int, bool]]) -> None:
    found = ranked(rows)
    if not any(lead for *_, lead in rows):
        assert not found.rank.any()
        assert np.isnan(found.weight).all()
        return
    assert np.nansum(found.weight) == pytest.approx(1.0)
    first = int(found.order[0, 0])
    assert found.rank[first, 0] == 1
    assert rows[first][2]
    assert found.delta[first, 0] == 0
    behind = [value for value, *_ in (rows[i] for i in found.order[:, 0])]
    count = int((found.rank > 0).sum())
    assert behind[:count] == sorted(behind[:count])


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_the_models_does_not_matter(
    rows: list[tuple[float, int, bool]], random: object
) -> None:
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before, after = ranked(rows), ranked([rows[i] for i in shuffled])
    assert after.weight[:, 0] == pytest.approx(before.weight[shuffled, 0], nan_ok=True)
    assert after.delta[:, 0] == pytest.approx(before.delta[shuffled, 0], nan_ok=True)


def test_a_failed_fit_is_not_ranked() -> None:
    values = np.array([[1.0], [5.0], [np.nan]])
    failed = np.array([[False], [True], [False]])
    found = ranking(values, np.ones((3, 1), dtype=bool), failed, ())
    assert found.rank[:, 0].tolist() == [1, 0, 0]
    assert found.delta[1, 0] == 4.0


def test_likelihoods_with_known_and_unknown_sigma() -> None:
    rss, n, free = np.array([[3.0]]), np.array([10]), np.array([2])
    unknown = likelihoods(rss, n, free, Noise(np.zeros(1)))
    assert unknown.k[0, 0] == 3
    assert unknown.log_likelihood[0, 0] == pytest.approx(
        -5 * (np.log(2 * np.pi * 0.3) + 1), rel=1e-14
    )
    known = likelihoods(rss, n, free, Noise(np.array([10 * np.log(2.0)]), known=True))
    assert known.k[0, 0] == 2
    assert known.log_likelihood[0, 0] == pytest.approx(
        -1.5 - 5 * np.log(2 * np.pi) - 10 * np.log(2), rel=1e-14
    )
    assert known.aic[0, 0] == pytest.approx(4 - 2 * known.log_likelihood[0, 0])
    few = likelihoods(rss, np.array([4]), free, Noise(np.zeros(1)))
    assert np.isnan(few.aicc[0, 0])
    assert np.isfinite(few.aic[0, 0])


def test_a_larger_model_with_a_larger_rss_is_a_failed_fit() -> None:
    worse = f_test((1.0, 8), (1.1, 7), known=False)
    assert worse.failed
    assert worse.p is None
    assert likelihood_ratio((1.0, -3.0, 2), (1.1, -3.4, 3)).failed
    rounding = f_test((1.0, 8), (1.0 + 1e-12, 7), known=False)
    assert (rounding.statistic, rounding.p) == (0.0, 1.0)


def test_no_f_without_noise_to_estimate() -> None:
    assert f_test((1.0, 1), (0.5, 0), known=False).p is None
    assert f_test((1.0, 2), (0.5, 1), known=True).p is None
    assert f_test((1.0, 2), (float("nan"), 1), known=False).p is None


def test_pure_error_is_that_of_the_means_of_equal_rows() -> None:
    x = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 3.0])
    y = np.array([1.0, 3.0, 4.0, 5.0, 9.0, 7.0]) + 1e9
    error = pure_error([x], y, None)
    assert error.total == pytest.approx(2.0 + 14.0, rel=1e-9)
    assert (error.distinct, error.rows) == (3, 6)
    test = lack_of_fit(20.0, 2, error)
    assert (test.df1, test.df2) == (1, 3)
    assert test.statistic == pytest.approx(4.0 / (16.0 / 3))
    assert lack_of_fit(20.0, 3, error).p is None
    assert lack_of_fit(20.0, 2, pure_error([np.arange(6.0)], y, None)).p is None


def test_pure_error_is_weighted() -> None:
    sigma = np.array([1.0, 2.0])
    error = pure_error([np.array([1.0, 1.0])], np.array([0.0, 5.0]), sigma)
    assert error.total == pytest.approx(1.0 + 16.0 / 4)  # the weighted mean is 1
