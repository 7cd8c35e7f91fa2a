"""What every family of the catalogue keeps."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from benchmarks.self_start import data_set
from service.catalogue.families import FAMILIES, Family
from service.engine.models import guess
from service.fitting.checking import check
from service.schemas.fit import FitRequest
from service.schemas.names import ModelName
from service.settings import Settings
from tests.engine.models.curves import curve, formula_of


def test_the_names_are_those_of_the_schema():
    assert list(get_args(ModelName)) == list(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_the_params_stand_in_the_order_in_which_the_formula_names_them(family: Family):
    formula = formula_of(family.name)
    assert tuple(family.params) == formula.params
    assert formula.inputs == ("x",)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_every_word_is_there(family: Family):
    words = [family.title, family.when_to_use, family.reference]
    for meaning in family.params.values():
        words += [meaning.meaning, meaning.unit]
    assert all(words)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_name_and_data_are_request_enough(name: str):
    x, y, _ = data_set(name, 0)
    if name == "antoine":
        y = 10**y
    data: dict[str, Any] = {"dose": x.tolist(), "response": y.tolist()}
    request = FitRequest.model_validate({"model": name, "data": data})
    plan = check(request, Settings())
    assert plan.guessed == tuple(FAMILIES[name].params)
    assert plan.task.problem.formula.target_columns == ("response",)
    assert bool(torch.isfinite(plan.task.problem.initial).all())


@pytest.mark.parametrize("name", FAMILIES)
def test_the_guess_is_near_the_data(name: str):
    """Its residuals are at most 1.2 times as large as the truth's, which are the noise."""
    x, y, theta = data_set(name, 1)
    start = guess(FAMILIES[name], x.unsqueeze(0), y.unsqueeze(0))
    guessed = curve(name, x.unsqueeze(0), start)[0] - y
    true = curve(name, x.unsqueeze(0), theta.unsqueeze(0))[0] - y
    assert float(guessed.norm()) < 1.2 * float(true.norm())
