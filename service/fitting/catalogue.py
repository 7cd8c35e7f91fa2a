"""Converts the catalogue and the engine's tables to the responses of the catalogue routes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from pydantic import BaseModel

from service.catalogue.families import FAMILIES, Family
from service.catalogue.likelihoods import LIKELIHOODS, Likelihood
from service.catalogue.losses import LOSSES, LossFunction
from service.catalogue.optimizers import OPTIMIZERS, Optimizer
from service.catalogue.options import REQUIRED, Option
from service.catalogue.schedules import SCHEDULES, LearningRateSchedule
from service.engine.diagnostics import CHECKS, Check
from service.errors import UnknownDiagnostic
from service.schemas import catalogue as wire
from service.schemas.likelihoods import LIKELIHOOD_MODELS
from service.schemas.models import MlpModel
from service.schemas.names import Verdict
from service.schemas.optimizers import OPTIMIZER_MODELS

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


def likelihood_list() -> wire.LikelihoodList:
    """Every likelihood."""
    return wire.LikelihoodList(likelihoods=[_likelihood(each) for each in LIKELIHOODS.values()])


def optimizer_list() -> wire.OptimizerList:
    """Every optimizer, `auto` first, and every learning-rate schedule."""
    return wire.OptimizerList(
        optimizers=[_optimizer(each) for each in OPTIMIZERS.values()],
        schedules=[_schedule(each) for each in SCHEDULES.values()],
    )


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
        options={option.name: option.default for option in family.options},
        when_to_use=family.when_to_use,
        reference=family.reference,
    )


def _loss(loss: LossFunction) -> wire.LossEntry:
    return wire.LossEntry(
        name=loss.name,
        formula=loss.formula,
        options=[_option(option) for option in loss.options],
        when_to_use=loss.when_to_use,
        reference=loss.reference,
    )


def _likelihood(likelihood: Likelihood) -> wire.LikelihoodEntry:
    return wire.LikelihoodEntry(
        name=likelihood.name,
        formula=likelihood.formula,
        variance=likelihood.variance_formula,
        options=_fields(LIKELIHOOD_MODELS[likelihood.name]),
        when_to_use=likelihood.when_to_use,
        reference=likelihood.reference,
    )


def _option(option: Option) -> wire.OptionEntry:
    return wire.OptionEntry(
        name=option.name,
        default=None if option.default is REQUIRED else option.default,
        meaning=option.description or "as in torch.optim",
    )


def _optimizer(optimizer: Optimizer) -> wire.OptimizerEntry:
    return wire.OptimizerEntry(
        name=optimizer.name,
        formula=optimizer.formula,
        options=_fields(OPTIMIZER_MODELS[optimizer.name]),
        when_to_use=optimizer.when_to_use,
        reference=optimizer.reference,
    )


def _schedule(schedule: LearningRateSchedule) -> wire.ScheduleEntry:
    return wire.ScheduleEntry(
        name=schedule.name,
        formula=schedule.formula,
        options=[_option(option) for option in schedule.options],
        when_to_use=schedule.when_to_use,
        reference=schedule.reference,
    )


def _fields(schema: type[BaseModel]) -> list[wire.OptionEntry]:
    """The options of an entry, with those that it shares with others."""
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
