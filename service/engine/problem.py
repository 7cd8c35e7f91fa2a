"""What is to be fitted: a formula, its data, its params' start and limits, and a loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.losses import Loss
from service.engine.models.mlp import Network
from service.engine.optimizers.exact import Exact
from service.engine.optimizers.first_order import Adagrad, Adam, Rmsprop, Sgd
from service.engine.optimizers.lbfgs import Lbfgs
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
from service.engine.small_problem import SmallProblem, is_small_problem

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
    def free_index(self) -> Tensor:
        """The positions of the free params."""
        chosen = [i for i, free in enumerate(self.free) if free]
        return torch.tensor(chosen, dtype=torch.int64, device=self.target.device)

    def on(self, rows: Tensor, initial: Tensor) -> Problem:
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
    def small(self) -> SmallProblem | None:
        """Its mean square as numpy reads it, where that is the faster way; bound once."""
        return SmallProblem(self) if is_small_problem(self) else None

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


@dataclass(frozen=True, slots=True)
class Task:
    """A problem and how to fit it: all that the engine needs to start."""

    problem: Problem
    options: Options
