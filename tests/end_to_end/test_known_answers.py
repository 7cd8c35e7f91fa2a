"""Published results, from a plain request over HTTP on a real socket.

The tolerance is a unit of the last digit that the source prints: some stop a little short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

Printed = Mapping[str, str]
"""Numbers as the source prints them."""


@dataclass(frozen=True)
class Known:
    """The model, data and start of a request, and the published results."""

    model: str | dict[str, Any]
    data: Mapping[str, list[float]]
    params: Printed
    start: Mapping[str, float] = field(default_factory=dict)
    stderr: Printed = field(default_factory=dict)
    statistics: Printed = field(default_factory=dict)
    rss: str | None = None


def columns(**texts: str) -> dict[str, list[float]]:
    """Columns from their numbers as text."""
    return {name: [float(number) for number in text.split()] for name, text in texts.items()}


RYEGRASS = columns(
    conc="0 0 0 0 0 0 0.94 0.94 0.94 1.88 1.88 1.88 3.75 3.75 3.75 7.5 7.5 7.5 15 15 15 30 30 30",
    rootl="7.58 8 8.3285714 7.25 7.375 7.9625 8.3555556 6.9142857 7.75 6.8714286 6.45 5.9222222 "
    "1.925 2.8857143 4.2333333 1.1875 0.8571429 1.0571429 0.6875 0.525 0.825 0.25 0.22 0.44",
)
HOBBS = columns(
    t="1 2 3 4 5 6 7 8 9 10 11 12",
    y="5.308 7.24 9.638 12.866 17.069 23.192 31.443 38.558 50.156 62.948 75.995 91.972",
)
TREATED = columns(
    conc="0.02 0.02 0.06 0.06 0.11 0.11 0.22 0.22 0.56 0.56 1.1 1.1",
    rate="76 47 97 107 123 139 159 152 191 201 207 200",
)
UNTREATED = columns(
    conc="0.02 0.02 0.06 0.06 0.11 0.11 0.22 0.22 0.56 0.56 1.1",
    rate="67 51 84 86 98 115 131 124 144 158 160",
)
DNASE = columns(
    conc="0.04882812 0.04882812 0.1953125 0.1953125 0.390625 0.390625 0.78125 0.78125 "
    "1.5625 1.5625 3.125 3.125 6.25 6.25 12.5 12.5",
    density="0.017 0.018 0.121 0.124 0.206 0.215 0.377 0.374 "
    "0.614 0.609 1.019 1.001 1.334 1.364 1.73 1.71",
)
BOD = columns(time="1 2 3 4 5 7", demand="8.3 10.3 19 16 15.6 19.8")
CARS = columns(
    speed="4 4 7 7 8 9 10 10 10 11 11 12 12 12 12 13 13 13 13 14 14 14 14 15 15 15 16 16 17 17 17 "
    "18 18 18 18 19 19 19 20 20 20 20 20 22 23 24 24 24 24 25",
    dist="2 10 4 22 16 10 18 26 34 17 28 14 20 24 28 26 34 34 46 26 36 60 80 20 26 54 32 40 32 40 "
    "50 42 56 76 84 36 46 68 32 48 52 56 64 66 54 70 92 93 120 85",
)

LL4 = "rootl = c + (d - c)/(1 + (conc/e)**b)"
MICHAELIS = "rate = Vm*conc/(K + conc)"
LOGISTIC = "y = b1/(1 + b2*exp(-b3*t))"

# drc 3.0-1 for R: summary(drm(rootl ~ conc, data = ryegrass, fct = LL.4())). Its standard errors
# come from the Hessian, not from the Jacobian.
RYEGRASS_FITTED = {"b": "2.98222", "c": "0.48141", "d": "7.79296", "e": "3.05795"}
RYEGRASS_NOISE = {"residual_std": "0.5196256", "degrees_of_freedom": "20"}
# Nash, Compact Numerical Methods for Computers (1979), problem 12.
HOBBS_FITTED = {"b1": "196.1863", "b2": "49.0916", "b3": "0.3136"}
# Bates and Watts (1988), table A1.3 and 2.1, as R prints summary(nls(…)) of it.
TREATED_FITTED = {"Vm": "212.7", "K": "0.06412"}
TREATED_ERRORS = {"Vm": "6.947", "K": "0.008281"}

KNOWN: dict[str, Known] = {
    "ryegrass": Known(
        LL4,
        RYEGRASS,
        RYEGRASS_FITTED,
        start={"b": 1.0, "c": 1.0, "d": 8.0, "e": 5.0},
        statistics=RYEGRASS_NOISE,
    ),
    "ryegrass, no start": Known(LL4, RYEGRASS, RYEGRASS_FITTED, statistics=RYEGRASS_NOISE),
    "ryegrass, from the catalogue": Known(
        {"name": "logistic4", "inputs": ["conc"], "target": "rootl"},
        RYEGRASS,
        RYEGRASS_FITTED,
        statistics=RYEGRASS_NOISE,
    ),
    "Hobbs's weeds": Known(
        LOGISTIC, HOBBS, HOBBS_FITTED, start={"b1": 1.0, "b2": 1.0, "b3": 1.0}, rss="2.587"
    ),
    "Hobbs's weeds, near": Known(
        LOGISTIC, HOBBS, HOBBS_FITTED, start={"b1": 200.0, "b2": 50.0, "b3": 0.3}, rss="2.587"
    ),
    "Hobbs's weeds, no start": Known(LOGISTIC, HOBBS, HOBBS_FITTED, rss="2.587"),
    "Puromycin, treated": Known(
        MICHAELIS,
        TREATED,
        TREATED_FITTED,
        start={"Vm": 200.0, "K": 0.05},
        stderr=TREATED_ERRORS,
        statistics={"residual_std": "10.93", "degrees_of_freedom": "10"},
    ),
    "Puromycin, treated, no start": Known(
        MICHAELIS,
        TREATED,
        TREATED_FITTED,
        stderr=TREATED_ERRORS,
        statistics={"residual_std": "10.93", "degrees_of_freedom": "10"},
    ),
    "Puromycin, untreated": Known(
        MICHAELIS,
        UNTREATED,
        {"Vm": "160.3", "K": "0.04771"},
        stderr={"Vm": "6.480", "K": "0.007782"},
        statistics={"residual_std": "9.773", "degrees_of_freedom": "9"},
    ),
    # R: example(nls), the first run of DNase by SSlogis.
    "DNase": Known(
        "density = Asym/(1 + exp((xmid - log(conc))/scal))",
        DNASE,
        {"Asym": "2.34518", "xmid": "1.48309", "scal": "1.04146"},
        stderr={"Asym": "0.07815", "xmid": "0.08135", "scal": "0.03227"},
        statistics={"residual_std": "0.01919", "degrees_of_freedom": "13"},
    ),
    # Bates and Watts (1988), table A1.4, as R prints summary(nls(demand ~ SSasympOrig(…))).
    "BOD": Known(
        "demand = Asym*(1 - exp(-exp(lrc)*time))",
        BOD,
        {"Asym": "19.1426", "lrc": "-0.6328"},
        stderr={"Asym": "2.4959", "lrc": "0.3824"},
        statistics={"residual_std": "2.549", "degrees_of_freedom": "4"},
    ),
    # R: summary, AIC and BIC of lm(dist ~ speed, cars).
    "cars": Known(
        "dist = w*speed + b",
        CARS,
        {"w": "3.9324", "b": "-17.5791"},
        stderr={"w": "0.4155", "b": "6.7584"},
        statistics={
            "residual_std": "15.38",
            "r_squared": "0.6511",
            "adjusted_r_squared": "0.6438",
            "aic": "419.1569",
            "bic": "424.8929",
            "degrees_of_freedom": "48",
        },
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_published_answer(service: httpx.Client, name: str) -> None:
    known = KNOWN[name]
    answer = service.post(
        "/fit", json={"model": known.model, "data": known.data, "params": known.start}
    )
    assert answer.status_code == 200, answer.text
    fit = answer.json()
    statistics = fit["statistics"]
    assert fit["trustworthy"]
    assert fit["params"] == _as_printed(known.params)
    assert {p: statistics["stderr"][p] for p in known.stderr} == _as_printed(known.stderr)
    assert {s: statistics[s] for s in known.statistics} == _as_printed(known.statistics)
    if known.rss is not None:
        assert fit["loss"] * statistics["n"] == _as_printed({"rss": known.rss})["rss"]


def _as_printed(printed: Printed) -> dict[str, Any]:
    """Each within one unit of its last printed digit."""
    return {
        name: pytest.approx(float(text), abs=10.0 ** -len(text.partition(".")[2]), rel=0)
        for name, text in printed.items()
    }
