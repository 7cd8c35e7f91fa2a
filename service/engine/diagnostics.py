"""What went wrong with a fit, why it matters, and the request that would cure it.

Each check looks at a finished fit and says nothing or one `Diagnostic`. A suggestion is a JSON
merge patch (RFC 7396) of the request. A fit is trustworthy when no diagnostic is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from service.engine.curvature import hessian, learning_rate_limit
from service.engine.optimizers.first_order import Sgd
from service.engine.problem import Options, Problem, Task
from service.engine.result import Result
from service.engine.statistics import Statistics

Severity = Literal["info", "warning", "error"]

IMBALANCE = 10.0
ILL_CONDITIONED = 1e8
FAR = 0.1
NEAR = 0.01


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What was seen and why it matters; which params it is about; the patch that mends it."""

    code: str
    severity: Severity
    message: str
    params: tuple[str, ...] = ()
    suggestion: dict[str, Any] | None = field(default=None)


class Finding:
    """A finished fit, and what the checks share in looking at it."""

    def __init__(
        self, task: Task, result: Result, statistics: Statistics, guessed: Sequence[str]
    ) -> None:
        self.task = task
        self.result = result
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

    @property
    def is_plain_descent(self) -> bool:
        return isinstance(self.options.settings, Sgd) and bool(self.problem.free_params)


Check = Callable[[Finding], "Diagnostic | None"]


def learning_rate_too_high(finding: Finding) -> Diagnostic | None:
    """The rate is above the limit that the curvature sets."""
    limit, rule = finding.limit, finding.options.settings
    if limit is None or not isinstance(rule, Sgd) or rule.learning_rate <= limit:
        return None
    where = "" if finding.problem.is_linear else " near the start"
    growth = rule.learning_rate * 2 / limit - 1
    message = (
        f"learning rate {rule.learning_rate:.3g} is above {limit:.3g}, the largest that is stable "
        f"on these data{where}: each step overshoots"
    )
    if finding.result.diverged and not rule.momentum:
        message += f", and the loss grows about {growth * growth:.3g}-fold an epoch"
    return Diagnostic(
        "learning_rate_too_high",
        "error" if finding.result.diverged else "warning",
        message + f". Use a rate below {limit:.3g}, or scale the inputs to raise that limit.",
        suggestion={"optimizer": {"name": "sgd", "learning_rate": _below(limit)}},
    )


def gradient_imbalance(finding: Finding) -> Diagnostic | None:
    """At the start the gradient in one param dwarfs that in another."""
    if not finding.is_plain_descent or len(finding.problem.free_params) < 2:
        return None
    free = finding.problem.free_index
    sizes = finding.result.first_gradient[free].abs().double()
    names = finding.problem.free_params
    if not bool(torch.isfinite(sizes).all()) or float(sizes.min()) <= 0.0:
        return None
    large, small = int(sizes.argmax()), int(sizes.argmin())
    ratio = float(sizes[large] / sizes[small])
    if ratio < IMBALANCE:
        return None
    condition = float(finding.eigenvalues[-1] / finding.eigenvalues[0])
    crawl = ""
    if condition > 1:
        crawl = f" The loss surface is {condition:,.0f} times steeper one way than another."
    return Diagnostic(
        "gradient_imbalance",
        "warning",
        f"at the start the gradient in {names[large]} is {ratio:.3g} times that in {names[small]}, "
        f"so no one learning rate suits both: a rate that is stable for {names[large]} leaves "
        f"{names[small]} crawling.{crawl} Scale the inputs.",
        params=(names[large], names[small]),
        suggestion={"scaling": "standardize"},
    )


def non_finite(finding: Finding) -> Diagnostic | None:
    """The params or the loss are no longer numbers."""
    result = finding.result
    if math.isfinite(result.loss) and bool(torch.isfinite(result.params).all()):
        return None
    started = math.isfinite(result.first_loss)
    message = (
        "the params or the loss are no longer finite; predictions and statistics use `best`"
        if started
        else "the loss is not finite at the initial params; start elsewhere"
    )
    return Diagnostic("non_finite", "error", message)


def not_converged(finding: Finding) -> Diagnostic | None:
    """The fit stopped short of the minimum: far, if its distance rivals the uncertainty itself."""
    result, offset = finding.result, finding.statistics.offset
    if result.diverged:
        if finding.limit is not None:
            return None
        return Diagnostic(
            "not_converged",
            "error",
            "the fit diverged; predictions and statistics use `best`",
            suggestion={"optimizer": "auto"},
        )
    if result.converged or offset <= NEAR:
        return None
    distance = f"{offset:.2g}" if math.isfinite(offset) else "many"
    ran = f"{result.epochs:,} epoch" + "s" * (result.epochs != 1)
    return Diagnostic(
        "not_converged",
        "error" if offset > FAR else "warning",
        f"after {ran} ({result.stop_reason}) the params are about {distance} times their own "
        "uncertainty away from the minimum. More epochs, scaled inputs or another optimizer get "
        "there.",
        suggestion={"optimizer": "auto"},
    )


def rank_deficient(finding: Finding) -> Diagnostic | None:
    """Some params trade off against each other, or act on nothing."""
    names = finding.statistics.deficient
    if not names:
        return None
    return Diagnostic(
        "rank_deficient",
        "error",
        f"the data do not tell these params apart: {', '.join(names)}. Other values of them fit as "
        "well; fix one, or simplify the model.",
        params=names,
        suggestion={"params": {names[-1]: {"fixed": True}}} if len(names) > 1 else None,
    )


def ill_conditioned(finding: Finding) -> Diagnostic | None:
    """The params are told apart, but only just."""
    condition = finding.statistics.condition
    if finding.statistics.deficient or not ILL_CONDITIONED < condition < math.inf:
        return None
    return Diagnostic(
        "ill_conditioned",
        "warning",
        f"the Jacobian's condition number is {condition:.2g}: about {math.log10(condition):.0f} of "
        "the 16 digits of the params are lost. Scale the inputs, or use fewer params.",
        suggestion={"scaling": "standardize"},
    )


def few_degrees_of_freedom(finding: Finding) -> Diagnostic | None:
    """Too few rows to tell the noise."""
    degrees = finding.statistics.degrees_of_freedom
    if degrees > 2:
        return None
    none = (
        "no rows are" if degrees <= 0 else f"only {degrees} row{'s are' if degrees > 1 else ' is'}"
    )
    return Diagnostic(
        "few_degrees_of_freedom",
        "error" if degrees < 0 else "warning",
        f"{none} left over to tell the noise ({finding.statistics.n} rows, "
        f"{len(finding.problem.free_params)} free params), so the standard errors are "
        f"{'unknown' if degrees <= 0 else 'very uncertain'}. Add data or fix params.",
    )


def at_bound(finding: Finding) -> Diagnostic | None:
    """A param ended on its limit."""
    problem, params = finding.problem, finding.result.params
    touching = ((params == problem.lower) | (params == problem.upper)).tolist()
    names = tuple(
        name
        for name, free, on in zip(problem.params, problem.free, touching, strict=True)
        if free and on
    )
    if not names:
        return None
    return Diagnostic(
        "at_bound",
        "warning",
        f"{', '.join(names)} ended on a limit: the data pull beyond it. Its standard error does "
        "not know of the limit.",
        params=names,
        suggestion={"params": {name: {"min": None, "max": None} for name in names}},
    )


def guessed_start(finding: Finding) -> Diagnostic | None:
    """Some initial values were not given."""
    if not finding.guessed or finding.options.optimizer == "exact":
        return None
    values = {
        name: float(f"{value:.6g}")
        for name, value in zip(
            finding.problem.params, finding.problem.initial.tolist(), strict=True
        )
        if name in finding.guessed
    }
    listed = ", ".join(f"{name}={value:g}" for name, value in values.items())
    return Diagnostic(
        "guessed_start",
        "info",
        f"initial values were not given and are guessed: {listed}.",
        params=tuple(values),
    )


CHECKS: Sequence[Check] = (
    learning_rate_too_high,
    gradient_imbalance,
    non_finite,
    not_converged,
    rank_deficient,
    ill_conditioned,
    few_degrees_of_freedom,
    at_bound,
    guessed_start,
)
"""In the order in which they are told."""


def examine(
    task: Task, result: Result, statistics: Statistics, guessed: Sequence[str] = ()
) -> list[Diagnostic]:
    """All that is worth saying about a fit. `guessed` names the params without an initial value."""
    finding = Finding(task, result, statistics, guessed)
    return [said for said in (check(finding) for check in CHECKS) if said is not None]


def _below(limit: float) -> float:
    """Nine tenths of the limit, rounded down to one digit."""
    target = 0.9 * limit
    digit = 10.0 ** math.floor(math.log10(target))
    return float(f"{math.floor(target / digit) * digit:.1g}")
