"""Converts the engine's tables to the responses of the catalogue routes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from pydantic import BaseModel

from service.engine.diagnostics import CHECKS, Check
from service.engine.losses import LOSSES, LossFunction
from service.engine.models import FAMILIES, Family
from service.engine.optimizers import METHODS
from service.errors import UnknownDiagnostic
from service.schemas import catalogue as wire
from service.schemas import optimizers
from service.schemas.models import MlpModel
from service.schemas.names import Verdict

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


VERDICTS: Mapping[Verdict, str] = {
    "trustworthy": "no diagnostic is above `info`",
    "doubtful": "one is a `warning`, none an `error`",
    "untrustworthy": "one is an `error`",
}
"""The condition for each verdict, which depends only on the diagnostics."""


def model_list() -> wire.ModelList:
    """Every model of the catalogue."""
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
        reports=[],
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


def diagnostic_list() -> wire.DiagnosticList:
    """Every diagnostic, in the order in which they are reported."""
    return wire.DiagnosticList(
        verdicts=[wire.VerdictEntry(verdict=name, when=when) for name, when in VERDICTS.items()],
        diagnostics=[_diagnostic(check) for check in {c.code: c for c in CHECKS}.values()],
    )


def diagnostic(code: str) -> wire.DiagnosticEntry:
    """The diagnostic with a code. Raises UnknownDiagnostic."""
    known = {entry.code: entry for entry in diagnostic_list().diagnostics}
    if code not in known:
        raise UnknownDiagnostic("diagnostic", code, known)
    return known[code]


def _diagnostic(check: Check) -> wire.DiagnosticEntry:
    about = check.about
    return wire.DiagnosticEntry(
        code=check.code,
        seen=about.seen,
        severity=about.severity,
        why_it_matters=about.matters,
        cure=about.cure,
    )


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
        reports=[
            wire.ReportEntry(name=name, expr=each.expr, meaning=each.meaning, unit=each.unit)
            for name, each in family.reports.items()
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
            formula="an optimizer chosen for the formula, the bounds and the loss",
            options=_options(schema),
            when_to_use="Almost always.",
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
