"""The figures of the fits of groups, as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from service.engine.diagnostics import ERROR
from service.engine.diagnostics.finished import INFO, SEVERITIES
from service.engine.kernel.types import Floats
from service.engine.problem import Task
from service.fitting.ties import texts_of
from service.schemas import answers as wire
from service.schemas.grouped import (
    GroupedReport,
)
from service.schemas.names import Severity, StopReason
from service.schemas.prior_answers import GroupedPrior

Names = Sequence[str]
Bytes = npt.NDArray[np.int8]


@dataclass(eq=False)
class Columns:
    """The columns of the answer."""

    n: Floats
    epochs: Floats
    loss: Floats
    r_squared: Floats
    residual_std: Floats
    params: Floats
    """(groups, params + tied)"""
    stderr: Floats
    """(groups, local + tied): local are the free params that are not shared."""
    interval: Floats
    """Lower and upper limits, (2, groups, local)."""
    covariance: Floats
    """(groups, local, local + shared)"""
    counts: Floats
    """Deviance, Pearson's χ², dispersion and log-likelihood of a likelihood, (4, groups)."""
    failed: Floats
    worst: Bytes
    """The worst severity of each group's diagnostics."""
    reasons: list[StopReason]
    codes: list[list[str]]
    history: list[wire.History | None]
    report: dict[str, GroupedReport] | None = None
    prior: GroupedPrior | None = None
    seen: dict[str, Counter[Severity]] = field(default_factory=dict)

    @classmethod
    def of(cls, groups: int, task: Task, stopped: StopReason) -> Columns:
        """The columns for groups that were not started because the fit was stopped before."""
        problem, local, shared = task.problem, len(task.local_places), len(task.shared_places)
        tied = len(texts_of(problem.formula))

        def nothing() -> Floats:
            return np.full(groups, np.nan)

        return cls(
            np.zeros(groups), np.zeros(groups), nothing(), nothing(), nothing(),
            np.full((groups, len(problem.params) + tied), np.nan),
            np.full((groups, local + tied), np.nan),
            np.full((2, groups, local), np.nan),
            np.full((groups, local, local + shared), np.nan),
            np.full((4, groups), np.nan),
            np.ones(groups), np.full(groups, ERROR, dtype=np.int8), [stopped] * groups,
            [[] for _ in range(groups)], [None] * groups,
        )  # fmt: skip

    def add(self, group: int, code: str, severity: Severity) -> None:
        """Adds a diagnostic of one group."""
        self.codes[group].append(code)
        self.seen.setdefault(code, Counter())[severity] += 1

    def concern_all(self, found: wire.Diagnostic) -> None:
        """Adds a diagnostic of the whole, on whose shared params the groups' own depend."""
        level = SEVERITIES.index(found.severity) + 1
        if level == INFO:
            return
        self.worst[:] = np.maximum(self.worst, level)
        for codes in self.codes:
            if found.code not in codes:
                codes.append(found.code)
