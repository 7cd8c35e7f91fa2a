"""`descent fit` and `descent compare` of counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

DATA = Path(__file__).parents[1] / "data"
LOGIT = "dead = 1/(1 + exp(-(a + b*log10_dose)))"
TRIALS = ("--likelihood", "binomial", "--n", "total")


def test_fit(run: Run) -> None:
    file = str(DATA / "csv" / "beetle.csv")
    done = run("fit", file, LOGIT, *TRIALS, "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    fit = json.loads(done.stdout)
    assert fit["params"] == pytest.approx({"a": -60.717455, "b": 34.270326}, abs=5e-7)
    more = json.loads(
        run("fit", file, LOGIT, *TRIALS, "--overdispersion", "pearson", "-f", "json").stdout
    )
    ratio = more["statistics"]["stderr"]["a"] / fit["statistics"]["stderr"]["a"]
    assert ratio**2 == pytest.approx(fit["statistics"]["likelihood"]["dispersion"], rel=1e-9)


def test_exposure_and_bins(run: Run) -> None:
    model = "counts = A*exp(-log(2)*hours/T) + b"
    asked = ("--likelihood", "poisson", "--exposure", "seconds", "-f", "oneline")
    done = run("fit", str(DATA / "recipes" / "counting.csv"), model, *asked)
    assert done.stdout.startswith("A=13.62±0.39 T=1.881±0.046 b=0.198±0.011 deviance=17.0081")
    file = str(DATA / "csv" / "fitting_demo.csv")
    asked = ("--likelihood", "poisson", "--bins", "lo,hi", "-f", "oneline")
    assert "deviance=" in run("fit", file, "count = a + b*x + c*x**2", *asked).stdout


def test_compare(run: Run) -> None:
    file = str(DATA / "csv" / "beetle.csv")
    cloglog = "dead = 1 - exp(-exp(a + b*log10_dose))"
    done = run("compare", file, LOGIT, cloglog, *TRIALS)
    assert (done.returncode, done.stderr) == (0, "")
    assert "deviance" in done.stdout


def test_an_option_without_its_likelihood_is_a_usage_error(run: Run) -> None:
    done = run("fit", "thermo.csv", "linear", "--exposure", "t")
    assert done.returncode == 2
    assert "--likelihood" in done.stderr
