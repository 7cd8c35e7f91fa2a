"""What is to be fitted: a formula, its data, its params' start and limits, and a loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel.losses import NAMES
from service.engine.kernel.types import Ints
from service.engine.losses import Loss
from service.engine.models.mlp import Network
from service.engine.objectives.bound import stacked
from service.engine.optimizers.exact import Exact
from service.engine.optimizers.first_order import Adagrad, Adam, Rmsprop, Sgd
from service.engine.optimizers.lbfgs import Lbfgs
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt

Model = Formula | Network
"""What may stand for y = f(x; θ)."""

Optimizer = Exact | LevenbergMarquardt | Lbfgs | Sgd | Adam | Rmsprop | Adagrad


@dataclass(frozen=True)
class Problem:
    """A model and its data, ready for arithmetic; all tensors of one dtype and device.

    Shapes: columns, target and sigma (rows,); initial, lower and upper (params,), in the order of
    `formula.params`.
    """

    formula: Model
    columns: Mapping[str, Tensor]
    """The inputs, scaled."""
    target: Tensor
    """The values of the formula's left side."""
    initial: Tensor
    lower: Tensor
    upper: Tensor
    free: tuple[bool, ...]
    loss: Loss
    sigma: Tensor | None = None
    sigma_absolute: bool = False

    @property
    def rows(self) -> int:
        return self.target.shape[-1]

    @property
    def params(self) -> tuple[str, ...]:
        return self.formula.params

    @cached_property
    def free_params(self) -> tuple[str, ...]:
        return tuple(name for name, free in zip(self.params, self.free, strict=True) if free)

    @cached_property
    def places(self) -> Ints:
        """The positions of the free params."""
        return np.flatnonzero(self.free)

    @cached_property
    def free_index(self) -> Tensor:
        """The same, where the data are."""
        return torch.from_numpy(self.places).to(self.target.device)

    def on(self, rows: Tensor | slice, initial: Tensor) -> Problem:
        """The same on some of its rows, from another start."""
        return replace(
            self,
            columns={name: column[rows] for name, column in self.columns.items()},
            target=self.target[rows],
            sigma=None if self.sigma is None else self.sigma[rows],
            initial=initial,
        )

    def double(self) -> Problem:
        """The same in float64."""
        if self.target.dtype == torch.float64:
            return self
        return replace(
            self,
            columns={name: column.double() for name, column in self.columns.items()},
            target=self.target.double(),
            initial=self.initial.double(),
            lower=self.lower.double(),
            upper=self.upper.double(),
            sigma=None if self.sigma is None else self.sigma.double(),
        )

    def to(self, device: torch.device | str) -> Problem:
        """The same on a device."""
        return replace(
            self,
            columns={name: column.to(device) for name, column in self.columns.items()},
            target=self.target.to(device),
            initial=self.initial.to(device),
            lower=self.lower.to(device),
            upper=self.upper.to(device),
            sigma=None if self.sigma is None else self.sigma.to(device),
        )

    @cached_property
    def inputs(self) -> Tensor:
        """The inputs as the kernel reads them, (inputs, rows)."""
        return stacked(self.formula.inputs, self.columns, self.rows, self.target)

    @property
    def has_program(self) -> bool:
        """Whether the kernel reads its model."""
        return isinstance(self.formula, Formula)

    @cached_property
    def program(self) -> tuple[Tensor, ...]:
        """The formula with its slopes by the free params, as the kernel's operators take it."""
        assert isinstance(self.formula, Formula)
        return self.formula.program(i for i, free in enumerate(self.free) if free).tensors

    @cached_property
    def limits(self) -> Tensor:
        """Lower and upper bounds, (2, params) float64 on the CPU."""
        return torch.stack([self.lower, self.upper]).double().cpu()

    @cached_property
    def whole(self) -> Tensor:
        """Its rows as one group: see `Groups.spans`."""
        return torch.from_numpy(np.array([[0], [self.rows]]))

    @property
    def loss_number(self) -> int:
        """The loss as the kernel's operators take it."""
        return NAMES.index(self.loss.name)

    def data(self, spans: Tensor) -> tuple[Tensor, ...]:
        """Its rows as the kernel's operators take them, in groups: see `Groups.spans`."""
        sigma = self.target[:0] if self.sigma is None else self.sigma
        return (self.inputs, self.target, sigma, spans)

    @cached_property
    def linear(self) -> Tensor:
        """A largest-first set of free params that the prediction is jointly linear in, (free,)."""
        chosen = [False] * len(self.free_params)
        if self.loss.is_least_squares and isinstance(self.formula, Formula):
            chosen = list(self.formula.linear_among(self.free_params))
        return torch.from_numpy(np.array(chosen, dtype=np.bool_))

    @cached_property
    def is_bounded(self) -> bool:
        """Whether a free param has a limit."""
        limits = zip(self.lower.tolist(), self.upper.tolist(), self.free, strict=True)
        return any(free and (low > -math.inf or high < math.inf) for low, high, free in limits)

    @cached_property
    def is_linear(self) -> bool:
        """Whether the prediction is linear in the free params."""
        return self.formula.is_linear_in(self.free_params)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """When a fit has converged: any one that is above zero and met. 0 is off.

    loss: |Δloss| ≤ tolerance·loss; params: ‖Δθ‖ ≤ tolerance·‖θ‖; gradient: the largest |gradient| ≤
    tolerance × the largest of the first epoch.
    """

    loss: float = 0.0
    params: float = 0.0
    gradient: float = 0.0

    @property
    def any(self) -> bool:
        """Whether one is on."""
        return bool(self.loss or self.params or self.gradient)


@dataclass(frozen=True, slots=True)
class GradientMethod:
    """How gradients are reckoned: analytic, autograd or numeric with its `delta`."""

    method: str = "analytic"
    delta: float | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How to fit. `settings` is the optimizer's own record, of its file."""

    optimizer: str
    settings: Optimizer
    epochs: int
    record_every: int
    tolerance: Tolerance = Tolerance()
    gradient: GradientMethod = GradientMethod()
    batch_size: int | None = None
    on_divergence: str = "stop"
    seed: int = 0
    search: tuple[int, ...] = ()
    """Positions of the params whose start is to be searched for."""
    challenge: bool | None = None
    """Whether the end is compared with those of other starts; None where there is no need to."""


AT_ONCE = 2**21
"""Rows of the groups that are laid side by side, about."""
UNEVEN = 1.25
"""Of those, the longest group has no more than so many times the rows of the shortest."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of a problem's rows, each fitted by itself."""

    spans: Tensor
    """(2, groups) int64 on the CPU: a group's rows lie together, from the first number to before
    the second; groups may share rows."""
    initial: Tensor
    """Where each starts, (groups, params), on the CPU."""
    history: bool = False
    """Whether to record each group's epochs."""

    def __len__(self) -> int:
        return self.spans.shape[1]

    @cached_property
    def sizes(self) -> Tensor:
        """Rows of each group, (groups,)."""
        return self.spans[1] - self.spans[0]

    def alike(self, at_once: int = AT_ONCE) -> list[Tensor]:
        """The groups in parts, of which the longest has at most `UNEVEN` times the rows of the
        shortest, of about so many rows each."""
        by_size, parts, begin = torch.argsort(self.sizes, stable=True), [], 0
        lengths = self.sizes[by_size].tolist()
        if lengths[0] == lengths[-1] and len(lengths) * lengths[0] <= at_once:
            return [by_size]
        for end, length in enumerate(lengths):
            full = (end + 1 - begin) * length > at_once
            if end > begin and (full or length > UNEVEN * lengths[begin]):
                parts.append(by_size[begin:end])
                begin = end
        return [*parts, by_size[begin:]]

    def at(self, groups: Tensor) -> Groups:
        """Some of the groups."""
        return Groups(self.spans[:, groups], self.initial[groups], self.history)


@dataclass(frozen=True, eq=False)
class Task:
    """A problem and how to fit it: all that the engine needs to start. With `groups` there is a fit
    of each group of its rows."""

    problem: Problem
    options: Options
    groups: Groups | None = None

    @cached_property
    def fits(self) -> Groups:
        """The groups, one of all rows where there are none."""
        if self.groups is not None:
            return self.groups
        problem = self.problem
        return Groups(problem.whole, problem.initial.cpu().unsqueeze(0), history=True)

    def one(self, group: int) -> Task:
        """One group by itself."""
        if self.groups is None:
            return self
        rows = slice(*self.groups.spans[:, group].tolist())
        initial = self.groups.initial[group].to(self.problem.initial)
        return Task(self.problem.on(rows, initial), self.options)

    def starting(self, initial: Tensor) -> Task:
        """The same from other starts, (groups, params)."""
        if self.groups is not None:
            return replace(self, groups=replace(self.groups, initial=initial))
        start = initial[0].to(self.problem.initial)
        return replace(self, problem=replace(self.problem, initial=start))

    def to(self, device: torch.device | str) -> Task:
        """The same with its rows on a device."""
        return replace(self, problem=self.problem.to(device))

    def double(self) -> Task:
        """The same in float64."""
        return replace(self, problem=self.problem.double())


def grouped(
    problem: Problem, options: Options, codes: Tensor, initial: Tensor, *, history: bool = False
) -> Task:
    """The task of fitting each group of rows; `codes` (rows,) says which group each row is in. Rows
    that do not lie group by group are put so."""
    sizes = torch.bincount(codes, minlength=len(initial))
    end = torch.cumsum(sizes, 0)
    if not bool((codes[1:] >= codes[:-1]).all()):
        order = torch.argsort(codes, stable=True).to(problem.target.device)
        problem = problem.on(order, problem.initial)
    return Task(problem, options, Groups(torch.stack([end - sizes, end]), initial, history))
