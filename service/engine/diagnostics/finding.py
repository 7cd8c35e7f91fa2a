"""What the checks look at: finished fits, many at a time, and one of them when it is told of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.engine.curvature import hessian, learning_rate_limit
from service.engine.optimizers.first_order import Adagrad, Adam, Rmsprop, Sgd
from service.engine.problem import Options, Problem, Task
from service.engine.reduction import Floats, Ints, Reduced
from service.engine.result import Result
from service.engine.statistics import GroupStatistics, Statistics

FEW = 64
"""More params than this have no Hessian reckoned."""
SAMPLE = 2**15
"""Rows above which shapes and sizes are looked for in an even sample of them."""

Severity = Literal["info", "warning", "error"]
SEVERITIES: Sequence[Severity] = ("info", "warning", "error")
INFO, WARNING, ERROR = 1, 2, 3

Grades = npt.NDArray[np.int8]
"""For each fit 0 where there is nothing to say, else INFO, WARNING or ERROR."""
Bools = npt.NDArray[np.bool_]
Mask = Bools | np.bool_
"""As numpy types what `any` and `all` give along a dimension."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was seen and why it matters; which params it is about; the patch that mends it."""

    message: str
    params: tuple[str, ...] = ()
    suggestion: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something said of one fit."""

    code: str
    severity: Severity
    message: str
    params: tuple[str, ...] = ()
    suggestion: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that may be wrong: `grade` sees in which fits it is, `tell` says it of one."""

    code: str
    grade: Callable[[Findings], Grades]
    tell: Callable[[Finding], Said]


@dataclass(frozen=True, eq=False)
class Findings:
    """Finished fits that share a model and options; arrays, the fits first. `theta` are the params
    that speak for each, and that `statistics` are of: the best ones, where it failed."""

    problem: Problem
    """What they have in common; its data and initial values are those of the first."""
    options: Options
    statistics: GroupStatistics
    reduced: Reduced
    theta: Floats
    params: Floats
    initial: Floats
    loss: Floats
    best_loss: Floats
    first_loss: Floats
    epochs: Ints
    reasons: Sequence[str]
    """How each ended."""
    inputs: Mapping[str, Floats]
    """(fits, rows of the longest)"""
    target: Floats
    """The largest |target| of each."""
    guessed: tuple[str, ...] = ()
    """The params without an initial value."""
    agreed: tuple[int, int] | None = None
    """Of a search for the start: how many ways of how many came to the same loss."""
    one: Finding | None = None
    """Where it is one fit: what its checks need beyond this."""
    seen: dict[str, Any] = field(default_factory=dict)
    """What a check has reckoned when it graded, for when it tells."""

    def __len__(self) -> int:
        return len(self.loss)

    def where(self, severity: int | Grades, mask: Mask) -> Grades:
        """That severity where the mask is true."""
        return np.where(mask, severity, 0).astype(np.int8)

    def nowhere(self) -> Grades:
        return np.zeros(len(self), dtype=np.int8)

    def everywhere(self, severity: int) -> Grades:
        return np.full(len(self), severity, dtype=np.int8)

    @cached_property
    def free(self) -> list[int]:
        """The positions of the free params."""
        return [i for i, is_free in enumerate(self.problem.free) if is_free]

    def ended(self, reason: str) -> Bools:
        """Which fits ended for that reason."""
        return np.array([each == reason for each in self.reasons])

    @property
    def is_first_order(self) -> bool:
        return isinstance(self.options.settings, Sgd | Adam | Rmsprop | Adagrad)

    @cached_property
    def standardized(self) -> Floats:
        """z at `theta` over its standard deviation, (fits, rows); 0 beyond a fit's rows."""
        spread = self.statistics.residual_std
        with np.errstate(all="ignore"):
            usable = np.where(np.isnan(spread) | (spread == 0), 1.0, spread)
            return np.asarray(self.reduced.z / usable[:, None])

    @property
    def step(self) -> int:
        """Which rows are a sample of all: every so many."""
        return -(-int(self.reduced.z.shape[1]) // SAMPLE)


class Finding:
    """One finished fit."""

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
    def all(self) -> Findings:
        """The same as a batch of one."""
        problem, result = self.problem, self.result
        return Findings(
            problem=problem,
            options=self.options,
            statistics=self.statistics.groups,
            reduced=self.statistics.reduced,
            theta=_row(self.theta),
            params=_row(result.params),
            initial=_row(result.initial),
            loss=np.array([result.loss]),
            best_loss=np.array([result.best.loss]),
            first_loss=np.array([result.first_loss]),
            epochs=np.array([result.epochs]),
            reasons=(result.stop_reason,),
            inputs={name: _row(column) for name, column in problem.columns.items()},
            target=np.abs(_row(problem.target)).max(axis=1),
            guessed=self.guessed,
            agreed=result.searched,
            one=self,
        )

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


def _row(tensor: Tensor) -> Floats:
    """As float64, (1, n)."""
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)[None]
