"""A mend that is offered is one that can be taken, and leads where it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.errors import InvalidFormula
from service.fitting import to_plan
from service.schemas.fit import FitRequest

COLUMN = [1.0, 2.0, 3.0, 4.0, 5.0]


def refused(**request: Any) -> str:
    with pytest.raises(InvalidFormula) as error:
        to_plan(FitRequest.model_validate(request))
    return str(error.value)


@pytest.mark.parametrize("model", ["linear", {"name": "polynomial", "degree": 3}])
def test_of_an_ambiguous_table_the_noise_is_not_what_is_explained(model: Any) -> None:
    data = {"dose": COLUMN, "response": COLUMN, "sd": COLUMN}
    said = refused(model=model, data=data)
    assert "dose, response, sd are the input and the target" in said
    mend = json.loads(said[said.index("{") :])
    assert (mend["inputs"], mend["target"]) == (["dose"], "response")
    plan = to_plan(FitRequest.model_validate({"model": mend, "data": data, "sigma": "sd"}))
    assert plan.task.problem.formula.target == "response"


def test_where_the_target_is_known_the_mend_keeps_the_rest_of_the_model() -> None:
    data = {"a": COLUMN, "b": COLUMN, "y": COLUMN}
    said = refused(model={"name": "polynomial", "degree": 3}, data=data)
    mend = json.loads(said[said.index("{") :])
    assert mend == {"name": "polynomial", "degree": 3, "inputs": ["a"]}
    plan = to_plan(FitRequest.model_validate({"model": mend, "data": data}))
    assert len(plan.task.problem.params) == 4


@pytest.mark.parametrize("text", ["OD = logistic4", "logistic4 + c", "y = a*gaussian"])
def test_a_family_within_a_formula_is_no_param(text: str) -> None:
    said = refused(model=text, data={"x": COLUMN, "OD": COLUMN, "y": COLUMN})
    assert "is the name of a model and cannot be a param" in said
