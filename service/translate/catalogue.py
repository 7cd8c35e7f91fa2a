"""The engine's tables -> the catalogue on the wire."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from pydantic import BaseModel

from service.engine.losses import LOSSES, LossFunction
from service.engine.models import FAMILIES, Family
from service.engine.optimizers import METHODS
from service.schemas import catalogue as wire
from service.schemas import optimizers
from service.schemas.models import MlpModel

OPTIMIZER_SCHEMAS: Mapping[str, type[BaseModel]] = {
    "auto": optimizers.AutoOptimizer,
    "exact": optimizers.ExactOptimizer,
    "levenberg_marquardt": optimizers.LevenbergMarquardtOptimizer,
    "lbfgs": optimizers.LbfgsOptimizer,
    "sgd": optimizers.SgdOptimizer,
    "adam": optimizers.AdamOptimizer,
    "adamw": optimizers.AdamWOptimizer,
    "rmsprop": optimizers.RmspropOptimizer,
    "adagrad": optimizers.AdagradOptimizer,
}


def model_list() -> wire.ModelList:
    """Every family."""
    return wire.ModelList(models=[*(_model(family) for family in FAMILIES.values()), _mlp()])


def _mlp() -> wire.ModelEntry:
    default = MlpModel()
    return wire.ModelEntry(
        name="mlp",
        title="Multilayer perceptron",
        formula="y = W_L·act(… act(W_1·x + b_1) …) + b_L",
        inputs=["every column but the target"],
        target="y",
        params=[],
        options={"hidden": default.hidden, "activation": default.activation},
        when_to_use="A shape that no formula describes, many rows, and no need to read the params.",
        reference="Rumelhart, Hinton and Williams, Nature 323 (1986) 533",
    )


def loss_list() -> wire.LossList:
    """Every loss."""
    return wire.LossList(losses=[_loss(loss) for loss in LOSSES.values()])


def optimizer_list() -> wire.OptimizerList:
    """Every optimizer, `auto` first."""
    return wire.OptimizerList(optimizers=[_optimizer(name) for name in OPTIMIZER_SCHEMAS])


def _model(family: Family) -> wire.ModelEntry:
    return wire.ModelEntry(
        name=family.name,
        title=family.title,
        formula=family.formula,
        inputs=["x"],
        target="y",
        params=[
            wire.ParamEntry(name=name, meaning=meaning.meaning, unit=meaning.unit)
            for name, meaning in family.params.items()
        ],
        options={"degree": 2} if family.name == "polynomial" else {},
        when_to_use=family.when_to_use,
        reference=family.reference,
    )


def _loss(loss: LossFunction) -> wire.LossEntry:
    entries = []
    if loss.option is not None:
        entries.append(
            wire.OptionEntry(
                name=loss.option, default=loss.default, meaning="in units of the residual"
            )
        )
    return wire.LossEntry(
        name=loss.name,
        formula=loss.formula,
        options=entries,
        when_to_use=loss.when_to_use,
        reference=loss.reference,
    )


def _optimizer(name: str) -> wire.OptimizerEntry:
    schema, method = OPTIMIZER_SCHEMAS[name], METHODS.get(name)
    if method is None:
        return wire.OptimizerEntry(
            name=name,
            formula="the optimizer that suits the formula, the bounds and the loss",
            options=_options(schema),
            when_to_use="Nearly always.",
            reference="docs/architecture.md",
        )
    return wire.OptimizerEntry(
        name=name,
        formula=method.formula,
        options=_options(schema),
        when_to_use=method.when_to_use,
        reference=method.reference,
    )


def _options(schema: type[BaseModel]) -> list[wire.OptionEntry]:
    entries = []
    for name, field in schema.model_fields.items():
        if name == "name":
            continue
        default = field.get_default(call_default_factory=False)
        if isinstance(default, BaseModel):
            default = default.model_dump()
        meaning = inspect.cleandoc(field.description or "as in torch.optim")
        entries.append(wire.OptionEntry(name=name, default=default, meaning=meaning))
    return entries
