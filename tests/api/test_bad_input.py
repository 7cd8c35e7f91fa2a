"""Bad input, through every door it may take: a 4xx with its pointer and its mend, never a 500."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.api.examples import T_C, T_U

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD: dict[str, Any] = {
    "model": "t_c = w * t_u + b",
    "data": {"t_u": T_U, "t_c": T_C},
    "params": {"w": 1.0, "b": 0.0},
}


def _data(**columns: Any) -> dict[str, Any]:
    return {"data": {**GOOD["data"], **columns}}


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown column": ({"model": "t_c = w * t_v + b"}, "/params", ""),
    "target without a column": ({"model": "t_d = w * t_u + b"}, "/model", "did you mean"),
    "unequal columns": (_data(t_u=T_U[:-1]), "/data", "11"),
    "empty data": ({"data": {}}, "/data", ""),
    "empty columns": (_data(t_u=[], t_c=[]), "/data", ""),
    "unknown optimizer": ({"optimizer": "sdg"}, "/optimizer", "did you mean 'sgd'?"),
    "unknown model": ({"model": {"name": "liner"}}, "/model/name", "did you mean 'linear'?"),
    "unknown loss": ({"loss": "hubber"}, "/loss", "did you mean 'huber'?"),
    "learning rate 0": (
        {"optimizer": {"name": "sgd", "learning_rate": 0}},
        "/optimizer/learning_rate",
        "above 0",
    ),
    "learning rate below 0": (
        {"optimizer": {"name": "sgd", "learning_rate": -0.1}},
        "/optimizer/learning_rate",
        "above 0",
    ),
    "epochs 0": ({"epochs": 0}, "/epochs", "from 1 to"),
    "epochs 1e9": ({"epochs": 10**9}, "/epochs", "from 1 to 100000000"),
    "a formula that does not parse": ({"model": "t_c = w * * t_u"}, "/model", "column"),
    "a formula that is code": ({"model": "__import__('os').system('id')"}, "/model", ""),
    "a param that the formula lacks": ({"params": {"v": 1.0}}, "/params/v", "w"),
    "a number as a string": ({"params": {"w": "1.0"}}, "/params/w", "without quotes"),
    "a string as a column": (_data(t_u="35.7"), "/data/t_u", "must be a list"),
    "a list as the data": ({"data": [T_U, T_C]}, "/data", "must be an object"),
    "an unknown field": ({"epoch": 5}, "/epoch", "did you mean 'epochs'?"),
}


@pytest.mark.parametrize("case", CASES)
async def test_fit(client: httpx.AsyncClient, case: str) -> None:
    change, pointer, mend = CASES[case]
    body = {**GOOD, **change}
    if case == "unknown column":
        # Without params given, a name that is no column would be taken for a param.
        body["params"] = {"t_v": 1.0, "w": 1.0, "b": 0.0, "t_u": 1.0}
    _check(await client.post("/fit", json=body), pointer, mend)


@pytest.mark.parametrize("path", ["/predict", "/loss", "/gradient"])
@pytest.mark.parametrize(
    ("change", "pointer", "mend"),
    [
        ({"model": "t_c = w * * t_u"}, "/model", "column"),
        ({"data": {}}, "", ""),
        (_data(t_u=["a"] * 11), "/data/t_u/0", "must be numeric"),
        ({"params": {"w": 1.0}}, "", "b"),
        ({"params": {"w": 1.0, "b": 0.0, "v": 1.0}}, "/params/v", ""),
        ({"dtype": "float16"}, "/dtype", "did you mean 'float64'?"),
        ({"parms": {}}, "/parms", "did you mean 'params'?"),
    ],
)
async def test_the_others(
    client: httpx.AsyncClient, path: str, change: dict[str, Any], pointer: str, mend: str
) -> None:
    _check(await client.post(path, json={**GOOD, **change}), pointer, mend)


@pytest.mark.parametrize("path", ["/fit", "/predict", "/loss", "/gradient"])
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "null"])
async def test_values_that_are_no_numbers(
    client: httpx.AsyncClient, path: str, literal: str
) -> None:
    columns = f'"t_u": [35.7, {literal}, 58.2], "t_c": [0.5, 14.0, 15.0]'
    params = "" if path == "/fit" else ', "params": {"w": 1.0, "b": 0.0}'
    body = f'{{"model": "t_c = w * t_u + b", "data": {{{columns}}}{params}}}'
    answer = await client.post(path, content=body, headers={"content-type": "application/json"})
    _check(answer, "/data/t_u", "t_u")
    assert "row 2" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"model": "t_c = w * t_u + q*foo(t_u)"}, "function 'foo'"),
        ({"params": {"b": {"expr": "2*c"}}}, "param 'c'; known: w;"),
        ({"model": "t_x = w * t_u + b"}, "column 't_x' on the left side; did you mean 't_u'?"),
        ({"rows": "t_x > 2"}, "column 't_x'; did you mean 't_u'?"),
    ],
)
async def test_an_unknown_name_in_a_formula_is_called_so(
    client: httpx.AsyncClient, change: dict[str, Any], name: str
) -> None:
    problem = (await client.post("/fit", json={**GOOD, **change})).json()
    assert (problem["type"], problem["title"]) == ("unknown-name", "Unknown name")
    assert problem["detail"].startswith(f"unknown {name}")


def _check(answer: httpx.Response, pointer: str, mend: str) -> None:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["request_id"] == answer.headers["x-request-id"]
    errors = problem["errors"]
    assert any(error["pointer"].startswith(pointer) for error in errors), errors
    assert any(mend in error["detail"] for error in errors), errors
