"""What people write who know another tool is answered with what to write here."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import AsyncClient

DATA = {"x": [1, 2, 3, 4], "y": [2.1, 3.9, 6.2, 7.8], "s": [1, 1, 2, 1]}
LINE = "y = a * x"


@pytest.mark.parametrize(
    ("members", "pointer", "mend"),
    [
        ({"weight": "s"}, "/weight", "did you mean 'weights'?"),
        ({"yerr": "s"}, "/yerr", "are sigma"),
        ({"bounds": [[0], [1]]}, "/bounds", 'params: {"a": {"min": 0, "max": 10}}'),
        ({"p0": [1]}, "/p0", 'params: {"a": 1, "b": 0.5}'),
        ({"y0": 1}, "/y0", 'params: {"a": 1, "b": 0.5}'),
        ({"shared": ["a"]}, "/shared", 'group_by: {"column": "well", "shared": ["k"]}'),
        ({"relative_to": "a"}, "/relative_to", '"relative_to": "standard"'),
        ({"bootstrap": 500}, "/bootstrap", 'confidence_interval: {"method": "bootstrap"}'),
        ({"sigma_x": "s"}, "/sigma_x", "name the input that it is of"),
        ({"target": "y"}, "/target", 'model: "target ~ a*input + b"'),
        ({"x": [1, 2]}, "/x", "columns go into data"),
        ({"method": "lm"}, "/method", "did you mean 'optimizer'?"),
        ({"max_iter": 9}, "/max_iter", "did you mean 'epochs'?"),
        ({"lr": 0.1}, "/lr", '{"name": "sgd", "learning_rate": 0.01}'),
        ({"params": [1]}, "/params", "given by name"),
        ({"params": {"a": {"lower": 0}}}, "/params/a/lower", "did you mean 'min'?"),
        ({"params": {"a": {"vary": False}}}, "/params/a/vary", "fixed: true"),
        ({"optimizer": "lm"}, "/optimizer", "did you mean 'levenberg_marquardt'?"),
        ({"optimizer": {"name": "sgd", "lr": 1}}, "/optimizer/lr", "mean 'learning_rate'?"),
        ({"loss": "l1"}, "/loss", "did you mean 'mae'?"),
        ({"model": "y = a * ln(x)"}, "/model", "did you mean 'log'?"),
        ({"model": "y = a * x^2"}, "/model", "for a power write '**'"),
        ({"model": "y = a * np.exp(x)"}, "/model", "write exp(x), not np.exp(x)"),
        ({"model": "4PL"}, "/model", "did you mean 'logistic4'?"),
    ],
)
async def test_the_answer_says_what_to_write(
    client: AsyncClient, members: dict[str, Any], pointer: str, mend: str
) -> None:
    answer = await client.post("/fit", json={"data": DATA, "model": LINE, **members})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert mend in error["detail"]


async def test_a_csv_is_answered_so_too(client: AsyncClient) -> None:
    answer = await client.post(
        "/fit?yerr=s", content="x,y\n1,2\n2,4\n", headers={"Content-Type": "text/csv"}
    )
    assert "are sigma" in answer.json()["detail"]


async def test_a_param_may_have_any_of_these_names(client: AsyncClient) -> None:
    answer = await client.post("/fit", json={"data": DATA, "model": "y = y0 + lr * x"})
    assert set(answer.json()["params"]) == {"y0", "lr"}


async def test_an_empty_column_is_no_input_of_a_family(client: AsyncClient) -> None:
    csv = "name,dose,signal\n,0,1\n,1,3\n,2,5\n"
    answer = await client.post(
        "/fit?model=linear", content=csv, headers={"Content-Type": "text/csv"}
    )
    assert answer.json()["model"]["inputs"] == ["dose"]


async def test_a_target_of_a_comparison_stands_in_its_models(client: AsyncClient) -> None:
    body = {"data": {"t": [1, 2, 3], "z": [1, 2, 4]}, "models": ["linear"], "target": "z"}
    answer = await client.post("/compare", json=body)
    assert answer.status_code == 422
    assert 'models: ["target ~ a*input + b"]' in answer.json()["errors"][0]["detail"]
