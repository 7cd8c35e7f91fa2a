"""The short ways of first-order descent give the answer of the long one, over the data by torch."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from service.engine.closed_form import ClosedForm
from service.engine.descent import Descent, descend
from service.engine.ground import DataGround, SmallGround, small_ground
from service.engine.run import Run

from service.engine.formula import read_formula
from service.engine.losses import LOSSES, Loss
from service.engine.optimizers.first_order import Adagrad, Adam, Rmsprop, Sgd
from service.engine.problem import Options, Problem, Task, Tolerance
from service.engine.result import Rows
from tests.devices import put

pytestmark = pytest.mark.usefixtures("device")

RULES = {
    "plain": Sgd(0.01),
    "momentum": Sgd(0.01, momentum=0.9),
    "nesterov": Sgd(0.01, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": Adam(0.05),
    "amsgrad": Adam(0.05, amsgrad=True, weight_decay=0.01, decoupled=True),
    "rmsprop": Rmsprop(0.01, momentum=0.5, centered=True),
    "adagrad": Adagrad(0.1, lr_decay=0.01),
}
NAMES = {Sgd: "sgd", Adam: "adam", Rmsprop: "rmsprop", Adagrad: "adagrad"}


def problem(
    formula: str, seed: int, rows: int = 23, *, sigma: bool = False, **fixed: float
) -> Problem:
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, generator=draw, dtype=torch.float64) * 3
    z = torch.randn(rows, generator=draw, dtype=torch.float64)
    y = 1.5 * x + 0.5 * z + 0.3 * torch.randn(rows, generator=draw, dtype=torch.float64)
    read = read_formula(formula, frozenset({"x", "z", "y"}))
    start = torch.randn(len(read.params), generator=draw, dtype=torch.float64)
    free = tuple(name not in fixed for name in read.params)
    for i, name in enumerate(read.params):
        start[i] = fixed.get(name, float(start[i]))
    endless = torch.full_like(start, math.inf)
    spread = 0.5 + torch.rand(rows, generator=draw, dtype=torch.float64) if sigma else None
    columns = {name: {"x": x, "z": z}[name] for name in read.inputs}
    loss = Loss(LOSSES["mse"], 1.0)
    return put(Problem(read, columns, y, start, -endless, endless, free, loss, spread))


def task(what: Problem, rule: Sgd | Adam | Rmsprop | Adagrad, epochs: int, **more: object) -> Task:
    name = NAMES[type(rule)]
    return Task(what, Options(name, rule, epochs, 1, **more))  # type: ignore[arg-type]


def long_way(what: Task) -> Run:
    generator = torch.Generator()
    return Descent(what, DataGround(what.problem, what.options, generator), generator)


def agree(short: Rows, long: Rows, what: Problem, tolerance: float = 1e-9) -> None:
    """To that fraction of the sum of the terms' magnitudes, until the first non-finite value; from
    there on both are non-finite, one of them sooner by what it sums before it takes the mean."""
    least = 1 + float(what.target.abs().max()) ** 2
    for ours, theirs in ((short.loss[:, None], long.loss[:, None]), (short.params, long.params)):
        finite = torch.isfinite(ours).all(1) & torch.isfinite(theirs).all(1)
        count = int(finite.to(torch.int64).cumprod(0).sum())
        scale = least + theirs[:count].abs().amax(dim=1, keepdim=True)
        assert ((ours - theirs)[:count].abs() <= tolerance * scale).all()
        growing = max(1.0 + 1e-3, _growth(theirs[:count].abs().amax(dim=1)))
        after = slice(count + 1 + math.floor(math.log(100) / math.log(growing)), None)
        assert not torch.isfinite(ours[after]).all(1).any()
        assert not torch.isfinite(theirs[after]).all(1).any()


LINEAR = ("y = w*x + b", "y = a*x + b*z + c", "y = a*x**2 + b*x + c", "y = a*x + d*x + c")


@given(
    formula=st.sampled_from(LINEAR),
    seed=st.integers(0, 10_000),
    rate=st.sampled_from([1e-4, 1e-3, 1e-2, 0.1, 0.3, 1.0, 30.0]),
    sigma=st.booleans(),
)
def test_the_closed_form_is_the_iteration(
    formula: str, seed: int, rate: float, sigma: bool
) -> None:
    what = problem(formula, seed, sigma=sigma)
    asked = task(what, Sgd(rate), 300, on_divergence="continue")
    short, long = descend(asked), long_way(asked)
    assert isinstance(short, ClosedForm)
    agree(short.step(300), long.step(300), what)
    one, other = short.result(), long.result()
    assert one.stop_reason == other.stop_reason
    assert one.epochs == other.epochs
    if math.isfinite(other.best.loss):
        assert one.best.loss == pytest.approx(other.best.loss, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize(
    "formula", ["y = a*x + b*z + c", "y = a*exp(-b*x) + c*z", "y = a*x**b + c"]
)
@pytest.mark.parametrize("seed", range(3))
def test_the_small_ground_is_the_data(
    rule: Sgd | Adam | Rmsprop | Adagrad, formula: str, seed: int
) -> None:
    what = problem(formula, seed, sigma=seed == 2)
    asked = task(what, rule, 200)
    ground = small_ground(what, asked.options)
    if not what.is_linear and what.target.device.type != "cpu":
        assert ground is None  # numpy does not read what lies there
        return
    assert isinstance(ground, SmallGround)
    short = Descent(asked, ground, torch.Generator())
    agree(short.step(200), long_way(asked).step(200), what)


@pytest.mark.parametrize("formula", ["y = a*x + b*z + c", "y = a*exp(-b*x) + c*z"])
def test_fixed_and_bounded_params_stay_where_they_must(formula: str) -> None:
    what = problem(formula, 5, c=0.25)
    low = torch.full_like(what.lower, -0.1)
    what = replace(what, lower=low, initial=torch.clamp(what.initial, min=-0.1))
    asked = task(what, Adam(0.1), 100)
    short = descend(asked)
    agree(short.step(100), long_way(asked).step(100), what)
    assert float(short.result().params[what.params.index("c")]) == 0.25
    assert bool((short.result().params >= -0.1).all())


@pytest.mark.parametrize(
    "tolerance", [Tolerance(loss=1e-6), Tolerance(params=1e-6), Tolerance(gradient=1e-6)]
)
def test_a_tolerance_ends_both_at_the_same_epoch(tolerance: Tolerance) -> None:
    what = problem("y = w*x + b", 3)
    asked = task(what, Sgd(0.05), 100_000, tolerance=tolerance)
    short, long = descend(asked), long_way(asked)
    short.step(100_000)
    long.step(100_000)
    assert short.result().stop_reason == long.result().stop_reason == "converged"
    assert abs(short.epoch - long.epoch) <= 1


def test_a_direction_in_which_the_data_say_nothing_stays_where_it_was() -> None:
    what = problem("y = a*x + d*x + c", 1)
    short = descend(task(what, Sgd(0.05), 5000))
    short.step(5000)
    a, d, _ = (short.result().params - what.initial).tolist()
    assert a == pytest.approx(d, abs=1e-9)


def test_the_cost_of_an_epoch_does_not_depend_on_the_rows() -> None:
    """What the run holds of a million rows is a factor of three by three."""
    what = problem("y = w*x + b", 2, rows=100_000)
    short = descend(task(what, Sgd(0.05), 10**8))
    assert isinstance(short, ClosedForm)
    assert short._data.r.shape == (2, 2)


@given(
    seed=st.integers(0, 10_000),
    rate=st.sampled_from([1e-3, 0.03, 0.1, 0.25, 0.4, 1.0, 1e3]),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    epochs=st.sampled_from([1, 50, 2000]),
)
def test_the_closed_form_is_the_loop_that_a_person_writes(
    seed: int, rate: float, scale: float, epochs: int
) -> None:
    """To 1e-9 of the sum of the terms' magnitudes until the first number that is not finite; after
    it, nothing of either is."""
    what = problem("y = w*x + b", seed)
    what = replace(what, columns={"x": what.columns["x"] * scale})
    run = descend(task(what, Sgd(rate), epochs, on_divergence="continue"))
    assert isinstance(run, ClosedForm)
    rows = run.step(epochs)
    ours = torch.cat([rows.loss[:, None], rows.params], dim=1)
    theirs, sizes = by_hand(what, rate, epochs)
    for mine, hers, size in zip(ours.T, theirs.T, sizes.T, strict=True):
        finite = torch.isfinite(mine) & torch.isfinite(hers)
        both = int(finite.to(torch.int64).cumprod(0).sum())
        assert ((mine - hers).abs()[:both] <= 1e-9 * size[:both]).all()
        # Which sum overflows first depends on its order, so by then they are within its rounding.
        growing = max(1.0 + 1e-3, _growth(hers[:both]))
        soon = both + 1 + math.ceil(math.log(100) / math.log(growing))
        assert not torch.isfinite(mine[soon:]).any()
        assert not torch.isfinite(hers[soon:]).any()


def _growth(values: torch.Tensor) -> float:
    """By how much the last value is larger than the one before it."""
    return float((values[-1] / values[-2]).abs()) if len(values) > 1 else 1.0


def by_hand(what: Problem, rate: float, epochs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss and the params of each epoch, and the sum of the magnitudes of each one's terms."""
    x, y, (w, b) = what.columns["x"], what.target, what.initial
    history, sizes = [], []
    for _ in range(epochs):
        residual = w * x + b - y
        terms = (w * x).abs() + b.abs() + y.abs()
        loss, size = (residual**2).mean(), (terms**2).mean()
        grown = (
            w.abs() + rate * 2 * (terms * x.abs()).mean(),
            b.abs() + rate * 2 * terms.mean(),
        )
        w, b = w - rate * 2 * (residual * x).mean(), b - rate * 2 * residual.mean()
        history.append(torch.stack([loss, w, b]))
        sizes.append(torch.stack([size, *grown]))
    return torch.stack(history).cpu(), torch.stack(sizes).cpu()
