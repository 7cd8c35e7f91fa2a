"""First-order optimizers for formulas by the kernel (`kernel.first_order`), all fits at once.

A slice is one call. A linear least-squares problem of many rows is replaced by its R factor, which
has the same loss at every θ (`compressed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from service.catalogue.schedules import Constant
from service.engine.formula import Formula
from service.engine.kernel import first_order, operators
from service.engine.kernel.evaluation import BLOCK
from service.engine.kernel.updates import KINDS, update_of
from service.engine.problem import Problem, Task
from service.engine.result import Ends, Rows
from service.engine.solvers.compressed import compressed
from service.engine.solvers.contract import Progress, Recorded, records
from service.engine.solvers.marquardt import REASONS

DRAWN = 2**20
"""Row indices of mini-batches that are drawn together."""
QUICK = 2**19
"""Operations × rows that certainly take little time."""


class State(NamedTuple):
    """The kernel's state (see `kernel.first_order.State`), and the states of the generators of
    mini-batches, one for each number of rows of a fit."""

    theta: Tensor
    sums: Tensor
    start: Tensor
    best: Tensor
    losses: Tensor
    counts: Tensor
    generators: Tensor


class FirstOrder:
    """A first-order optimizer for all fits of a task, full-batch or with mini-batches."""

    def __init__(self, task: Task) -> None:
        options, batch = task.options, task.options.batch_size
        self._rate: float = options.rule.learning_rate
        self._task, self._fits = task, task.fits
        self._update = update_of(options.optimizer, options.settings)
        self._batch = batch if batch is not None and batch < int(task.fits.sizes.max()) else 0
        problem, spans = self._readings()
        self._problem, self._data = problem, problem.data(spans)
        self._program = (problem.program, problem.loss_number, problem.loss.delta)
        tolerance = options.tolerance
        self._rules = (
            torch.stack([problem.lower, problem.upper]),
            torch.tensor([float(option) for option in self._update], dtype=torch.float64),
            torch.tensor(
                [tolerance.loss, tolerance.params, tolerance.gradient], dtype=torch.float64
            ),
        )
        self._lengths = [n for n in sorted(set(task.fits.sizes.tolist())) if 0 < self._batch < n]
        rows = int((spans[1] - spans[0]).sum())
        self.stride = max(1, QUICK // (rows * len(problem.program[0])))

    def _readings(self) -> tuple[Problem, Tensor]:
        """The problem and its groups; for a linear problem of many rows, the compressed one."""
        problem, spans = self._task.problem, self._fits.spans
        linear = problem.loss.is_least_squares and problem.is_linear and problem.free_params
        double = problem.target.dtype == torch.float64
        if self._task.groups is None and linear and double and not self._batch:
            small = compressed(problem) if problem.rows > BLOCK else None
            if small is not None:
                return small, torch.tensor([[0], [small.rows]])
        return problem, spans

    def init(self) -> State:
        problem, fits = self._problem, self._fits
        theta = fits.initial.to(problem.target.dtype).clone()
        q = len(problem.free_params)
        sums = theta.new_zeros((len(fits), 3, q))
        sums[:, 0] = self._update.initial_accumulator_value
        counts = torch.zeros((len(fits), 4), dtype=torch.int64)
        counts[:, first_order.BEST_EPOCH] = 1
        losses = torch.full((len(fits), 3), torch.nan, dtype=torch.float64)
        generator = torch.Generator().manual_seed(self._task.options.seed).get_state()
        return State(
            theta, sums, theta.new_zeros((len(fits), q)), theta.clone(), losses, counts,
            generator.repeat(len(self._lengths), 1),
        )  # fmt: skip

    def step(self, state: State, epochs: int) -> tuple[State, Mapping[int, Rows]]:
        options, fits = self._task.options, self._fits
        # All running fits are at the same epoch.
        after = int(state.counts[:, first_order.EPOCH].max())
        epochs = min(epochs, options.epochs - after)
        recorded = Recorded.room(
            len(fits), records(epochs, options.record_every) if fits.history else 0,
            len(self._problem.params),
        )  # fmt: skip
        most = max(1, DRAWN // self._problem.rows) if self._batch else epochs
        while epochs > 0 and not self.done(state):
            count = min(epochs, most)
            operators.descend(
                *self._program, self._data, self._rules, options.epochs, self._batch,
                options.on_divergence == "stop", state[:-1], recorded, after,
                self._rates(after, count), self._orders(state.generators, count),
                options.record_every,
            )  # fmt: skip
            after, epochs = after + count, epochs - count
        return state, recorded.rows() if fits.history else {}

    def progress(self, state: State) -> Progress:
        last, best = state.losses[0, first_order.LAST_LOSS], state.losses[0, first_order.BEST_LOSS]
        ended = (state.counts[:, first_order.REASON] != 0).sum()
        epoch = int(state.counts[0, first_order.EPOCH])
        return Progress(epoch, float(last), float(best), int(ended))

    def done(self, state: State) -> bool:
        return bool((state.counts[:, first_order.REASON] != 0).all())

    def ends(self, state: State) -> Ends:
        counts, losses, fits = state.counts, state.losses, self._fits
        loss, _ = operators.gradient(*self._program, self._data, state.theta)
        begun = counts[:, first_order.EPOCH] > 0
        gradient = torch.zeros((len(fits), len(self._problem.params)), dtype=torch.float64)
        gradient[:, list(self._problem.free)] = state.start.double()
        return Ends(
            theta=state.theta.double(),
            loss=loss,
            epochs=counts[:, first_order.EPOCH].clone(),
            reasons=tuple(REASONS[code] for code in counts[:, first_order.REASON].tolist()),
            best=state.best.double(),
            best_loss=torch.where(begun, losses[:, first_order.BEST_LOSS], loss),
            best_epoch=counts[:, first_order.BEST_EPOCH].clone(),
            first_loss=torch.where(begun, losses[:, first_order.FIRST_LOSS], loss),
            first_gradient=gradient,
            initial=fits.initial.double(),
        )

    def _rates(self, after: int, epochs: int) -> Tensor:
        """The learning rate of each epoch."""
        options, base = self._task.options, self._rate
        schedule = options.schedule
        if isinstance(schedule, Constant):
            return torch.full((epochs,), base, dtype=torch.float64)
        factors = (schedule.factor(after + t, base, options.epochs) for t in range(epochs))
        rates = [base * factor for factor in factors]
        return torch.tensor(rates, dtype=torch.float64)

    def _orders(self, generators: Tensor, epochs: int) -> Tensor:
        """The order of each fit's rows in an epoch's mini-batches, (epochs, rows): as it is drawn
        for a single fit, and so the same for fits with the same number of rows."""
        if not self._batch:
            return torch.empty((0, 0), dtype=torch.int64)
        orders = torch.empty((epochs, self._problem.rows), dtype=torch.int64)
        generator, drawn = torch.Generator(), {}
        for length, state in zip(self._lengths, generators, strict=True):
            generator.set_state(state.clone())  # of a view it reads what lies before
            each = [torch.randperm(length, generator=generator) for _ in range(epochs)]
            drawn[length] = torch.stack(each)
            state.copy_(generator.get_state())
        for begin, end in self._fits.spans.T.tolist():
            if end - begin in drawn:
                orders[:, begin:end] = drawn[end - begin]
        return orders


def suits(task: Task) -> bool:
    """Whether the kernel can fit a task: a formula with analytic gradients on the CPU, with an
    optimizer and a loss that have compiled code."""
    problem = task.problem
    on_cpu = problem.target.device.type == "cpu"
    analytic = task.options.gradient.method == "analytic"
    return isinstance(problem.formula, Formula) and on_cpu and analytic and is_compiled(task)


def is_compiled(task: Task) -> bool:
    """Whether the kernel has compiled code for the loss and the update rule of a task."""
    options = task.options
    rule = not options.method.is_first_order or options.optimizer in KINDS
    return rule and task.problem.loss.is_compiled
