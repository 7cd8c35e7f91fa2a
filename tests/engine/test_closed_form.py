"""Gradient descent on a linear problem, by its closed form and epoch after epoch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from service.catalogue.optimizers.sgd import Sgd
from service.engine import Rows, Task
from service.engine.fit_options import Tolerance
from service.engine.solvers.closed_form import BLOCK, ClosedForm
from service.engine.solvers.first_order import FirstOrder
from service.engine.solvers.table import solver_of
from tests.engine.builders import problem, task

N = 30
GENERATOR = torch.Generator().manual_seed(4)
X = (3 * torch.rand(N, generator=GENERATOR, dtype=torch.float64) - 1).tolist()
Y = (torch.tensor(X) * 2 + torch.randn(N, generator=GENERATOR)).tolist()
MODELS = {
    "a line": ("y = a*x + b", {"a": -1.0, "b": 4.0}, ()),
    "a parabola": ("y = a*x**2 + b*x + c", {"a": 0.5, "b": 0.0, "c": 0.0}, ()),
    "one param fixed": ("y = a*x**2 + b*x + c", {"a": 0.5, "b": 1.0, "c": 0.0}, ("b",)),
    "two params that do the same": ("y = a*x + b*x + c", {"a": 1.0, "b": 0.0, "c": 0.0}, ()),
}
RATES = {"slow": 0.003, "at half the limit": 0.1, "beyond the limit": 3.0}


def descent(model: str, rate: float, **options: Any) -> Task:
    text, params, fixed = MODELS[model]
    of = problem(text, {"x": X, "y": Y}, params, fixed=fixed)
    return task(of, "sgd", Sgd(learning_rate=rate), 400, record_every=7, **options)


def by(solver: Any, epochs: int = 400) -> tuple[Rows, Any]:
    """What it records, and how it ends."""
    state, recorded = solver.step(solver.init(), epochs)
    return recorded[0], solver.ends(state)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rate", RATES)
def test_it_goes_the_way_of_the_epochs(model: str, rate: str) -> None:
    """To 1e-10 of the largest number on the way; a descent beyond the limit is found to have
    diverged in the same epoch. Which epoch is the best is told to the rounding of its loss."""
    asked = descent(model, RATES[rate])
    short = solver_of(asked)
    assert isinstance(short, ClosedForm)
    rows, ends = by(short)
    due, due_ends = by(FirstOrder(asked))
    assert rows.epoch.tolist() == due.epoch.tolist()
    for found, wanted in (
        (rows.loss, due.loss),
        (rows.params, due.params),
        (rows.gradient, due.gradient),
        (ends.theta, due_ends.theta),
        (ends.best_loss, due_ends.best_loss),
        (ends.first_gradient, due_ends.first_gradient),
    ):
        size = float(wanted.abs().max())
        assert torch.allclose(found, wanted.to(found), rtol=1e-9, atol=1e-10 * size)
    assert ends.reasons == due_ends.reasons
    assert ends.epochs.equal(due_ends.epochs)
    assert torch.allclose(ends.best, due_ends.best.to(ends.best), rtol=1e-7, atol=1e-7)


def test_a_block_may_have_nothing_to_record() -> None:
    asked = descent("a line", 0.1)
    options = replace(asked.options, epochs=3 * BLOCK, record_every=3 * BLOCK)
    rows, ends = by(solver_of(replace(asked, options=options)), 3 * BLOCK)
    assert rows.epoch.tolist() == [1, 3 * BLOCK]
    assert ends.epochs.tolist() == [3 * BLOCK]


@pytest.mark.parametrize(
    "tolerance", [Tolerance(loss=1e-4), Tolerance(params=1e-3), Tolerance(gradient=1e-2)]
)
def test_a_tolerance_ends_it_in_the_same_epoch(tolerance: Tolerance) -> None:
    asked = descent("a line", 0.05, tolerance=tolerance)
    _, ends = by(solver_of(asked))
    _, due = by(FirstOrder(asked))
    assert ends.reasons == due.reasons == ("converged",)
    assert ends.epochs.equal(due.epochs)
