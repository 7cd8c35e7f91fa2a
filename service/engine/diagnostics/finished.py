"""The input of the checks: finished fits, many at a time, or one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from service.catalogue.optimizers.sgd import Sgd
from service.engine.curvature import curvatures, learning_rate_limit
from service.engine.fit_options import Options
from service.engine.formula import Formula
from service.engine.inference.intervals import Intervals
from service.engine.inference.statistics import Figures, Statistics
from service.engine.kernel import residuals
from service.engine.kernel.types import Bools, Floats
from service.engine.models.mlp import Network
from service.engine.noise import FittedNoise
from service.engine.objectives.points import losses_at
from service.engine.prior import of_one
from service.engine.problem import Groups, Problem, Task
from service.engine.resampling.run import Resampled
from service.engine.result import Result
from service.engine.scaled_start import can_be_scaled, raw_params
from service.engine.scaling import Scaling, inverse, scale_network, standardize
from service.errors import InvalidData

FEW = 64
"""With more params than this the Hessian is not computed."""

Severity = Literal["info", "warning", "error"]
SEVERITIES: Sequence[Severity] = ("info", "warning", "error")
INFO, WARNING, ERROR = 1, 2, 3

Verdict = Literal["trustworthy", "doubtful", "untrustworthy"]
VERDICTS: Sequence[Verdict] = ("trustworthy", "trustworthy", "doubtful", "untrustworthy")
"""The verdict by the worst severity, 0 to ERROR."""

Each = Any
"""A number or a boolean of one fit, or an array of those of many, (fits,)."""
Severities = Each
"""0 without a diagnostic, else INFO, WARNING or ERROR."""


@dataclass(frozen=True, slots=True)
class Message:
    """What was found and why it matters; the params concerned; the patch that fixes it."""

    text: str
    params: tuple[str, ...] = ()
    suggestion: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A diagnostic of one fit."""

    code: str
    severity: Severity
    message: str
    params: tuple[str, ...] = ()
    suggestion: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class About:
    """The description of a diagnostic in general, as in `GET /diagnostics`."""

    seen: str
    """The condition for it."""
    severity: str
    """The severity, with the condition for each if there is more than one."""
    matters: str
    """Why it matters."""
    cure: str


@dataclass(frozen=True, slots=True)
class Check:
    """A diagnostic: `severity` computes it for each fit, `describe` writes the message for one."""

    code: str
    severity: Callable[[FinishedFits], Severities]
    describe: Callable[[FinishedFit], Message]
    about: About


@dataclass(frozen=True, eq=False)
class FinishedFits:
    """Finished fits with the same model and options, or one. For many, the fields are arrays whose
    first dimension is the fit; for one, they lack that dimension, since an operation on an array
    of length 1 takes twenty times as long as on a number. The checks work with both.

    `theta` are the params that the answer and `statistics` use: the best ones, if the fit failed.
    """

    problem: Problem
    """The problem; its data and initial values are those of the first fit."""
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
    """Stop reason of each fit."""
    fits: Groups
    """The rows of the problem of each fit."""
    guessed: tuple[str, ...] = ()
    """The params without an initial value."""
    agreed: tuple[int, int] | None = None
    """Of a search for the start: how many of the starts reached the same loss, of how many."""
    lower: Each = False
    """Whether other starts led to a better minimum."""
    intervals: Intervals | None = None
    """Confidence intervals, if computed."""
    outliers: Each = 0
    """How many rows a test has found to be outliers, which are part of the fit."""
    noise: FittedNoise | None = None
    one: FinishedFit | None = None
    """The fit, if it is only one."""

    @property
    def is_plain_descent(self) -> bool:
        few = 0 < len(self.problem.free_params) <= FEW
        return isinstance(self.options.settings, Sgd) and few

    @cached_property
    def eigenvalues(self) -> Floats:
        """Eigenvalues of the Hessian at the start, ascending, (fits, free)."""
        initial = np.atleast_2d(self.initial)
        factors = self.statistics.factor.reshape(len(initial), *self.statistics.factor.shape[-2:])
        found = curvatures(self.problem, self.fits, initial, factors)
        return found if self.one is None else found[0]

    @cached_property
    def limit(self) -> Each:
        """The largest stable learning rate; NaN where it is unknown."""
        if not self.is_plain_descent:
            return self.loss * np.nan
        return learning_rate_limit(self.options, self.eigenvalues[..., -1])

    @cached_property
    def condition(self) -> Each:
        """Condition number of the Hessian at the start; infinite if not positive definite."""
        low, high = self.eigenvalues[..., 0], self.eigenvalues[..., -1]
        return np.divide(high, low, out=np.full(np.shape(high), np.inf), where=low > 0)

    def where(self, severity: Severities, mask: Each) -> Severities:
        """`severity` where the mask is true, else 0."""
        return self.either(mask, severity, 0)

    def either(self, mask: Each, severity: Severities, otherwise: Severities) -> Severities:
        """`severity` where the mask is true, else `otherwise`."""
        if self.one is not None:
            return severity if mask else otherwise
        return np.asarray(np.where(mask, severity, otherwise), dtype=np.int8)

    def nowhere(self) -> Severities:
        return 0 if self.one is not None else np.zeros(len(self.loss), dtype=np.int8)

    def everywhere(self, severity: int) -> Severities:
        return severity if self.one is not None else np.full(len(self.loss), severity, np.int8)

    @cached_property
    def free(self) -> list[int]:
        """The positions of the free params."""
        return [i for i, is_free in enumerate(self.problem.free) if is_free]

    @cached_property
    def stepping(self) -> Bools:
        """Which free params occur only in conditions: the prediction depends on them, but its
        derivative with respect to them is 0."""
        formula, flat = self.problem.formula, self.statistics.flat
        names = self.problem.free_params
        if not isinstance(formula, Formula) or flat.shape[-1] != len(names):
            return np.zeros(flat.shape, dtype=np.bool_)
        found: Bools = flat & np.array([name in formula.switches for name in names], dtype=np.bool_)
        return found

    def ended(self, reason: str) -> Each:
        """Which fits have that stop reason."""
        if self.one is not None:
            return self.reasons[0] == reason
        return np.array([each == reason for each in self.reasons])

    @property
    def is_first_order(self) -> bool:
        return self.options.method.is_first_order

    @cached_property
    def scale(self) -> Each:
        """The standard deviation of the residuals z, or 1 if it is 0 or unknown."""
        if self.one is not None:
            variance = self.statistics.variance
            return math.sqrt(variance) if variance > 0 else 1.0
        spread = self.statistics.residual_std
        return np.where(spread > 0, spread, 1.0)

    def seen(self, figure: int) -> Each:
        """A statistic of the residuals, by its index in `kernel.residuals`."""
        return self.statistics.looks[figure]

    def sizes(self, name: str) -> tuple[Each, Each]:
        """The largest |x| of an input in each fit, and its standard deviation."""
        column = self.problem.columns[name].double().cpu().contiguous().numpy()
        largest, spread = residuals.sizes(column, self.fits.spans.numpy()).T
        return (largest, spread) if self.one is None else (float(largest[0]), float(spread[0]))


def negated(mask: Each) -> Each:
    """The negation, of one boolean or of each."""
    return mask ^ True


def any_of(mask: Each) -> Each:
    """Whether any is true along the last dimension, of one fit or of each."""
    return mask.any(axis=-1) if mask.ndim > 1 else bool(mask.any())


class FinishedFit:
    """One finished fit, the input of `Check.describe`."""

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
        resampled: Resampled | None = None,
    ) -> None:
        """`raw` are the inputs before `scaling`; `resampled` is what followed the fit."""
        self.task = task
        self.result = result
        self.theta = theta
        self.statistics = statistics
        self.guessed = tuple(guessed)
        self.intervals = intervals
        self.resampled = resampled
        self._raw, self._scaling = raw or task.problem.columns, scaling or {}

    @property
    def is_scaled(self) -> bool:
        """Whether the params are for scaled inputs."""
        return bool(self._scaling)

    def in_request(self, theta: Tensor) -> dict[str, float] | None:
        """Params by name in raw units, as in a request; None if they cannot be converted."""
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
    def all(self) -> FinishedFits:
        """The input of `Check.severity`."""
        problem, result = self.problem, self.result
        return FinishedFits(
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
            outliers=self.outliers,
            noise=result.noise,
            one=self,
        )

    @property
    def outliers(self) -> int:
        """How many rows a test has found to be outliers, which are part of the fit."""
        found = self.result.outlying
        return 0 if found is None else found.kept(0, self.problem.rows)

    @cached_property
    def lower(self) -> tuple[Tensor, float] | None:
        """Params and loss of a better minimum, where other starts or a profile led to one."""
        if self.result.lower is not None or self.intervals is None:
            return self.result.lower
        theta = self.intervals.better
        if not self.intervals.has_better:
            return None
        loss = float(losses_at(of_one(self.problem).double(), theta[None])[0])
        return torch.from_numpy(theta), loss

    @property
    def limit(self) -> float | None:
        """The largest stable learning rate; None where it is unknown."""
        limit = float(self.all.limit)
        return None if math.isnan(limit) else limit

    @property
    def condition(self) -> float:
        """Condition number of the Hessian at the start; infinite if not positive definite."""
        return float(self.all.condition)


def _array(tensor: Tensor) -> Floats:
    """The tensor as a float64 array."""
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)
