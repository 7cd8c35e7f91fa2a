"""Hostile formulas through every route that takes one: a 4xx problem at /model, never a 500."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.engine.hostile import SHADOWING, TEXTS

ROUTES = ("/fit", "/predict", "/loss", "/gradient")
DATA = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.5]}
PARAMS = {"a": 1.0}
AT_MODEL = {"invalid-formula", "unknown-name"}
TARGETS = {"where = a*x"}
"""Refused for their target, which /predict does not look for in the data."""


def ask(service: httpx.Client, route: str, model: str, data: Any = DATA) -> httpx.Response:
    body: dict[str, Any] = {"model": model, "data": data}
    if route != "/fit":
        body["params"] = PARAMS
    return service.post(
        route, content=json.dumps(body), headers={"Content-Type": "application/json"}
    )


def cases() -> Iterator[Any]:
    """Every text through every route that should refuse it."""
    for route, text in itertools.product(ROUTES, TEXTS):
        if route == "/predict" and text in TARGETS:
            continue
        yield pytest.param(route, text, id=f"{route} {text[:24]!a}")


@pytest.mark.parametrize(("route", "text"), list(cases()))
def test_a_hostile_formula_is_refused_at_the_model(
    service: httpx.Client, route: str, text: str
) -> None:
    answer = ask(service, route, text)
    if "\ud800" in text:
        assert (answer.status_code, answer.json()["type"]) == (400, "malformed-json")
    else:
        _is_refused_at_the_model(answer)


@pytest.mark.parametrize(("text", "columns"), SHADOWING)
def test_a_name_that_shadows_a_column_is_refused(
    service: httpx.Client, text: str, columns: frozenset[str]
) -> None:
    data = dict.fromkeys(sorted(columns), DATA["x"])
    _is_refused_at_the_model(ask(service, "/fit", text, data))


def test_the_service_is_ready_and_fits_afterwards(service: httpx.Client) -> None:
    assert service.get("/readyz").status_code == 200
    answer = ask(service, "/fit", "y = a*x + b")
    assert answer.status_code == 200, answer.text
    assert answer.json()["optimizer"] == "exact"


def _is_refused_at_the_model(answer: httpx.Response) -> None:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] in AT_MODEL
    assert [one["pointer"] for one in problem["errors"]] == ["/model"]
    assert 0 < len(problem["detail"]) < 500
