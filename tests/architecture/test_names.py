"""The catalogue's names on the wire are those of the engine's tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from service.engine import diagnostics, losses, models, optimizers, schedules
from service.engine.objectives import objective
from service.engine.scaling import METHODS as SCALINGS
from service.engine.solvers.table import SOLVERS
from service.fitting.catalogue import loss_list, model_list, optimizer_list
from service.fitting.columns import DTYPES
from service.schemas import names, options
from service.schemas.optimizers import Optimizer

TABLES: dict[str, tuple[Any, Iterable[str]]] = {
    "losses": (names.LossName, losses.LOSSES),
    "optimizers": (names.OptimizerName, ["auto", *optimizers.METHODS]),
    "gradients": (names.GradientMethod, objective.GRADIENTS),
    "scalings": (names.ScalingMethod, SCALINGS),
    "dtypes": (names.DType, DTYPES),
    "models": (names.ModelName, models.FAMILIES),
}


@pytest.mark.parametrize("table", TABLES)
def test_a_literal_is_its_table(table: str) -> None:
    literal, entries = TABLES[table]
    assert set(get_args(literal)) == set(entries)
    assert len(get_args(literal)) == len(set(get_args(literal)))


def test_every_optimizer_has_a_run_and_an_entry() -> None:
    assert set(SOLVERS) == set(optimizers.METHODS)
    assert {entry.name for entry in optimizer_list().optimizers} == set(
        get_args(names.OptimizerName)
    )


def test_every_loss_and_every_model_is_in_the_catalogue() -> None:
    assert [entry.name for entry in loss_list().losses] == list(losses.LOSSES)
    assert {*models.FAMILIES} <= {entry.name for entry in model_list().models}


@pytest.mark.parametrize("name", get_args(names.LossName))
def test_the_wire_knows_every_loss(name: str) -> None:
    assert TypeAdapter(options.Loss).validate_python(name).name == name


@pytest.mark.parametrize("name", get_args(names.OptimizerName))
def test_the_wire_knows_every_optimizer(name: str) -> None:
    assert TypeAdapter(Optimizer).validate_python(name).name == name


def test_the_wire_knows_no_others() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(options.Loss).validate_python("nonesuch")
    with pytest.raises(ValidationError):
        TypeAdapter(Optimizer).validate_python("nonesuch")


def test_every_schedule_of_the_wire_is_one_of_the_engines() -> None:
    ours = {schedule.__name__.lower() for schedule in get_args(schedules.Schedule)} - {"constant"}
    assert {name.replace("_", "") for name in get_args(names.ScheduleName)} == ours


def test_a_tables_entry_bears_the_name_that_it_is_found_by() -> None:
    for table in (losses.LOSSES, optimizers.METHODS, models.FAMILIES):
        assert all(entry.name == name for name, entry in table.items())


def test_every_check_is_named_by_its_code_and_only_once() -> None:
    found = [(check.code, check.severity) for check in diagnostics.CHECKS]
    assert len(found) == len(set(found))
    assert all(check.severity.__doc__ for check in diagnostics.CHECKS)
