"""POST /compare of counts: by their likelihood, nested ones by its ratio; curves; refusals."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest

from tests.api.fits import fit
from tests.api.test_compare import compare
from tests.api.test_likelihoods import BEETLES, DOBSON, HISTOGRAM, LOGIT, PEAK, spectra

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRIALS = {"name": "binomial", "n": "total"}
CLOGLOG = "dead = 1 - exp(-exp(a + b*log10_dose))"


async def test_links_of_the_beetles(client: httpx.AsyncClient) -> None:
    """R's glm: deviances 11.2322 and 3.4464, AIC 41.430 and 33.644."""
    found = await compare(
        client, data=BEETLES, likelihood=TRIALS, criterion="aic",
        models=[{"label": "logit", "model": LOGIT}, {"label": "cloglog", "model": CLOGLOG}],
    )  # fmt: skip
    best, second = found["models"]
    assert [best["label"], second["label"]] == ["cloglog", "logit"]
    assert [best["rss"], second["rss"]] == pytest.approx([3.4464, 11.2322], abs=5e-5)
    assert [best["aic"], second["aic"]] == pytest.approx([33.644, 41.430], abs=5e-4)
    assert [best["k"], second["k"]] == [2, 2]
    alone = await fit(client, data=BEETLES, model=LOGIT, likelihood=TRIALS)
    for name in ("aic", "aicc", "bic"):
        assert second[name] == pytest.approx(alone["statistics"][name], rel=1e-9)


async def test_ratio_of_nested_models(client: httpx.AsyncClient) -> None:
    """The difference of the deviances is χ² with one degree of freedom, by default."""
    found = await compare(
        client, data=DOBSON, likelihood="poisson",
        models=["y = a + b*x", "y = a + b*x + c*x**2"],
    )  # fmt: skip
    rss = {model["label"]: model["rss"] for model in found["models"]}
    (test,) = found["tests"]
    ratio = rss["y = a + b*x"] - rss["y = a + b*x + c*x**2"]
    assert (test["test"], test["df1"], test["nested"]) == ("lrt", 1, "proved")
    assert test["statistic"] == pytest.approx(ratio, rel=1e-9)
    assert test["p"] == pytest.approx(math.erfc(math.sqrt(ratio / 2)), rel=1e-9)


async def test_a_peak_over_bins(client: httpx.AsyncClient) -> None:
    found = await compare(
        client, data=HISTOGRAM, likelihood="poisson", bins=["lo", "hi"],
        models=[
            {"label": "peak", "model": PEAK},
            {"label": "none", "model": "count = p0 + p1*x + p2*x**2"},
        ],
    )  # fmt: skip
    first = found["models"][0]
    assert first["label"] == "peak"
    assert first["rss"] == pytest.approx(55.668382, abs=5e-7)


async def test_curves(client: httpx.AsyncClient) -> None:
    """One rate for all groups, or one each."""
    body = {"data": spectra(), "likelihood": "poisson", "group_by": "g"}
    found = await compare(client, **body, models=["y = a*exp(-k*x)"], null={"shared": ["k"]})
    (test,) = found["tests"]
    assert (test["test"], test["df1"]) == ("lrt", 2)
    shared = await fit(
        client, **{**body, "group_by": {"column": "g", "shared": ["k"]}}, model="y = a*exp(-k*x)"
    )
    model = next(each for each in found["models"] if each["label"] == "k shared")
    assert model["aicc"] == pytest.approx(shared["statistics"]["aicc"], rel=1e-9)
    groups = await compare(client, **body, models=["y = a*exp(-k*x)", "y = a - k*x"])
    alone = await fit(client, **body, model="y = a*exp(-k*x)")
    by_label = {model["label"]: model for model in groups["models"]}
    logs = by_label["y = a*exp(-k*x)"]["log_likelihood"]
    assert logs == pytest.approx(alone["groups"]["likelihood"]["log_likelihood"], rel=1e-9)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"tests": ["f"]}, "/tests/0"),
        ({"tests": ["lrt", "lack_of_fit"]}, "/tests/1"),
        (
            {"likelihood": {"name": "poisson", "overdispersion": "pearson"}},
            "/likelihood/overdispersion",
        ),
        ({"models": [{"model": "y = a + b*x", "likelihood": "poisson"}]}, "/models/0/likelihood"),
        ({"likelihood": {"name": "poisson", "exposure": "t"}}, "/likelihood/exposure"),
        ({"sigma": 1.0}, "/sigma"),
    ],
)
async def test_refusals(client: httpx.AsyncClient, change: dict[str, Any], pointer: str) -> None:
    body = {"data": DOBSON, "likelihood": "poisson", "models": ["y = a + b*x"], **change}
    answer = await client.post("/compare", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
