"""The problem to fit: a model, its data, the start and bounds of its params, and a loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from service.engine.fit_options import Options
from service.engine.formula import Formula
from service.engine.kernel.types import Ints
from service.engine.losses import Loss
from service.engine.models.mlp import Network
from service.engine.noise import Noise, OutlierTest
from service.engine.normal import NormalPrior
from service.engine.objectives.bound import stacked
from service.engine.order import Order

Model = Formula | Network
"""A model y = f(x; θ)."""


@dataclass(frozen=True)
class Problem:
    """A model and its data as tensors of one dtype and device.

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
    sigma_x: Mapping[str, Tensor] = field(default_factory=dict)
    """The standard deviations of inputs that have errors, (rows,) each, scaled; 0 where exact."""
    noise: Noise | None = None
    """How σ follows from the fit; `sigma` is then that of its last round, or what `noise` is
    relative to."""
    noise_params: int = 0
    """Params of the noise that were estimated besides its scale."""
    prior: NormalPrior | None = None
    """What is known of params before the fit; the same for each group. See `engine.prior`."""
    order: Order | None = None
    """Constraints on the order of params: see `engine.differences`."""
    limited: tuple[tuple[str, str], ...] = ()
    """The constraints that are bounds, as they were given, by their params."""

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
        """The positions of the free params, on the device of the data."""
        return torch.from_numpy(self.places).to(self.target.device)

    def on(self, rows: Tensor | slice, initial: Tensor) -> Problem:
        """The problem on some of its rows, from another start."""
        return replace(
            self,
            columns={name: column[rows] for name, column in self.columns.items()},
            target=self.target[rows],
            sigma=None if self.sigma is None else self.sigma[rows],
            noise=None if self.noise is None else self.noise.on(rows),
            initial=initial,
            sigma_x={name: column[rows] for name, column in self.sigma_x.items()},
        )

    def double(self) -> Problem:
        """The problem in float64."""
        return self if self.target.dtype == torch.float64 else self._with(Tensor.double)

    def to(self, device: torch.device | str) -> Problem:
        """The problem on a device."""
        moved = self._with(lambda each: each.to(device))
        return moved if self.noise is None else replace(moved, noise=self.noise.to(device))

    def _with(self, change: Callable[[Tensor], Tensor]) -> Problem:
        """The problem with all its tensors changed, but those of `noise`."""
        return replace(
            self,
            columns={name: change(column) for name, column in self.columns.items()},
            target=change(self.target),
            initial=change(self.initial),
            lower=change(self.lower),
            upper=change(self.upper),
            sigma=None if self.sigma is None else change(self.sigma),
            sigma_x={name: change(column) for name, column in self.sigma_x.items()},
        )

    @cached_property
    def inputs(self) -> Tensor:
        """The inputs in the kernel's layout, (inputs, rows)."""
        return stacked(self.formula.inputs, self.columns, self.rows, self.target)

    @property
    def has_program(self) -> bool:
        """Whether the kernel evaluates its model."""
        return isinstance(self.formula, Formula)

    @cached_property
    def program(self) -> tuple[Tensor, ...]:
        """The formula with its derivatives by the free params, as the kernel's operators take
        it."""
        assert isinstance(self.formula, Formula)
        return self.formula.program(i for i, free in enumerate(self.free) if free).tensors

    @cached_property
    def limits(self) -> Tensor:
        """Lower and upper bounds, (2, params) float64 on the CPU."""
        return torch.stack([self.lower, self.upper]).double().cpu()

    @cached_property
    def whole(self) -> Tensor:
        """All rows as one group: see `Groups.spans`."""
        return torch.from_numpy(np.array([[0], [self.rows]]))

    @property
    def loss_number(self) -> int:
        """The loss as the kernel's operators take it."""
        return self.loss.number

    def data(self, spans: Tensor) -> tuple[Tensor, ...]:
        """The rows of groups as the kernel's operators take them: see `Groups.spans`."""
        sigma = self.target[:0] if self.sigma is None else self.sigma
        return (self.inputs, self.target, sigma, spans)

    @cached_property
    def surrogate(self) -> Problem:
        """The least-squares problem on which a start is searched for: the problem itself, but for a
        likelihood, whose params may give means outside its domain. There, each target has about its
        variance: that at half way to the mean of all."""
        likelihood = self.loss.likelihood
        if likelihood is None:
            return self
        y, sigma = self.target, torch.ones_like(self.target) if self.sigma is None else self.sigma
        weight = 1 / sigma.square()
        variance = likelihood.variance((y + (weight * y).sum() / weight.sum()) / 2)
        spread = torch.where(variance > 0, variance, 1.0).sqrt()
        squares = Loss(self.loss.function, self.loss.delta)
        return replace(self, loss=squares, sigma=sigma * spread, sigma_absolute=False)

    @cached_property
    def linear(self) -> Tensor:
        """A set of free params in which the prediction is jointly linear, as a mask, (free,)."""
        chosen = [False] * len(self.free_params)
        if not self.sigma_x and self.loss.has_likelihood and isinstance(self.formula, Formula):
            chosen = list(self.formula.linear_among(self.free_params))
        return torch.from_numpy(np.array(chosen, dtype=np.bool_))

    @cached_property
    def is_bounded(self) -> bool:
        """Whether a free param has a bound, or a constraint."""
        if self.order is not None:
            return True
        limits = zip(self.lower.tolist(), self.upper.tolist(), self.free, strict=True)
        return any(free and (low > -math.inf or high < math.inf) for low, high, free in limits)

    @cached_property
    def is_linear(self) -> bool:
        """Whether the residuals are linear in the free params."""
        return not self.sigma_x and self.formula.is_linear_in(self.free_params)


AT_ONCE = 2**21
"""Approximate number of rows of the groups that are processed together."""
UNEVEN = 1.25
"""Maximum ratio of the rows of the longest and the shortest of those groups."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of a problem's rows, each fitted separately."""

    spans: Tensor
    """First and end (exclusive) row of each group, (2, groups) int64 on the CPU. Groups may share
    rows."""
    initial: Tensor
    """Start of each group, (groups, params), on the CPU."""
    history: bool = False
    """Whether to record each group's epochs."""

    def __len__(self) -> int:
        return self.spans.shape[1]

    @cached_property
    def sizes(self) -> Tensor:
        """Rows of each group, (groups,)."""
        return self.spans[1] - self.spans[0]

    def alike(self, at_once: int = AT_ONCE) -> list[Tensor]:
        """The groups in parts of about `at_once` rows, in which the longest group has at most
        `UNEVEN` times the rows of the shortest."""
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
    """A problem and how to fit it. With `groups`, each group of its rows is fitted."""

    problem: Problem
    options: Options
    groups: Groups | None = None
    shared: tuple[int, ...] | None = None
    """Positions of the params that have one value for all groups. Not None: the groups have one
    noise, also where no param is shared."""
    outliers: OutlierTest | None = None

    @cached_property
    def local_places(self) -> Ints:
        """The positions of the free params that each group has for itself."""
        shared = self.shared or ()
        return np.array([i for i in self.problem.places.tolist() if i not in shared], np.int64)

    @cached_property
    def shared_places(self) -> Ints:
        """The positions of the free params that the groups share."""
        shared = self.shared or ()
        return np.array([i for i in self.problem.places.tolist() if i in shared], np.int64)

    @cached_property
    def fits(self) -> Groups:
        """The groups; without groups, one of all rows."""
        if self.groups is not None:
            return self.groups
        problem = self.problem
        return Groups(problem.whole, problem.initial.cpu().unsqueeze(0), history=True)

    def one(self, group: int) -> Task:
        """The task of one group."""
        if self.groups is None:
            return self
        rows = slice(*self.groups.spans[:, group].tolist())
        initial = self.groups.initial[group].to(self.problem.initial)
        return Task(self.problem.on(rows, initial), self.options)

    def starting(self, initial: Tensor) -> Task:
        """The task from other starts, (groups, params)."""
        if self.groups is not None:
            return replace(self, groups=replace(self.groups, initial=initial))
        start = initial[0].to(self.problem.initial)
        return replace(self, problem=replace(self.problem, initial=start))

    def to(self, device: torch.device | str) -> Task:
        """The task with its rows on a device."""
        return replace(self, problem=self.problem.to(device))

    def double(self) -> Task:
        """The task in float64."""
        return replace(self, problem=self.problem.double())


def grouped(
    problem: Problem, options: Options, codes: Tensor, initial: Tensor, *, history: bool = False
) -> Task:
    """The task of fitting each group of rows; `codes` (rows,) are the groups of the rows. The rows
    are sorted by group if necessary."""
    sizes = torch.bincount(codes, minlength=len(initial))
    end = torch.cumsum(sizes, 0)
    if not bool((codes[1:] >= codes[:-1]).all()):
        order = torch.argsort(codes, stable=True).to(problem.target.device)
        problem = problem.on(order, problem.initial)
    return Task(problem, options, Groups(torch.stack([end - sizes, end]), initial, history))
