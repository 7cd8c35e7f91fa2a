"""What the checks look at: finished fits, many at a time, and one of them when it is told of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from service.engine.curvature import curvatures, learning_rate_limit
from service.engine.formula import Formula
from service.engine.inference.intervals import Intervals
from service.engine.inference.statistics import Figures, Statistics
from service.engine.kernel import residuals
from service.engine.kernel.types import Bools, Floats
from service.engine.models.mlp import Network
from service.engine.objectives.points import losses_at
from service.engine.optimizers.first_order import Adagrad, Adam, Rmsprop, Sgd
from service.engine.problem import Groups, Options, Problem, Task
from service.engine.result import Result
from service.engine.scaled_start import can_be_scaled, raw_params
from service.engine.scaling import Scaling, inverse, scale_network, standardize
from service.errors import InvalidData

FEW = 64
"""More params than this have no Hessian reckoned."""

Severity = Literal["info", "warning", "error"]
SEVERITIES: Sequence[Severity] = ("info", "warning", "error")
INFO, WARNING, ERROR = 1, 2, 3

Verdict = Literal["trustworthy", "doubtful", "untrustworthy"]
VERDICTS: Sequence[Verdict] = ("trustworthy", "trustworthy", "doubtful", "untrustworthy")
"""How far to trust a fit, by the worst grade of what there is to say about it."""

Each = Any
"""A number or a truth: of one fit, or an array of those of each."""
Grades = Each
"""0 where there is nothing to say, else INFO, WARNING or ERROR."""


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
class About:
    """A diagnostic in general, for whoever looks up its code."""

    seen: str
    """When it is said,"""
    severity: str
    """and how severe that is."""
    matters: str
    cure: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that may be wrong: `grade` sees in which fits it is, `tell` says it of one."""

    code: str
    grade: Callable[[Findings], Grades]
    tell: Callable[[Finding], Said]
    about: About


@dataclass(frozen=True, eq=False)
class Findings:
    """Finished fits that share a model and options, or one. Of many all is arrays, the fits first;
    of one, numbers, and vectors without that dimension, since an operation on an array of one takes
    twenty times that on a number. The checks are written for both.

    `theta` are the params that speak for each, and that `statistics` are of: the best ones, where
    it failed.
    """

    problem: Problem
    """What they have in common; its data and initial values are those of the first."""
    options: Options
    statistics: Figures
    theta: Floats
    params: Floats
    initial: Floats
    loss: Each
    best_loss: Each
    first_loss: Each
    first_gradient: Floats
    epochs: Each
    reasons: Sequence[str]
    """How each ended."""
    fits: Groups
    """Which rows of the problem each has."""
    guessed: tuple[str, ...] = ()
    """The params without an initial value."""
    agreed: tuple[int, int] | None = None
    """Of a search for the start: how many ways of how many came to the same loss."""
    lower: Each = False
    """Whether other starts led to a better minimum."""
    intervals: Intervals | None = None
    """Of each, or of one where it has some."""
    one: Finding | None = None
    """Where it is one fit: what its checks need beyond this."""

    @property
    def is_plain_descent(self) -> bool:
        few = 0 < len(self.problem.free_params) <= FEW
        return isinstance(self.options.settings, Sgd) and few

    @cached_property
    def eigenvalues(self) -> Floats:
        """Of the Hessian at the start, ascending, (fits, free)."""
        initial = np.atleast_2d(self.initial)
        factors = self.statistics.factor.reshape(len(initial), *self.statistics.factor.shape[-2:])
        found = curvatures(self.problem, self.fits, initial, factors)
        return found if self.one is None else found[0]

    @cached_property
    def limit(self) -> Each:
        """The largest stable learning rate; NaN where none can be claimed."""
        if not self.is_plain_descent:
            return self.loss * np.nan
        return learning_rate_limit(self.options, self.eigenvalues[..., -1])

    @cached_property
    def condition(self) -> Each:
        """Of the Hessian at the start: infinite where it is flat, or no bowl."""
        low, high = self.eigenvalues[..., 0], self.eigenvalues[..., -1]
        return np.divide(high, low, out=np.full(np.shape(high), np.inf), where=low > 0)

    def where(self, severity: Grades, mask: Each) -> Grades:
        """That severity where the mask is true."""
        if self.one is not None:
            return severity if mask else 0
        return np.where(mask, severity, 0).astype(np.int8)

    def either(self, mask: Each, severity: Grades, otherwise: Grades) -> Grades:
        """One severity where the mask is true, another where it is not."""
        if self.one is not None:
            return severity if mask else otherwise
        return np.asarray(np.where(mask, severity, otherwise), dtype=np.int8)

    def nowhere(self) -> Grades:
        return 0 if self.one is not None else np.zeros(len(self.loss), dtype=np.int8)

    def everywhere(self, severity: int) -> Grades:
        return severity if self.one is not None else np.full(len(self.loss), severity, np.int8)

    @cached_property
    def free(self) -> list[int]:
        """The positions of the free params."""
        return [i for i, is_free in enumerate(self.problem.free) if is_free]

    @cached_property
    def stepping(self) -> Bools:
        """Which free params act through a condition alone, so that the prediction has no slope in
        them, though not nothing to do with them."""
        formula, flat = self.problem.formula, self.statistics.flat
        names = self.problem.free_params
        if not isinstance(formula, Formula) or flat.shape[-1] != len(names):
            return np.zeros(flat.shape, dtype=np.bool_)
        found: Bools = flat & np.array([name in formula.switches for name in names], dtype=np.bool_)
        return found

    def ended(self, reason: str) -> Each:
        """Which fits ended for that reason."""
        if self.one is not None:
            return self.reasons[0] == reason
        return np.array([each == reason for each in self.reasons])

    @property
    def is_first_order(self) -> bool:
        return isinstance(self.options.settings, Sgd | Adam | Rmsprop | Adagrad)

    @cached_property
    def scale(self) -> Each:
        """The standard deviation of z, or 1 where there is none."""
        if self.one is not None:
            variance = self.statistics.variance
            return math.sqrt(variance) if variance > 0 else 1.0
        spread = self.statistics.residual_std
        return np.where(spread > 0, spread, 1.0)

    def seen(self, figure: int) -> Each:
        """A figure of the residuals: see `kernel.residuals`."""
        return self.statistics.looks[figure]

    def sizes(self, name: str) -> tuple[Each, Each]:
        """The largest |x| of an input in each fit, and its standard deviation."""
        column = self.problem.columns[name].double().cpu().contiguous().numpy()
        largest, spread = residuals.sizes(column, self.fits.spans.numpy()).T
        return (largest, spread) if self.one is None else (float(largest[0]), float(spread[0]))


def no(mask: Each) -> Each:
    """Not, of one or of each."""
    return mask ^ True


def some(mask: Each) -> Each:
    """Whether any along the last dimension, of one or of each."""
    found = mask.any(axis=-1)
    return found if mask.ndim > 1 else bool(found)


class Finding:
    """One finished fit."""

    def __init__(
        self,
        task: Task,
        result: Result,
        theta: Tensor,
        statistics: Statistics,
        guessed: Sequence[str] = (),
        intervals: Intervals | None = None,
        raw: Mapping[str, Tensor] | None = None,
        scaling: Scaling | None = None,
    ) -> None:
        """`raw`: the inputs before that scaling."""
        self.task = task
        self.result = result
        self.theta = theta
        self.statistics = statistics
        self.guessed = tuple(guessed)
        self.intervals = intervals
        self._raw, self._scaling = raw or task.problem.columns, scaling or {}

    @property
    def is_scaled(self) -> bool:
        """Whether its params are those of scaled inputs."""
        return bool(self._scaling)

    def in_request(self, theta: Tensor) -> dict[str, float] | None:
        """Params by name as a request gives them, in raw units; None where there are none."""
        formula, theta = self.problem.formula, theta.double().cpu()
        if isinstance(formula, Network):
            theta = scale_network(formula, inverse(self._scaling), theta)
        elif self._scaling:
            found = raw_params(self.problem, self._raw, self._scaling, theta)
            if found is None:
                return None
            theta = found.values
        return dict(zip(self.problem.params, theta.tolist(), strict=True))

    @property
    def can_be_standardized(self) -> bool:
        """Whether the request may ask for standardized inputs."""
        columns = self.problem.columns
        try:
            scaling = {name: standardize(name, x.double()) for name, x in columns.items()}
        except InvalidData:
            return False
        known = set(self.problem.params) - set(self.guessed)
        return can_be_scaled(self.problem, scaling, known)

    @property
    def problem(self) -> Problem:
        return self.task.problem

    @property
    def options(self) -> Options:
        return self.task.options

    @cached_property
    def all(self) -> Findings:
        """What the checks look at."""
        problem, result = self.problem, self.result
        return Findings(
            problem=problem,
            options=self.options,
            statistics=self.statistics.figures,
            theta=_array(self.theta),
            params=_array(result.params),
            initial=_array(result.initial),
            loss=result.loss,
            best_loss=result.best.loss,
            first_loss=result.first_loss,
            first_gradient=_array(result.first_gradient),
            epochs=result.epochs,
            reasons=(result.stop_reason,),
            fits=self.task.fits,
            guessed=self.guessed,
            agreed=result.searched,
            lower=self.lower is not None,
            intervals=self.intervals,
            one=self,
        )

    @cached_property
    def lower(self) -> tuple[Tensor, float] | None:
        """Params and loss of a better minimum, where other starts or a profile led to one."""
        if self.result.lower is not None or self.intervals is None:
            return self.result.lower
        theta = self.intervals.better
        if not self.intervals.has_better:
            return None
        loss = float(losses_at(self.problem.double(), theta[None])[0])
        return torch.from_numpy(theta), loss

    @property
    def limit(self) -> float | None:
        """The largest stable learning rate, where one can be claimed."""
        limit = float(self.all.limit)
        return None if math.isnan(limit) else limit

    @property
    def condition(self) -> float:
        """Of the Hessian at the start: infinite where it is flat, or no bowl."""
        return float(self.all.condition)


def _array(tensor: Tensor) -> Floats:
    """As float64."""
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)
