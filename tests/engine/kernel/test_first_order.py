"""The compiled descent beside the rules of `catalogue.optimizers`, stepped by hand on torch's
gradients."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from service.catalogue.losses import LOSSES
from service.catalogue.optimizers import OPTIMIZERS
from service.catalogue.optimizers.adagrad import Adagrad
from service.catalogue.optimizers.adam import Adam
from service.catalogue.optimizers.adamw import AdamW
from service.catalogue.optimizers.rmsprop import Rmsprop
from service.catalogue.optimizers.sgd import Sgd
from service.catalogue.schedules import Constant, Schedule
from service.catalogue.schedules.cosine import Cosine
from service.catalogue.schedules.exponential import Exponential
from service.catalogue.schedules.step import Step
from service.engine import Groups, Options, Problem, Task, stopping
from service.engine.fit_options import GradientMethod, Tolerance
from service.engine.kernel import first_order as kernel
from service.engine.kernel import operators
from service.engine.kernel.losses import NAMES
from service.engine.kernel.marquardt_state import CONVERGED, DIVERGED, MAX_EPOCHS, RUNNING
from service.engine.kernel.updates import update_of
from service.engine.objectives.objective import Objective
from service.engine.solvers.first_order import FirstOrder, State
from tests import thermometer
from tests.engine.builders import problem
from tests.engine.kernel.arrays import beside
from tests.thermometer import ROWS, TUTORIAL, Row, agree

Settings = Sgd | Adam | Rmsprop | Adagrad
EPOCHS = 50
ANALYTIC = GradientMethod()
OFF = Tolerance()
CONSTANT = Constant()
NAME_OF = {optimizer.settings: name for name, optimizer in OPTIMIZERS.items()}


# --- the kernel on a problem ----------------------------------------------------------------------


def posed(
    problems: Problem | Sequence[Problem], settings: Settings, epochs: int = EPOCHS, **options: Any
) -> Task:
    """Problems of one formula and dtype as groups, one after another, each from its own start."""
    groups = [problems] if isinstance(problems, Problem) else list(problems)
    of, fits = beside(groups)
    options.setdefault("record_every", 1)
    return Task(of, Options(NAME_OF[type(settings)], settings, epochs, **options), fits)


@dataclass
class Descended:
    """What the kernel made of groups: (groups, …); history as a group's recorded epochs."""

    state: State
    epochs: list[list[float]]
    losses: list[Tensor]
    params: list[Tensor]
    gradients: list[Tensor]


def descended(
    problems: Problem | Sequence[Problem],
    settings: Settings,
    epochs: int = EPOCHS,
    *,
    slices: Sequence[int] = (),
    batch: int = 0,
    seed: int = 0,
    every: int = 1,
    tolerance: Tolerance = OFF,
    stop: bool = True,
    pickled: bool = False,
    schedule: Schedule = CONSTANT,
) -> Descended:
    """The kernel's descent, in slices of so many epochs; the last takes the rest."""
    task = posed(
        problems, settings, epochs, record_every=every, tolerance=tolerance,
        batch_size=batch or None, seed=seed, on_divergence="stop" if stop else "continue",
        schedule=schedule,
    )  # fmt: skip
    solver, width = FirstOrder(task), len(task.problem.params)
    state = solver.init()
    tables: list[list[Tensor]] = [[] for _ in range(len(task.fits))]
    for count in (*slices, epochs - sum(slices)):
        state, recorded = solver.step(state, count)
        for table, rows in zip(tables, recorded.values(), strict=True):
            table.append(rows.table)
        if pickled:
            state = pickle.loads(pickle.dumps(state))
            solver = FirstOrder(task)
    kept = [torch.cat(table) for table in tables]
    return Descended(
        state,
        [table[:, 0].tolist() for table in kept],
        [table[:, 1] for table in kept],
        [table[:, 2 : 2 + width] for table in kept],
        [table[:, 2 + width :] for table in kept],
    )


def bits(state: State) -> list[bytes]:
    """What each group's state is made of."""
    return [part.numpy().tobytes() for part in state[:-1]]


def same(one: State, other: State) -> bool:
    """Whether two states have the same bits."""
    return bits(one) == bits(other)


def group_of(state: State, g: int) -> State:
    """The state of one group alone."""
    *parts, generators = state
    own: Any = [part[g : g + 1] for part in parts]
    return State(*(*own, generators))


def measured(of: Problem, theta: Tensor) -> tuple[Tensor, Tensor]:
    """The loss at θ (params,) and its gradient, as the kernel reads them."""
    data = of.data(torch.tensor([[0], [of.rows]]))
    loss, gradient = operators.gradient(
        of.program, of.loss_number, of.loss.delta, data, theta.unsqueeze(0)
    )
    return loss[0], gradient[0]


# --- by hand --------------------------------------------------------------------------------------


def by_hand(
    of: Problem, settings: Settings, epochs: int = EPOCHS, *, batch: int = 0, seed: int = 0,
    schedule: Schedule = CONSTANT,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Losses (epochs,) and gradients before each epoch, params after it (epochs, params)."""
    objective, generator = Objective(of), torch.Generator().manual_seed(seed)
    theta, state, base = of.initial, settings.start(of.initial), settings.learning_rate
    losses, params, gradients = [], [], []
    for epoch in range(epochs):
        loss, gradient = objective.gradient(theta, ANALYTIC)
        rate = base * schedule.factor(epoch, base, epochs)
        parts = [gradient]
        if 0 < batch < of.rows:
            parts = list(torch.randperm(of.rows, generator=generator).split(batch))
        for part in parts:
            slope = gradient
            if part is not gradient:
                slope = objective.on(part).gradient(theta, ANALYTIC)[1]
            theta, state = settings.update(theta, slope, state, rate)
            theta = torch.clamp(theta, of.lower, of.upper)
            theta = torch.where(objective.free, theta, of.initial)
        losses.append(float(loss))
        params.append(theta.double())
        gradients.append(gradient.double())
    return torch.tensor(losses, dtype=torch.float64), torch.stack(params), torch.stack(gradients)


def assert_by_hand(
    of: Problem, settings: Settings, epochs: int = EPOCHS, *, rtol: float = 1e-12, **options: Any
) -> None:
    """The kernel's losses and params are those of a descent by hand, relatively; its gradients too,
    relative to the largest: what cancels in them does so to another rounding."""
    losses, params, gradients = by_hand(of, settings, epochs, **options)
    ours = descended(of, settings, epochs, stop=False, **options)
    largest = float(gradients.abs().nan_to_num(0, 0, 0).max())
    for found, expected, atol in (
        (ours.losses[0], losses, 1e-3 * rtol),
        (ours.params[0], params, 1e-3 * rtol),
        (ours.gradients[0], gradients, 10 * rtol * largest),
    ):
        torch.testing.assert_close(found, expected, rtol=rtol, atol=atol, equal_nan=True)


def decay(
    rows: int = 40, dtype: torch.dtype = torch.float64, sigma: bool = False, **options: Any
) -> Problem:
    """A decay with noise and an outlier, far from its start."""
    generator = torch.Generator().manual_seed(rows)
    x = torch.linspace(0.0, 4.0, rows, dtype=torch.float64)
    noise = 0.1 * torch.randn(rows, dtype=torch.float64, generator=generator)
    y = 2.5 * torch.exp(-1.3 * x) + 0.5 + noise
    y[rows // 3] += 4.0
    if sigma:
        options["sigma"] = (0.5 + torch.rand(rows, generator=generator)).tolist()
    start = options.pop("start", {"a": 1.0, "k": 0.6, "c": 0.1})
    data = {"x": x.tolist(), "y": y.tolist()}
    return problem("a*exp(-k*x) + c", data, start, dtype=dtype, **options)


RULES: list[Settings] = [
    Sgd(0.05),
    Sgd(0.05, momentum=0.8),
    Sgd(0.05, momentum=0.8, dampening=0.3),
    Sgd(0.05, momentum=0.8, nesterov=True),
    Sgd(0.05, weight_decay=0.1),
    Sgd(0.02, momentum=0.9, nesterov=True, weight_decay=0.05),
    Adam(0.1),
    Adam(0.1, 0.7, 0.95),
    Adam(0.1, eps=1e-3),
    Adam(0.1, weight_decay=0.1),
    Adam(0.1, amsgrad=True),
    AdamW(0.1, weight_decay=1e-2),
    AdamW(0.1, weight_decay=0.2, amsgrad=True),
    Rmsprop(0.02),
    Rmsprop(0.02, alpha=0.9, eps=1e-4),
    Rmsprop(0.02, centered=True),
    Rmsprop(0.02, momentum=0.7),
    Rmsprop(0.02, momentum=0.7, centered=True, weight_decay=0.1),
    Adagrad(0.1),
    Adagrad(0.1, lr_decay=0.05, weight_decay=0.1),
    Adagrad(0.1, eps=1e-3, initial_accumulator_value=0.5),
]
ONE_OF_EACH: list[Settings] = [
    Sgd(0.05, momentum=0.8),
    Adam(0.1, amsgrad=True),
    Rmsprop(0.02, momentum=0.7, centered=True),
    Adagrad(0.1, lr_decay=0.05),
]


@pytest.mark.parametrize("sigma", [False, True], ids=["", "sigma"])
@pytest.mark.parametrize("loss", NAMES)
@pytest.mark.parametrize("settings", RULES, ids=str)
def test_every_rule_on_every_loss(settings: Settings, loss: str, sigma: bool) -> None:
    assert_by_hand(decay(loss=loss, sigma=sigma), settings)


@pytest.mark.parametrize("loss", NAMES)
@pytest.mark.parametrize("settings", RULES, ids=str)
def test_in_float32(settings: Settings, loss: str) -> None:
    assert_by_hand(decay(loss=loss, dtype=torch.float32), settings, rtol=2e-4)


class Array(np.ndarray[Any, Any]):
    """A numpy array with the one method of tensors that the rules use and it lacks."""

    def maximum(self, other: Any) -> Any:
        return np.maximum(self, other)


@pytest.mark.parametrize("settings", RULES, ids=str)
def test_in_float32_an_update_has_the_bits_of_numpys(settings: Settings) -> None:
    """Over one row, whose gradient 2a has no rounding of its own; torch's own float32 square root
    is that of no correct rounding (off by one unit in the last place in one number of six)."""
    of = problem("a*x", {"x": [1.0], "y": [0.0]}, {"a": 0.7}, dtype=torch.float32)
    theta: Any = of.initial.numpy().view(Array)
    state, params = settings.start(theta), []
    for _ in range(EPOCHS):
        theta, state = settings.update(theta, 2 * theta, state, settings.learning_rate)
        params.append(float(theta[0]))
    assert descended(of, settings).params[0][:, 0].tolist() == params


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 128, 300, 1100])
@pytest.mark.parametrize("settings", ONE_OF_EACH, ids=lambda s: type(s).__name__)
def test_rows_of_several_blocks(settings: Settings, rows: int) -> None:
    assert_by_hand(decay(rows, sigma=True), settings)


@pytest.mark.parametrize("schedule", [Step(7, 0.5), Exponential(0.97), Cosine(30, 0.01)], ids=str)
def test_schedules(schedule: Any) -> None:
    assert_by_hand(decay(), Sgd(0.05), schedule=schedule)
    assert_by_hand(decay(), AdamW(0.05, weight_decay=0.1), schedule=schedule)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("w*x + b", {"w": 1.0, "b": 0.0}),
        ("c + 0*x", {"c": 3.0}),
        ("c", {"c": 3.0}),
        ("a*exp(-b*x)*exp(-b*c)", {"a": 1.0, "b": 0.3, "c": 0.2}),
        ("where(x < k, a*x, a*k) + sqrt(c)", {"k": 1.5, "a": 1.0, "c": 0.5}),
    ],
)
def test_formulas_whose_slopes_are_of_every_kind(text: str, start: dict[str, float]) -> None:
    """The same in all rows, of columns alone, and of both."""
    x = torch.linspace(0.0, 4.0, 80, dtype=torch.float64)
    data = {"x": x.tolist(), "y": torch.cos(x).tolist()}
    assert_by_hand(problem(text, data, start), Sgd(0.01, momentum=0.5))


# --- mini-batches, bounds, fixed params -----------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 7, 20, 64, 99, 100, 1000])
@pytest.mark.parametrize("settings", ONE_OF_EACH, ids=lambda s: type(s).__name__)
def test_mini_batches_are_those_of_torchs_permutations(settings: Settings, batch: int) -> None:
    of = decay(100, sigma=True, loss="huber")
    assert_by_hand(of, settings, 20, batch=batch, seed=3, rtol=1e-11)


def test_a_batch_of_all_rows_is_a_full_batch() -> None:
    whole = descended(decay(), Adam(0.1))
    assert same(descended(decay(), Adam(0.1), batch=40).state, whole.state)


@pytest.mark.parametrize("batch", [0, 16])
@pytest.mark.parametrize("settings", RULES, ids=str)
def test_bounds_hold_after_every_update_and_fixed_params_stay(
    settings: Settings, batch: int
) -> None:
    of = decay(bounds={"a": (0.9, 1.05), "c": (0.1, torch.inf)}, fixed=["k"])
    assert_by_hand(of, settings, batch=batch)
    ours = descended(of, settings, batch=batch)
    assert float(ours.params[0][:, 0].min()) >= 0.9
    assert float(ours.params[0][:, 0].max()) <= 1.05
    assert float(ours.params[0][:, 2].min()) >= 0.1
    assert set(ours.params[0][:, 1].tolist()) == {0.6}
    assert set(ours.gradients[0][:, 1].tolist()) == {0.0}


def test_nothing_is_free() -> None:
    ours = descended(decay(fixed=["a", "k", "c"]), Adam(0.1), 3)
    assert ours.params[0].tolist() == [[1.0, 0.6, 0.1]] * 3
    assert ours.state.counts[0, kernel.REASON] == MAX_EPOCHS


rates = st.floats(1e-4, 0.05)
shares = st.floats(0.0, 0.95)
decays = st.sampled_from([0.0, 1e-3, 0.1])
switches = st.booleans()
ANY_RULE: st.SearchStrategy[Any] = st.one_of(
    st.builds(Sgd, rates, shares, shares, st.just(False), decays),
    st.builds(Sgd, rates, st.floats(0.1, 0.95), st.just(0.0), st.just(True), decays),
    *(
        st.builds(
            adam, rates, shares, st.floats(0.5, 0.9999), st.floats(1e-10, 1e-2), decays, switches
        )
        for adam in (Adam, AdamW)
    ),
    st.builds(
        Rmsprop, rates, st.floats(0.9, 0.999), st.floats(1e-8, 1e-2), decays, shares, switches
    ),
    st.builds(Adagrad, rates, shares, st.floats(1e-10, 1e-2), decays, st.floats(0.0, 1.0)),
)  # fmt: skip


@given(
    settings=ANY_RULE,
    loss=st.sampled_from(NAMES),
    sigma=switches,
    rows=st.integers(2, 140),
    batch=st.integers(0, 140),
    fixed=st.sets(st.sampled_from("akc"), max_size=2),
    low=st.floats(0.0, 0.5),
    slices=st.lists(st.integers(0, 6), max_size=3),
)
def test_any_rule_goes_as_by_hand(
    settings: Settings,
    loss: str,
    sigma: bool,
    rows: int,
    batch: int,
    fixed: set[str],
    low: float,
    slices: list[int],
) -> None:
    of = decay(
        rows, sigma=sigma, loss=loss, fixed=sorted(fixed), bounds={"k": (low, 3.0), "a": (low, 2.0)}
    )
    assert_by_hand(of, settings, 10, batch=batch, seed=rows, rtol=1e-8)
    whole = descended(of, settings, 20, batch=batch, seed=rows)
    cut = descended(of, settings, 20, batch=batch, seed=rows, slices=slices)
    assert same(whole.state, cut.state)


# --- what is not finite ---------------------------------------------------------------------------

X = [0.0, 0.5, 1.0, 2.0, 3.0]
HOSTILE: list[tuple[str, dict[str, float], str]] = [
    ("a*exp(b*x)", {"a": 1.0, "b": 1000.0}, "mse"),
    ("a*exp(b*x)", {"a": 0.0, "b": 1000.0}, "mse"),
    ("a*exp(b*x)", {"a": 1e200, "b": 1.0}, "mse"),
    ("a*exp(b*x)", {"a": 1.0, "b": 1000.0}, "mae"),
    ("a*exp(b*x)", {"a": 1.0, "b": 1000.0}, "huber"),
    ("a*exp(b*x)", {"a": 1.0, "b": 1000.0}, "tukey"),
    ("a*x**b", {"a": 1.0, "b": 0.5}, "mse"),
    ("a*x**b", {"a": 1.0, "b": -0.5}, "mse"),
    ("sqrt(a*x)", {"a": 0.0}, "mse"),
    ("sqrt(a*x) + b", {"a": 0.0, "b": 1e3}, "tukey"),
    ("sqrt(a) + b*x", {"a": 0.0, "b": 1.0}, "mse"),
    ("sqrt(a) + b*x", {"a": 0.0, "b": 2.0}, "quantile"),
    ("a/(x - b)", {"a": 1.0, "b": 0.5}, "mse"),
    ("log(a*x)", {"a": -1.0}, "mse"),
    ("log(a*x)", {"a": 1.0}, "cauchy"),
    ("a*x", {"a": math.nan}, "soft_l1"),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(("text", "start", "loss"), HOSTILE)
def test_a_gradient_that_is_not_finite_is_torchs(
    text: str, start: dict[str, float], loss: str, dtype: torch.dtype
) -> None:
    of = problem(text, {"x": X, "y": [2.0, 1.0, 0.5, 2.0, 1.0]}, start, loss=loss, dtype=dtype)
    by_torch = Objective(of).on(torch.arange(of.rows))
    loss_there, slope = by_torch.gradient(of.initial, ANALYTIC)
    found, gradient = measured(of, of.initial)
    assert float(found) == pytest.approx(float(loss_there), rel=1e-6, nan_ok=True)
    assert gradient.tolist() == pytest.approx(slope.tolist(), rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("settings", RULES, ids=str)
def test_params_go_the_way_of_torchs_once_they_are_not_finite(settings: Settings) -> None:
    of = decay(start={"a": 1e160, "k": 0.6, "c": 0.1})
    assert_by_hand(of, settings, 6, rtol=1e-9)


# --- ends -----------------------------------------------------------------------------------------


def test_the_limits_are_those_of_stopping() -> None:
    assert kernel.EXPLOSION == stopping.EXPLOSION


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_divergence_ends_it_or_not(dtype: torch.dtype) -> None:
    of = problem("w*x + b", {"x": X, "y": X}, {"w": 2.0, "b": 0.0}, dtype=dtype)
    settings = Sgd(5.0)
    losses, _, _ = by_hand(of, settings, 400)
    met = [stopping.has_diverged(loss, float(losses[0])) for loss in losses.tolist()]
    stopped = descended(of, settings, 400)
    assert stopped.state.counts[0, kernel.REASON] == DIVERGED
    assert stopped.state.counts[0, kernel.EPOCH] == met.index(True) + 1
    assert stopped.epochs[0][-1] == met.index(True) + 1
    on = descended(of, settings, 400, stop=False, tolerance=Tolerance(1e-9, 1e-9, 1e-9))
    assert on.state.counts[0, kernel.REASON] == MAX_EPOCHS
    assert on.state.counts[0, kernel.EPOCH] == 400
    for ours in (stopped, on):
        assert ours.state.counts[0, kernel.BEST_EPOCH] == 1
        assert ours.state.losses[0, kernel.BEST_LOSS] == ours.losses[0][0]
        assert ours.state.best[0].tolist() == [2.0, 0.0]


def test_a_start_without_a_finite_loss_diverges_at_once() -> None:
    of = problem("log(a*x)", {"x": [1.0, 2.0], "y": [1.0, 1.0]}, {"a": -1.0})
    ours = descended(of, Sgd(0.1), 9)
    assert ours.state.counts[0].tolist() == [1, DIVERGED, 1, 1]
    assert math.isnan(ours.state.losses[0, kernel.FIRST_LOSS])


@cache
def decay_by_hand(settings: Settings) -> tuple[Problem, tuple[Tensor, Tensor, Tensor]]:
    """A fit of 3000 epochs, which is the same for each tolerance."""
    of = decay(loss="soft_l1", fixed=["k"])
    return of, by_hand(of, settings, 3000)


@pytest.mark.parametrize(
    "tolerance",
    [
        Tolerance(loss=1e-4),
        Tolerance(params=1e-4),
        Tolerance(gradient=1e-2),
        Tolerance(1e-4, 1e-5, 1e-2),
    ],
    ids=str,
)
@pytest.mark.parametrize("settings", ONE_OF_EACH, ids=lambda s: type(s).__name__)
def test_a_tolerance_ends_it_at_the_first_epoch_that_meets_it(
    settings: Settings, tolerance: Tolerance
) -> None:
    of, (losses, params, gradients) = decay_by_hand(settings)
    before = torch.cat([of.initial.unsqueeze(0), params])
    first, last = float(gradients[0].abs().max()), math.nan
    for epoch, loss in enumerate(losses.tolist()):
        steps = (before[epoch], before[epoch + 1])
        if stopping.has_converged(tolerance, (loss, last), steps, (gradients[epoch], first)):
            break
        last = loss
    ours = descended(of, settings, 3000, tolerance=tolerance, slices=[5, 0, 30])
    assert ours.state.counts[0, kernel.EPOCH] == epoch + 1
    assert ours.state.counts[0, kernel.REASON] == (CONVERGED if epoch < 2999 else MAX_EPOCHS)


def test_the_best_is_the_lowest_loss_seen_and_the_params_it_was_seen_at() -> None:
    of = decay()
    ours = descended(of, Sgd(0.1, momentum=0.95))
    lowest = int(ours.losses[0].argmin())
    assert 0 < lowest < EPOCHS - 1
    assert ours.state.counts[0, kernel.BEST_EPOCH] == lowest + 1
    assert ours.state.losses[0, kernel.BEST_LOSS] == ours.losses[0][lowest]
    assert ours.state.best[0].tolist() == ours.params[0][lowest - 1].tolist()


def test_a_measure_has_the_bits_of_an_epoch() -> None:
    of = decay(200, loss="cauchy", sigma=True)
    ours = descended(of, Adam(0.1))
    for epoch in (1, 30):
        loss, gradient = measured(of, ours.params[0][epoch - 1])
        assert loss == ours.losses[0][epoch]
        assert gradient.tolist() == ours.gradients[0][epoch].tolist()


@pytest.mark.parametrize(
    ("every", "epochs", "kept"),
    [(1, 4, [1, 2, 3, 4]), (3, 10, [1, 3, 6, 9, 10]), (5, 10, [1, 5, 10]), (99, 4, [1, 4])],
)
def test_the_epochs_recorded(every: int, epochs: int, kept: list[int]) -> None:
    for slices in ([], [1], [2, 2], [3]):
        ours = descended(decay(), Sgd(0.05), epochs, every=every, slices=slices)
        assert ours.epochs[0] == kept


def test_without_room_nothing_is_recorded() -> None:
    of, settings = decay(), Adam(0.1)
    task = posed(of, settings, 9)
    assert task.groups is not None
    solver = FirstOrder(replace(task, groups=replace(task.groups, history=False)))
    state, recorded = solver.step(solver.init(), 9)
    assert not recorded
    assert same(state, descended(of, settings, 9).state)


# --- slices, groups -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("batch", [0, 12])
@pytest.mark.parametrize("settings", RULES, ids=str)
def test_slices_change_no_bit(settings: Settings, batch: int, dtype: torch.dtype) -> None:
    """Nor does a state that is put away and taken up again."""
    of = decay(70, dtype, loss="log_cosh")
    whole = descended(of, settings, batch=batch)
    for slices in ([1], [49], [7, 1, 0, 20]):
        cut = descended(of, settings, batch=batch, slices=slices, pickled=True)
        assert same(whole.state, cut.state)
        assert whole.epochs == cut.epochs
        assert torch.equal(whole.losses[0], cut.losses[0])
        assert torch.equal(whole.params[0], cut.params[0])
        assert torch.equal(whole.gradients[0], cut.gradients[0])


def test_a_plan_that_a_group_is_not_at_leaves_it_alone() -> None:
    of = decay()
    task = posed(of, Sgd(0.1), 99)
    state = FirstOrder(task).init()
    rules = (
        torch.stack([of.lower, of.upper]),
        torch.tensor([float(option) for option in update_of("sgd", Sgd(0.1))], dtype=torch.float64),
        torch.zeros(3, dtype=torch.float64),
    )
    none = (torch.empty((1, 0, 8), dtype=torch.float64), torch.zeros(1, dtype=torch.int64))
    orders = torch.empty((0, 0), dtype=torch.int64)
    for after, epochs, stands in ((4, 5, 0), (0, 3, 3), (0, 3, 3), (5, 5, 3), (2, 5, 7)):
        operators.descend(
            of.program, of.loss_number, of.loss.delta, of.data(task.fits.spans), rules, 99, 0,
            True, state[:-1], none, after, torch.full((epochs,), 0.1).double(), orders, 1,
        )  # fmt: skip
        assert state.counts[0].tolist() == [stands, RUNNING, max(stands, 1), stands]


GROUPS = [
    decay(rows, sigma=True, start={"a": rows / 50, "k": 0.6, "c": 0.1}) for rows in (60, 7, 130)
]


@pytest.mark.parametrize("batch", [0, 5, 60])
@pytest.mark.parametrize("settings", RULES, ids=str)
def test_each_group_goes_as_it_does_alone(settings: Settings, batch: int) -> None:
    """Each has its own end, best and updates."""
    tolerance = Tolerance(loss=1e-3)
    together = descended(GROUPS, settings, 400, batch=batch, tolerance=tolerance, slices=[3, 30])
    for g, of in enumerate(GROUPS):
        alone = descended(of, settings, 400, batch=batch, tolerance=tolerance)
        assert same(group_of(together.state, g), alone.state)
        assert together.epochs[g] == alone.epochs[0]
        assert torch.equal(together.params[g], alone.params[0])


def test_groups_that_share_rows_go_as_they_do_alone() -> None:
    """As starts of one problem do."""
    of, settings = decay(), Adam(0.1)
    starts = [[1.0, 0.6, 0.1], [2.0, 1.0, 0.0], [3.0, 0.2, 0.3]]
    spans = torch.tensor([[0], [of.rows]]).repeat(1, 3)
    shared = Groups(spans, torch.tensor(starts, dtype=torch.float64))
    solver = FirstOrder(Task(of, posed(of, settings, 20).options, shared))
    state, _ = solver.step(solver.init(), 20)
    assert state.counts[:, kernel.EPOCH].tolist() == [20, 20, 20]
    for g, start in enumerate(starts):
        alone = descended(decay(start=dict(zip("akc", start, strict=True))), settings, 20)
        assert same(group_of(state, g), alone.state)


# --- the worked example, in float32 ---------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_row_of_the_tutorials_table(row: Row) -> None:
    run, expected = row.run, row.expected
    data = thermometer.DATA | {"t_u": [run["scale"] * value for value in thermometer.DATA["t_u"]]}
    of = problem(thermometer.MODEL, data, thermometer.START, dtype=torch.float32)
    ours = descended(of, Sgd(run["learning_rate"]), run["epochs"], stop=False)
    i = row.epoch - 1
    assert agree(float(ours.losses[0][i]), expected["loss"], loss=True)
    for position, name in enumerate("wb"):
        assert agree(float(ours.params[0][i, position]), expected[name])
        assert agree(float(ours.gradients[0][i, position]), expected[f"grad_{name}"])


@pytest.mark.parametrize("i", [1, 2, 3])
def test_the_tutorials_final_params(i: int) -> None:
    run, final = TUTORIAL["runs"][i], TUTORIAL["final_params"][i]
    data = thermometer.DATA | {"t_u": [run["scale"] * value for value in thermometer.DATA["t_u"]]}
    of = problem(thermometer.MODEL, data, thermometer.START, dtype=torch.float32)
    ours = descended(of, Sgd(run["learning_rate"]), run["epochs"])
    assert ours.state.theta[0].tolist() == pytest.approx([final["w"], final["b"]], abs=1.5e-4)


def test_the_kernel_has_every_loss() -> None:
    assert set(NAMES) <= set(LOSSES)
