"""Converts the model of a request to a formula or a network over the columns of its data."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass

from service.catalogue.families import FAMILIES, Family
from service.engine.expressions import pointer
from service.engine.formula import Formula, read_formula
from service.engine.models.mlp import MAX_PARAMS, Network
from service.engine.problem import Model
from service.engine.syntax import MAX_CHARACTERS
from service.engine.tape import Builder
from service.errors import InvalidFormula, InvalidRequest, UnknownName
from service.fitting.ties import NO_TIES, Ties
from service.schemas.models import MlpModel, NamedModel
from service.schemas.models import Model as ModelRequest
from service.synonyms import meant

_WORD = re.compile(r"\s*[^\W\d]\w*\s*")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A formula or a network, and the family that it comes from, if any."""

    formula: Model
    family: Family | None = None


def resolve(
    model: ModelRequest,
    columns: Collection[str],
    params: Collection[str] | None = None,
    ties: Ties = NO_TIES,
) -> Resolved:
    """The formula or network of a request's model, with some params tied to others.

    `params` are the known params of a prediction; None: all names that are not columns are params.
    Raises InvalidFormula, UnknownName or InvalidRequest, at `/model`; for a tied param, at it.
    """
    try:
        if model == "mlp":
            model = MlpModel()
        if isinstance(model, MlpModel):
            if ties.texts:
                raise InvalidRequest(
                    "the params of a network cannot be tied by `expr`",
                    pointer=f"/params{pointer(ties.texts[0][0])}",
                )
            return Resolved(_network(model, columns, predicting=params is not None))
        if isinstance(model, str) and model.strip() in FAMILIES:
            model = NamedModel.model_validate({"name": model.strip()})
        if isinstance(model, NamedModel):
            return _named(model, columns, params, ties)
        return Resolved(_formula(model, columns, params, ties))
    except InvalidRequest as error:
        if error.errors[0].pointer.startswith("/params/"):
            raise
        raise error.at("/model") from None


def _formula(
    text: str, columns: Collection[str], params: Collection[str] | None, ties: Ties
) -> Formula:
    short = len(text) <= MAX_CHARACTERS
    is_name = short and (_WORD.fullmatch(text) or meant(text.strip(), FAMILIES))
    if is_name and text.strip() not in columns:
        raise UnknownName("model", text.strip(), [*FAMILIES, "mlp"])
    known = None if params is None else frozenset(params)
    return read_formula(text, frozenset(columns), known, ties.texts, ties.given)


def _named(
    model: NamedModel, columns: Collection[str], params: Collection[str] | None, ties: Ties
) -> Resolved:
    family = _family(model)
    target = _target(model, columns, predicting=params is not None)
    x = _input(model, columns, target)
    for name in (x, target):
        if name in family.params or not _WORD.fullmatch(name):
            raise InvalidRequest(
                f"column '{name}' cannot be used in '{family.formula}'; rename the column, or "
                "write the formula out"
            )
    text = _over(family, x, target)
    known = None if params is None else frozenset(params)
    formula = read_formula(text, frozenset({x, target}), known, ties.texts, ties.given)
    return Resolved(formula, family)


def _over(family: Family, x: str, target: str) -> str:
    """The family's formula over these columns."""
    return re.sub(r"\b(x|y)\b", lambda match: {"x": x, "y": target}[match.group()], family.formula)


def is_over_dose(formula: Model) -> bool:
    """Whether the formula is that of a family over a dose."""
    if not isinstance(formula, Formula) or len(formula.inputs) != 1:
        return False
    doses = (family for family in FAMILIES.values() if family.log_x)
    return any(formula.text == _over(each, formula.inputs[0], formula.target) for each in doses)


def _family(model: NamedModel) -> Family:
    """The family with the options that are given."""
    family = FAMILIES[model.name]
    names = [option.name for each in FAMILIES.values() for option in each.options]
    given = {n: getattr(model, n) for n in names if getattr(model, n) is not None}
    known = {option.name for option in family.options}
    for name in given:
        if name not in known:
            raise InvalidRequest(f"'{model.name}' has no {name}", pointer=f"/{name}")
    return family.with_options(given)


def _network(model: MlpModel, columns: Collection[str], *, predicting: bool) -> Network:
    target = _target(model, columns, predicting=predicting)
    inputs = model.inputs or [name for name in columns if name != target]
    for i, name in enumerate(inputs):
        if name not in columns or name == target:
            others = [column for column in columns if column != target]
            raise UnknownName("input", name, others, pointer=f"/inputs/{i}")
    if not inputs:
        raise InvalidFormula(f"the data have no column besides '{target}' for the inputs")
    builder = Builder()
    left = builder.tape([builder.column(target)])
    network = Network(tuple(model.hidden), model.activation, tuple(inputs), target, (target,), left)
    count = network.size
    if count > MAX_PARAMS:
        raise InvalidRequest(
            f"this network has {count:,} params; at most {MAX_PARAMS:,} are allowed",
            pointer="/hidden",
        )
    return network


def _target(model: NamedModel | MlpModel, columns: Collection[str], *, predicting: bool) -> str:
    if model.target is not None:
        if model.target not in columns and not predicting:
            raise UnknownName("column", model.target, columns, pointer="/target")
        return model.target
    if "y" in columns or predicting:
        return "y"
    others = [name for name in columns if name not in (model.inputs or ["x"])]
    if not others:
        raise InvalidFormula(
            "the data have no column for the target; name it `y`, or give `target`"
        )
    return others[-1]


def _input(model: NamedModel, columns: Collection[str], target: str) -> str:
    if model.inputs is not None:
        if len(model.inputs) != 1:
            raise InvalidRequest(f"'{model.name}' has exactly one input", pointer="/inputs")
        if model.inputs[0] not in columns:
            raise UnknownName("column", model.inputs[0], columns, pointer="/inputs/0")
        return model.inputs[0]
    others = [name for name in columns if name != target]
    if "x" in others:
        return "x"
    if len(others) == 1:
        return others[0]
    if not others:
        raise InvalidFormula(f"the data have no column besides '{target}' for the input x")
    given = model.model_dump(exclude_none=True)
    if model.target is None and target != "y":
        # The last column is only a guess for the target: it may be the noise of another.
        others = list(columns)
        example = {**given, "inputs": others[:1], "target": others[1]}
        what = f"which of {', '.join(others)} are the input and the target of '{model.name}'? Name"
        raise InvalidFormula(f"{what} them `x` and `y`, or give the model as {json.dumps(example)}")
    example = {**given, "inputs": others[:1]}
    raise InvalidFormula(
        f"which of {', '.join(others)} is the input of '{model.name}'? Name it `x`, or give the "
        f"model as {json.dumps(example)}"
    )
