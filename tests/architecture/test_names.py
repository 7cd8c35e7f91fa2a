"""The catalogue's names on the wire are those of the engine's tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from service.catalogue.families import FAMILIES
from service.catalogue.likelihoods import LIKELIHOODS
from service.catalogue.losses import LOSSES
from service.catalogue.optimizers import OPTIMIZERS
from service.catalogue.pictures import VIEWS, View
from service.catalogue.schedules import SCHEDULES
from service.engine import diagnostics
from service.engine.kernel import likelihoods as kernel_likelihoods
from service.engine.kernel import losses as kernel_losses
from service.engine.kernel import updates
from service.engine.models import GUESSES
from service.engine.objectives import objective
from service.engine.scaling import METHODS as SCALINGS
from service.engine.solvers.table import SOLVERS
from service.fitting.catalogue import likelihood_list, loss_list, model_list, optimizer_list
from service.fitting.columns import DTYPES
from service.render.views.table import SCENES
from service.schemas import names
from service.schemas.losses import Loss
from service.schemas.optimizers import Optimizer, Schedule
from service.schemas.plot import PlotRequest

TABLES: dict[str, tuple[Any, Iterable[str]]] = {
    "losses": (names.LossName, LOSSES),
    "likelihoods": (names.LikelihoodName, LIKELIHOODS),
    "optimizers": (names.OptimizerName, OPTIMIZERS),
    "schedules": (names.ScheduleName, SCHEDULES),
    "gradients": (names.GradientMethod, objective.GRADIENTS),
    "scalings": (names.ScalingMethod, SCALINGS),
    "dtypes": (names.DType, DTYPES),
    "models": (names.ModelName, FAMILIES),
    "views": (names.ViewName, SCENES),
}


@pytest.mark.parametrize("table", TABLES)
def test_a_literal_is_its_table(table: str) -> None:
    literal, entries = TABLES[table]
    assert set(get_args(literal)) == set(entries)
    assert len(get_args(literal)) == len(set(get_args(literal)))


def test_every_optimizer_has_a_solver_and_an_entry() -> None:
    assert set(SOLVERS) == {each.solver for each in OPTIMIZERS.values()} - {None}
    assert [entry.name for entry in optimizer_list().optimizers] == list(OPTIMIZERS)


def test_every_loss_and_every_model_is_in_the_catalogue() -> None:
    assert [entry.name for entry in loss_list().losses] == list(LOSSES)
    assert [entry.name for entry in likelihood_list().likelihoods] == list(LIKELIHOODS)
    assert [entry.name for entry in model_list().models] == [*FAMILIES, "mlp"]


def test_what_the_engine_has_of_an_entry_is_of_one_that_exists() -> None:
    assert set(GUESSES) <= set(FAMILIES)
    assert set(kernel_losses.NAMES) <= set(LOSSES)
    assert set(kernel_likelihoods.NAMES) <= set(LIKELIHOODS)
    assert set(updates.KINDS) <= {n for n, each in OPTIMIZERS.items() if each.is_first_order}


@pytest.mark.parametrize("name", get_args(names.LossName))
def test_the_wire_knows_every_loss(name: str) -> None:
    assert TypeAdapter(Loss).validate_python(name).name == name


@pytest.mark.parametrize("name", get_args(names.OptimizerName))
def test_the_wire_knows_every_optimizer(name: str) -> None:
    assert TypeAdapter(Optimizer).validate_python(name).name == name


def test_the_wire_knows_no_others() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Loss).validate_python("nonesuch")
    with pytest.raises(ValidationError):
        TypeAdapter(Optimizer).validate_python("nonesuch")


@pytest.mark.parametrize("view", VIEWS.values(), ids=str)
def test_what_a_view_requires_is_a_field_of_a_plot_request(view: View) -> None:
    assert set(view.requires) <= set(PlotRequest.model_fields)


@pytest.mark.parametrize("name", get_args(names.ScheduleName))
def test_the_wire_knows_every_schedule(name: str) -> None:
    required: dict[str, dict[str, Any]] = {
        "step": {"step_size": 2},
        "multi_step": {"milestones": [2]},
    }
    options = required.get(name, {"gamma": 0.5} if name == "exponential" else {})
    assert TypeAdapter(Schedule).validate_python({"name": name, **options}).name == name


def test_every_check_is_named_by_its_code_and_only_once() -> None:
    found = [(check.code, check.severity) for check in diagnostics.CHECKS]
    assert len(found) == len(set(found))
    assert all(check.severity.__doc__ for check in diagnostics.CHECKS)
