"""First-order descent beside torch.optim and torch.optim.lr_scheduler, and its bookkeeping."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from service.catalogue.optimizers.adagrad import Adagrad
from service.catalogue.optimizers.adam import Adam
from service.catalogue.optimizers.adamw import AdamW
from service.catalogue.optimizers.rmsprop import Rmsprop
from service.catalogue.optimizers.sgd import Sgd
from service.catalogue.schedules import Constant, Schedule
from service.catalogue.schedules.cosine import Cosine
from service.catalogue.schedules.exponential import Exponential
from service.catalogue.schedules.linear import Linear
from service.catalogue.schedules.multi_step import MultiStep
from service.catalogue.schedules.polynomial import Polynomial
from service.catalogue.schedules.step import Step
from service.engine import Result, Rows
from service.engine.fit_options import GradientMethod, Settings, Tolerance
from service.engine.objectives.objective import Objective
from service.engine.problem import Problem
from service.engine.solvers.first_order import FirstOrder
from tests.devices import put
from tests.engine.builders import finish, problem, task

pytestmark = pytest.mark.usefixtures("device")

EPOCHS = 50
X = [0.2, 0.7, 1.1, 1.9, 2.4, 3.0, 3.3]
Y = [2.9, 1.8, 1.3, 0.9, 0.4, 0.35, 0.3]
DECAY = problem("a*exp(-k*x) + c", {"x": X, "y": Y}, {"a": 1.0, "k": 0.5, "c": 0.2})


def torch_steps(make: Callable[[list[Tensor]], Any], scheduler: Any = None) -> list[list[float]]:
    """The params after each epoch of the loop that a person would write."""
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)
    theta = DECAY.initial.clone().requires_grad_()
    optimizer = make([theta])
    schedule = scheduler(optimizer) if scheduler else None
    history = []
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        loss = ((theta[0] * torch.exp(-theta[1] * x) + theta[2] - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        if schedule:
            schedule.step()
        history.append(theta.tolist())
    return history


def our_steps(name: str, settings: Settings, **options: Any) -> list[list[float]]:
    rows, _ = finish(task(DECAY, name, settings, EPOCHS, **options))
    steps: list[list[float]] = rows.params.tolist()
    return steps


SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
RMSPROP, ADAGRAD = torch.optim.RMSprop, torch.optim.Adagrad
RULES: list[tuple[str, Settings, Any, dict[str, Any]]] = [
    ("sgd", Sgd(0.05), SGD, {"lr": 0.05}),
    ("sgd", Sgd(0.05, momentum=0.8), SGD, {"lr": 0.05, "momentum": 0.8}),
    (
        "sgd",
        Sgd(0.05, momentum=0.8, dampening=0.3),
        SGD,
        {"lr": 0.05, "momentum": 0.8, "dampening": 0.3},
    ),
    (
        "sgd",
        Sgd(0.05, momentum=0.8, nesterov=True),
        SGD,
        {"lr": 0.05, "momentum": 0.8, "nesterov": True},
    ),
    ("sgd", Sgd(0.05, weight_decay=0.1), SGD, {"lr": 0.05, "weight_decay": 0.1}),
    (
        "sgd",
        Sgd(0.02, momentum=0.9, nesterov=True, weight_decay=0.05),
        SGD,
        {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    ),
    ("adam", Adam(0.1), ADAM, {"lr": 0.1}),
    ("adam", Adam(0.1, 0.7, 0.95), ADAM, {"lr": 0.1, "betas": (0.7, 0.95)}),
    ("adam", Adam(0.1, eps=1e-3), ADAM, {"lr": 0.1, "eps": 1e-3}),
    ("adam", Adam(0.1, weight_decay=0.1), ADAM, {"lr": 0.1, "weight_decay": 0.1}),
    ("adam", Adam(0.1, amsgrad=True), ADAM, {"lr": 0.1, "amsgrad": True}),
    ("adamw", AdamW(0.1, weight_decay=1e-2), ADAMW, {"lr": 0.1}),
    (
        "adamw",
        AdamW(0.1, weight_decay=0.2, amsgrad=True),
        ADAMW,
        {"lr": 0.1, "weight_decay": 0.2, "amsgrad": True},
    ),
    ("rmsprop", Rmsprop(0.02), RMSPROP, {"lr": 0.02}),
    (
        "rmsprop",
        Rmsprop(0.02, alpha=0.9, eps=1e-4),
        RMSPROP,
        {"lr": 0.02, "alpha": 0.9, "eps": 1e-4},
    ),
    ("rmsprop", Rmsprop(0.02, centered=True), RMSPROP, {"lr": 0.02, "centered": True}),
    ("rmsprop", Rmsprop(0.02, momentum=0.7), RMSPROP, {"lr": 0.02, "momentum": 0.7}),
    (
        "rmsprop",
        Rmsprop(0.02, momentum=0.7, centered=True, weight_decay=0.1),
        RMSPROP,
        {"lr": 0.02, "momentum": 0.7, "centered": True, "weight_decay": 0.1},
    ),
    ("adagrad", Adagrad(0.1), ADAGRAD, {"lr": 0.1}),
    (
        "adagrad",
        Adagrad(0.1, lr_decay=0.05, weight_decay=0.1),
        ADAGRAD,
        {"lr": 0.1, "lr_decay": 0.05, "weight_decay": 0.1},
    ),
    (
        "adagrad",
        Adagrad(0.1, eps=1e-3, initial_accumulator_value=0.5),
        ADAGRAD,
        {"lr": 0.1, "eps": 1e-3, "initial_accumulator_value": 0.5},
    ),
]


@pytest.mark.parametrize(("name", "settings", "theirs", "options"), RULES)
def test_a_rule_is_torchs(
    name: str, settings: Settings, theirs: Any, options: dict[str, Any]
) -> None:
    """To 1e-12 relative at each of 50 epochs: the same arithmetic, in another order."""
    expected = torch_steps(lambda params: theirs(params, **options))
    for ours, torchs in zip(our_steps(name, settings), expected, strict=True):
        assert ours == pytest.approx(torchs, rel=1e-12, abs=1e-14)


LR = torch.optim.lr_scheduler
SCHEDULES: list[tuple[Schedule, Callable[[Any], Any]]] = [
    (Constant(), lambda o: LR.LambdaLR(o, lambda t: 1.0)),
    (Step(7, 0.5), lambda o: LR.StepLR(o, 7, 0.5)),
    (MultiStep((3, 3, 20, 41), 0.3), lambda o: LR.MultiStepLR(o, [3, 3, 20, 41], 0.3)),
    (Exponential(0.97), lambda o: LR.ExponentialLR(o, 0.97)),
    (Cosine(), lambda o: LR.CosineAnnealingLR(o, EPOCHS)),
    (Cosine(20, 0.01), lambda o: LR.CosineAnnealingLR(o, 20, 0.01)),
    (Linear(), lambda o: LR.LinearLR(o)),
    (Linear(0.2, 0.9, 30), lambda o: LR.LinearLR(o, 0.2, 0.9, 30)),
    (Polynomial(40, 2.0), lambda o: LR.PolynomialLR(o, 40, 2.0)),
    (Polynomial(), lambda o: LR.PolynomialLR(o, EPOCHS)),
]


@pytest.mark.parametrize(("schedule", "theirs"), SCHEDULES)
def test_a_schedule_is_torchs(schedule: Schedule, theirs: Callable[[Any], Any]) -> None:
    """To 1e-12: torch's recursive schedules gather a rounding or two an epoch."""
    expected = torch_steps(lambda params: SGD(params, lr=0.05), theirs)
    found = our_steps("sgd", Sgd(0.05), schedule=schedule)
    for ours, torchs in zip(found, expected, strict=True):
        assert ours == pytest.approx(torchs, rel=1e-12)


# --- what is recorded ----------------------------------------------------------------------------


def sgd(of: Problem = DECAY, epochs: int = EPOCHS, **options: Any) -> tuple[Rows, Result]:
    rate = options.pop("rate", 0.05)
    return finish(task(of, "sgd", Sgd(rate), epochs, **options))


def test_a_record_has_loss_and_gradient_before_the_update_and_params_after_it() -> None:
    rows, result = sgd(epochs=3)
    objective = Objective(DECAY)
    theta = DECAY.initial
    for i in range(3):
        loss, gradient = objective.gradient(theta, GradientMethod())
        assert float(rows.loss[i]) == pytest.approx(float(loss), rel=1e-14)
        assert rows.gradient[i].tolist() == pytest.approx(gradient.tolist(), rel=1e-12)
        theta = theta - 0.05 * gradient
        assert rows.params[i].tolist() == pytest.approx(theta.tolist(), rel=1e-14)
    assert result.params.tolist() == rows.params[-1].tolist()
    assert result.loss == pytest.approx(float(objective.loss(theta)), rel=1e-14)


@pytest.mark.parametrize(
    ("every", "epochs", "kept"),
    [(1, 4, [1, 2, 3, 4]), (3, 10, [1, 3, 6, 9, 10]), (5, 10, [1, 5, 10]), (99, 4, [1, 4])],
)
def test_the_epochs_recorded(every: int, epochs: int, kept: list[int]) -> None:
    rows, _ = sgd(epochs=epochs, record_every=every)
    assert rows.epoch.tolist() == kept


def test_the_last_epoch_is_recorded_when_a_fit_stops_early() -> None:
    rows, result = sgd(epochs=10_000, record_every=1000, rate=20.0)
    assert result.stop_reason == "diverged"
    assert rows.epoch.tolist() == [1, result.epochs]


def test_divergence_stops_or_goes_on_and_best_is_kept() -> None:
    line = problem("w*x + b", {"x": X, "y": Y}, {"w": 1.0, "b": 0.0})
    rows, stopped = sgd(line, epochs=500, rate=5.0)
    assert (stopped.stop_reason, stopped.epochs) == ("diverged", len(rows.epoch))
    assert stopped.epochs < 500
    _, went_on = sgd(line, epochs=500, rate=5.0, on_divergence="continue")
    assert (went_on.stop_reason, went_on.epochs) == ("diverged", 500)
    objective = Objective(line)
    for result in (stopped, went_on):
        measured = float(objective.loss(put(result.best.params)))
        assert measured == pytest.approx(result.best.loss, rel=1e-14)
        assert result.best.loss == min(float(rows.loss.min()), result.loss)


def test_the_best_of_a_noisy_descent_is_the_lowest_loss_seen() -> None:
    rows, result = sgd(epochs=40, rate=0.6)
    lowest = int(rows.loss.argmin())
    if result.loss < float(rows.loss.min()):
        assert (result.best.epoch, result.best.loss) == (40, result.loss)
    else:
        assert result.best.epoch == int(rows.epoch[lowest])
        assert result.best.loss == float(rows.loss[lowest])
    measured = float(Objective(DECAY).loss(result.best.params))
    assert measured == pytest.approx(result.best.loss, rel=1e-14)


@pytest.mark.parametrize(
    "tolerance", [Tolerance(loss=1e-6), Tolerance(params=1e-5), Tolerance(gradient=1e-3)]
)
def test_a_tolerance_ends_the_fit_at_the_first_epoch_that_meets_it(tolerance: Tolerance) -> None:
    rows, result = sgd(epochs=100_000, tolerance=tolerance, rate=0.2)
    assert result.stop_reason == "converged"
    loss, params, gradient = rows.loss, rows.params, rows.gradient.abs().amax(dim=1)
    theta = torch.cat([DECAY.initial.unsqueeze(0), params])
    if tolerance.loss:
        met = (loss.diff().abs() <= tolerance.loss * loss[:-1]).nonzero().flatten() + 2
    elif tolerance.params:
        moved = theta.diff(dim=0).norm(dim=1) / theta[:-1].norm(dim=1)
        met = (moved <= tolerance.params).nonzero().flatten() + 1
    else:
        met = (gradient <= tolerance.gradient * gradient[0]).nonzero().flatten() + 1
    assert int(met[0]) == result.epochs


def test_bounds_are_kept_after_every_update_and_fixed_params_stay() -> None:
    of = problem(
        "a*exp(-k*x) + c",
        {"x": X, "y": Y},
        {"a": 1.0, "k": 0.5, "c": 0.2},
        bounds={"a": (0.0, 1.5), "c": (0.1, torch.inf)},
        fixed=["k"],
    )
    for name, settings in (
        ("sgd", Sgd(0.3, momentum=0.5, weight_decay=0.1)),
        ("adamw", AdamW(0.3, weight_decay=0.5)),
        ("rmsprop", Rmsprop(0.1, weight_decay=0.1)),
        ("adagrad", Adagrad(0.5)),
    ):
        rows, result = finish(task(of, name, settings, 100))
        assert float(rows.params[:, 0].max()) <= 1.5
        assert float(rows.params[:, 2].min()) >= 0.1
        assert set(rows.params[:, 1].tolist()) == {0.5}
        assert float(rows.gradient[:, 1].abs().max()) == 0.0
        assert math.isfinite(result.loss)


# --- mini-batches --------------------------------------------------------------------------------


def _each_row_once(epochs: list[list[list[int]]]) -> None:
    assert len(epochs) == 5
    for batches in epochs:
        assert [len(batch) for batch in batches] == [3, 3, 1]
        assert sorted(row for batch in batches for row in batch) == list(range(7))
    assert len({str(batches) for batches in epochs}) > 1


def test_an_epoch_of_mini_batches_visits_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    visited: list[list[int]] = []
    whole = Objective.on

    def watched(self: Objective, rows: Tensor) -> Objective:
        visited.append(rows.tolist())
        return whole(self, rows)

    monkeypatch.setattr(Objective, "on", watched)
    sgd(epochs=5, batch_size=3, gradient=GradientMethod("autograd"))
    _each_row_once([visited[i : i + 3] for i in range(0, len(visited), 3)])


def test_the_kernel_is_given_each_row_once_an_epoch() -> None:
    solver = FirstOrder(task(DECAY, "sgd", Sgd(0.05), 5, batch_size=3))
    orders = solver._orders(solver.init().generators, 5)
    _each_row_once([[part.tolist() for part in order.split(3)] for order in orders])


def test_a_mini_batch_descent_is_torchs_over_the_same_batches() -> None:
    """The order is that of torch.randperm from a generator with the fit's seed."""
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)
    generator = torch.Generator().manual_seed(7)
    theta = DECAY.initial.clone().requires_grad_()
    optimizer = ADAM([theta], lr=0.05)
    for _ in range(20):
        for rows in torch.randperm(7, generator=generator).split(2):
            optimizer.zero_grad()
            predicted = theta[0] * torch.exp(-theta[1] * x[rows]) + theta[2]
            ((predicted - y[rows]) ** 2).mean().backward()
            optimizer.step()
    _, result = finish(task(DECAY, "adam", Adam(0.05), 20, batch_size=2, seed=7))
    assert result.params.tolist() == pytest.approx(theta.tolist(), rel=1e-12)


def test_the_same_seed_gives_the_same_bits_and_another_another_order() -> None:
    first, second, other = (sgd(epochs=20, batch_size=3, seed=seed)[0].params for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_no_global_random_state_is_read_or_moved() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = sgd(epochs=5, batch_size=3)[0].params
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(sgd(epochs=5, batch_size=3)[0].params, first)


@pytest.mark.parametrize("size", [7, 8, 1000])
def test_a_batch_of_all_rows_is_full_batch_descent(size: int) -> None:
    assert torch.equal(sgd(batch_size=size)[0].params, sgd()[0].params)


@pytest.mark.parametrize("method", ["analytic", "autograd", "numeric"])
def test_every_gradient_method_descends_the_same_way(method: str) -> None:
    rows, _ = sgd(epochs=20, gradient=GradientMethod(method))
    expected, _ = sgd(epochs=20)
    assert rows.params[-1].tolist() == pytest.approx(expected.params[-1].tolist(), rel=1e-8)
