"""Every row of the worked example, by the engine in float32."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch

from service.catalogue.optimizers.sgd import Sgd
from service.engine import Rows
from service.engine.fit_options import GradientMethod
from service.engine.objectives.objective import Objective
from tests import thermometer
from tests.engine.builders import exactly, finish, problem, task
from tests.thermometer import ROWS, TUTORIAL, Row, agree


@lru_cache
def rows_of(learning_rate: float, scale: float, epochs: int) -> Rows:
    data = thermometer.DATA | {"t_u": [scale * value for value in thermometer.DATA["t_u"]]}
    of = problem(thermometer.MODEL, data, thermometer.START, dtype=torch.float32)
    return finish(task(of, "sgd", Sgd(learning_rate), epochs, on_divergence="continue"))[0]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_row_of_the_table(row: Row) -> None:
    run, expected = row.run, row.expected
    rows = rows_of(run["learning_rate"], run["scale"], run["epochs"])
    i = row.epoch - 1
    assert rows.epoch[i] == row.epoch
    assert agree(float(rows.loss[i]), expected["loss"], loss=True)
    for position, name in enumerate("wb"):
        assert agree(float(rows.params[i, position]), expected[name])
        assert agree(float(rows.gradient[i, position]), expected[f"grad_{name}"])


def test_there_are_all_rows() -> None:
    assert [len(run["rows"]) for run in TUTORIAL["runs"]] == [10, 15, 5, 10]
    assert len(ROWS) == 40


def test_at_the_start() -> None:
    """In float32, as the table is: in float64 the loss is 1763.88455."""
    at_start = TUTORIAL["at_start"]
    of = problem(thermometer.MODEL, thermometer.DATA, thermometer.START, dtype=torch.float32)
    objective = Objective(of)
    loss, gradient = objective.gradient(of.initial, GradientMethod("analytic"))
    assert objective.predict(of.initial).tolist() == pytest.approx(at_start["predictions"])
    assert agree(float(loss), at_start["loss"], loss=True)
    _, numeric = objective.gradient(
        of.initial, GradientMethod("numeric", at_start["numeric_gradient_delta"])
    )
    after = at_start["after_one_numeric_step_at_learning_rate_0_01"]
    for i, name in enumerate("wb"):
        assert agree(float(gradient[i]), at_start["gradient"][name])
        assert float(numeric[i]) == pytest.approx(at_start["gradient"][name], rel=1e-4)
        assert float(of.initial[i] - 0.01 * numeric[i]) == pytest.approx(after[name], rel=1e-4)


@pytest.mark.parametrize("i", [1, 2, 3])
def test_the_final_params(i: int) -> None:
    run, final = TUTORIAL["runs"][i], TUTORIAL["final_params"][i]
    rows = rows_of(run["learning_rate"], run["scale"], run["epochs"])
    assert rows.params[-1].tolist() == pytest.approx([final["w"], final["b"]], abs=1.5e-4)


def test_the_exact_answer() -> None:
    exact = TUTORIAL["exact"]
    of = problem(thermometer.MODEL, thermometer.DATA, thermometer.START)
    result = exactly(of)
    assert result.params.tolist() == pytest.approx([exact["w"], exact["b"]], abs=5e-7)
    assert result.loss == pytest.approx(exact["mse"], abs=5e-8)
