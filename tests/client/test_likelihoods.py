"""Counts by both clients."""

from __future__ import annotations

from service.client import AsyncDescent, Descent

COUNTS = {"x": [0.0, 1, 2, 3, 4, 5], "y": [40.0, 27, 14, 12, 6, 2], "t": [1.0, 1, 1, 1, 2, 2]}
DECAY = "y = a*exp(-k*x)"
EXPOSED = {"name": "poisson", "exposure": "t"}


def test_counts(client: Descent) -> None:
    fit = client.fit(DECAY, COUNTS, likelihood=EXPOSED)
    likelihood = fit.statistics.likelihood
    assert likelihood is not None
    assert likelihood.deviance > 0
    at = client.loss(DECAY, COUNTS, fit.params, likelihood=EXPOSED)
    assert abs(at.loss * 6 - likelihood.deviance) < 1e-9
    slope = client.gradient(DECAY, COUNTS, fit.params, likelihood=EXPOSED, check=True)
    assert slope.check is not None
    assert slope.check.agree
    assert [each.name for each in client.likelihoods()] == ["poisson", "binomial"]
    assert "Pearson's χ²" in str(fit)


def test_groups_as_a_table(client: Descent) -> None:
    data = {**COUNTS, "g": [0.0, 1, 0, 1, 0, 1]}
    fits = client.fit(DECAY, data, group_by="g", likelihood="poisson")
    assert len(fits.columns()["deviance"]) == 2


def test_comparison(client: Descent) -> None:
    found = client.compare(COUNTS, [DECAY, "y = a - k*x"], likelihood="poisson")
    assert found.best == DECAY
    assert "deviance" in str(found)


async def test_without_blocking(aclient: AsyncDescent) -> None:
    fit = await aclient.fit(DECAY, COUNTS, likelihood="poisson")
    assert fit.statistics.likelihood is not None
