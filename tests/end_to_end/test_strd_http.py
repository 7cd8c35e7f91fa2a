"""NIST's certified problems from both starts, over HTTP on a real socket."""

from __future__ import annotations

import httpx
import pytest

from tests.nist import FORMULAS, digits, load, verdict

PARAMS, STDERR = 6, 4
"""Correct digits that issue 3 asks for."""


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", FORMULAS)
def test_certified_digits(service: httpx.Client, name: str, start: int) -> None:
    certified = load(name)
    answer = service.post(
        "/fit",
        json={
            "model": certified.formula,
            "data": certified.data,
            "params": certified.starts[start - 1],
            "optimizer": "levenberg_marquardt",
        },
    )
    assert answer.status_code == 200, answer.text
    fit = answer.json()
    statistics = fit["statistics"]
    assert fit["converged"]
    assert fit["verdict"] == verdict(name)
    assert _least(fit["params"], certified.params) >= PARAMS
    assert _least(statistics["stderr"], certified.stderr) >= STDERR
    assert digits(statistics["residual_std"], certified.residual_std) >= PARAMS
    assert digits(fit["loss"] * statistics["n"], certified.rss) >= PARAMS


def _least(found: dict[str, float], certified: dict[str, float]) -> float:
    return min(digits(found[name], value) for name, value in certified.items())
