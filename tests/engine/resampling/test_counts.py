"""Counts drawn from their likelihood."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.catalogue.likelihoods import LIKELIHOODS
from service.engine.resampling.counts import Counts

MANY = 20_000
NUMBERS = (np.arange(MANY) + 0.5) / MANY


def counts_of(name: str, mean: float, weight: float) -> np.ndarray:
    """Counts at equal steps of the distribution function."""
    found = Counts.of(LIKELIHOODS[name], np.array([0.5, mean]), np.array([1.0, weight]))
    return found.drawn(np.ones(MANY, dtype=np.int64), NUMBERS)


@pytest.mark.parametrize(("mean", "weight"), [(0.01, 1.0), (2.0, 1.0), (0.4, 30.0), (9e4, 0.5)])
def test_poisson(mean: float, weight: float) -> None:
    found, own = counts_of("poisson", mean, weight), mean * weight
    assert (found == np.rint(found)).all()
    assert found.mean() == pytest.approx(own, rel=2e-3)
    assert found.var() == pytest.approx(own, rel=1e-2)
    if own < 100:
        assert (found == 0).mean() == pytest.approx(math.exp(-own), abs=2 / MANY)
        assert (found == 1).mean() == pytest.approx(own * math.exp(-own), abs=2 / MANY)


@pytest.mark.parametrize(("p", "n"), [(0.1, 1.0), (0.3, 12.0), (0.97, 40.0), (0.2, 10_000.0)])
def test_binomial(p: float, n: float) -> None:
    found = counts_of("binomial", p, n)
    assert (found == np.rint(found)).all()
    assert 0 <= found.min() <= found.max() <= n
    assert found.mean() == pytest.approx(n * p, rel=1e-3)
    assert found.var() == pytest.approx(n * p * (1 - p), rel=1e-2)
    if n < 100:
        assert (found == n).mean() == pytest.approx(p**n, abs=2 / MANY)


def test_means_that_leave_no_choice() -> None:
    assert set(counts_of("poisson", 0.0, 1.0)) == {0.0}
    assert set(counts_of("binomial", 0.0, 7.0)) == {0.0}
    assert set(counts_of("binomial", 1.0, 7.0)) == {7.0}


def test_a_row_is_drawn_by_its_own_number_alone() -> None:
    mean, weight = np.array([3.0, 800.0, 0.2]), np.ones(3)
    together = Counts.of(LIKELIHOODS["poisson"], mean, weight)
    rows, numbers = np.array([2, 0, 1, 0]), np.array([0.9, 0.31, 0.5, 0.99])
    found = together.drawn(rows, numbers)
    for i, row in enumerate(rows.tolist()):
        one = Counts.of(LIKELIHOODS["poisson"], mean[[row]], weight[[row]])
        assert one.drawn(np.array([0]), numbers[[i]]) == found[i]
