"""What the checks look at: a finished fit, and what they share in looking at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from service.engine.curvature import hessian, learning_rate_limit
from service.engine.optimizers.first_order import Adagrad, Adam, Rmsprop, Sgd
from service.engine.problem import Options, Problem, Task
from service.engine.result import Result
from service.engine.statistics import Statistics

FEW = 64
"""More params than this have no Hessian reckoned."""

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What was seen and why it matters; which params it is about; the patch that mends it."""

    code: str
    severity: Severity
    message: str
    params: tuple[str, ...] = ()
    suggestion: dict[str, Any] | None = field(default=None)


class Finding:
    """A finished fit. `theta` are the params that speak for it, and that `statistics` are of: the
    best ones, where it failed. `guessed` names the params without an initial value."""

    def __init__(
        self,
        task: Task,
        result: Result,
        theta: Tensor,
        statistics: Statistics,
        guessed: Sequence[str] = (),
    ) -> None:
        self.task = task
        self.result = result
        self.theta = theta
        self.statistics = statistics
        self.guessed = tuple(guessed)

    @property
    def problem(self) -> Problem:
        return self.task.problem

    @property
    def options(self) -> Options:
        return self.task.options

    @cached_property
    def eigenvalues(self) -> Tensor:
        """Of the Hessian at the start, ascending."""
        matrix = hessian(self.problem, self.problem.initial)
        if not bool(torch.isfinite(matrix).all()):
            return torch.full((len(matrix),), math.nan, dtype=torch.float64)
        values: Tensor = torch.linalg.eigvalsh(matrix)
        return values

    @cached_property
    def limit(self) -> float | None:
        """The largest stable learning rate, where one can be claimed."""
        if not self.is_plain_descent:
            return None
        return learning_rate_limit(self.options, float(self.eigenvalues[-1]))

    @cached_property
    def condition(self) -> float:
        """Of the Hessian at the start: infinite where it is flat, or no bowl."""
        low, high = float(self.eigenvalues[0]), float(self.eigenvalues[-1])
        return high / low if low > 0 else math.inf

    @property
    def is_plain_descent(self) -> bool:
        few = 0 < len(self.problem.free_params) <= FEW
        return isinstance(self.options.settings, Sgd) and few

    @property
    def is_first_order(self) -> bool:
        return isinstance(self.options.settings, Sgd | Adam | Rmsprop | Adagrad)

    @cached_property
    def standardized(self) -> Tensor:
        """z at `theta`, over its standard deviation, (rows,) float64."""
        return self.statistics.z / (self.statistics.residual_std or 1.0)


Check = Callable[[Finding], "Diagnostic | None"]
