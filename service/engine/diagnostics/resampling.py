"""Checks of the replicates of a fit and of the simulated coverage of its intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.diagnostics.finished import (
    INFO,
    WARNING,
    About,
    Check,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
)
from service.engine.kernel.types import Bools

LOST = 0.05
"""The part of the replicates whose failure makes the intervals doubtful."""
SIGNIFICANT = 3.0
"""Standard errors of a share by which a coverage is below the nominal one."""


def _lost_severity(finished: FinishedFits) -> Severities:
    """Replicates are missing: more than `LOST` of them failed, or the job was stopped."""
    made, failed, asked = _counts(finished.one)
    return finished.where(WARNING, made < asked or failed > LOST * max(1, made))


def _counts(finished: FinishedFit | None) -> tuple[int, int, int]:
    """Replicates made, failed and asked for, of one fit; no fit without a bootstrap has any."""
    resampled = None if finished is None else finished.resampled
    if resampled is None or resampled.refits is None or not resampled.refits.base.usable[0]:
        return 0, 0, 0
    refits = resampled.refits
    failed = int(np.isnan(refits.theta[: refits.done]).any(axis=1).sum())
    return refits.done, failed, refits.total


def _describe_lost(finished: FinishedFit) -> Message:
    made, failed, asked = _counts(finished)
    if made < asked:
        return Message(
            f"the job was stopped after {made:,} of {asked:,} replicates: the intervals are from "
            "these alone."
        )
    return Message(
        f"{failed:,} of {made:,} replicates failed and are left out: their fits did not converge, "
        "or their rows do not determine the params. The intervals are conditional on the others. "
        "Use the kind 'residual', which keeps every x, or fewer params."
    )


def _fewest(level: float) -> int:
    """The replicates with which the ends of an interval are not the extreme ones."""
    return math.ceil(2 / (1 - level)) - 1


def _few_severity(finished: FinishedFits) -> Severities:
    """The ends of the intervals are the smallest and the largest of the replicates."""
    found = None if finished.one is None else finished.one.resampled
    if found is None or found.refits is None or not found.refits.base.usable[0]:
        return finished.nowhere()
    return finished.where(INFO, found.refits.total < _fewest(found.level))


def _describe_few(finished: FinishedFit) -> Message:
    assert finished.resampled is not None
    level = finished.resampled.level
    return Message(
        f"of so few replicates the ends of a {100 * level:g} % interval are the smallest and the "
        f"largest, or nearly: they vary much from seed to seed. Use {_fewest(level):,} or more.",
        suggestion={"confidence_interval": {"replicates": _fewest(level)}},
    )


def _below(finished: FinishedFit) -> Bools:
    """For which free params the coverage is significantly below the nominal one."""
    found = None if finished.resampled is None else finished.resampled.coverage
    none = np.zeros(len(finished.problem.free_params), dtype=np.bool_)
    if found is None or not found.counted.any():
        return none
    level, counted = found.asked.level, np.maximum(found.counted, 1)
    least = level - SIGNIFICANT * math.sqrt(level * (1 - level)) / np.sqrt(counted)
    below: Bools = (found.counted > 0) & (found.covered / counted < least)
    return below


def _coverage_severity(finished: FinishedFits) -> Severities:
    """Intervals contain the param significantly less often than they say: by `SIGNIFICANT`
    standard errors."""
    if finished.one is None:
        return finished.nowhere()
    return finished.where(WARNING, bool(_below(finished.one).any()))


def _describe_coverage(finished: FinishedFit) -> Message:
    assert finished.resampled is not None
    found, below = finished.resampled.coverage, np.flatnonzero(_below(finished))
    assert found is not None
    names = tuple(finished.problem.free_params[i] for i in below)
    shares = (found.covered / np.maximum(found.counted, 1))[below]
    said = ", ".join(
        f"{name} in {100 * share:.1f} %" for name, share in zip(names, shares, strict=True)
    )
    cure: dict[str, Any] | None = None
    text = "Use more rows, or a higher level."
    if found.asked.method != "profile":
        options = {"kind": None, "replicates": None, "interval": None}
        extra = options if found.asked.method == "bootstrap" else {}
        cure = {"confidence_interval": {"method": "profile", **extra}}
        text = "Use the method 'profile'."
    return Message(
        f"in data simulated at this fit the {100 * found.asked.level:g} % intervals by "
        f"'{found.asked.method}' contain {said} of {int(found.counted.max()):,} data sets: they "
        f"are too narrow. {text}",
        params=names,
        suggestion=cure,
    )


LOST_REPLICATES = Check(
    "lost_replicates",
    _lost_severity,
    _describe_lost,
    About(
        seen=f"more than {100 * LOST:g} % of a bootstrap's replicates failed, or the job was "
        "stopped before all were made",
        severity="warning",
        matters="the intervals are from the other replicates alone; where rows are drawn, those "
        "that fail are those that lack a part of the design",
        cure="the kind `residual`, fewer params, or more time",
    ),
)
FEW_REPLICATES = Check(
    "few_replicates",
    _few_severity,
    _describe_few,
    About(
        seen="a bootstrap has fewer replicates than 2/(1 − level) − 1",
        severity="info",
        matters="the ends of its intervals are the extreme replicates, which vary with the seed",
        cure="more replicates",
    ),
)
LOW_COVERAGE = Check(
    "low_coverage",
    _coverage_severity,
    _describe_coverage,
    About(
        seen=f"in the simulations of `coverage` an interval contains the param less often than its "
        f"level, by more than {SIGNIFICANT:g} standard errors",
        severity="warning",
        matters="the interval is narrower than it says, even where the model is right",
        cure="profile intervals",
    ),
)
