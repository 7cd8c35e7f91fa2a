"""Gradient descent in trouble: its rate, and the scale of its inputs. Where a fit has come to its
minimum all the same, that is only a note."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.engine.diagnostics.finding import (
    ERROR,
    INFO,
    WARNING,
    About,
    Check,
    Each,
    Finding,
    Findings,
    Grades,
    Said,
    no,
)
from service.engine.inference.intervals import NEAR
from service.engine.optimizers.first_order import Sgd

IMBALANCE = 10.0
LOPSIDED = 100.0


def _slow(findings: Findings) -> Grades:
    """How bad it is that a fit's way was slow: INFO where its end is known to be right, else
    WARNING. The offset of a network, of a loss with corners and without rows to spare tells
    nothing."""
    problem, statistics = findings.problem, findings.statistics
    if not (problem.loss.is_smooth and problem.formula.has_standard_errors):
        return findings.everywhere(WARNING)
    arrived = (statistics.offset <= NEAR) & (statistics.degrees_of_freedom > 0)
    return findings.either(arrived & no(findings.ended("diverged")), INFO, WARNING)


def _grade_rate(findings: Findings) -> Grades:
    """The rate is above the limit that the curvature sets."""
    rule = findings.options.settings
    if not isinstance(rule, Sgd):
        return findings.nowhere()
    grade = findings.either(findings.ended("diverged"), ERROR, _slow(findings))
    return findings.where(grade, rule.learning_rate > findings.limit)


def _tell_rate(finding: Finding) -> Said:
    limit, rule = finding.limit, finding.options.settings
    assert limit is not None
    assert isinstance(rule, Sgd)
    where = "" if finding.problem.is_linear else " near the start"
    growth = rule.learning_rate * 2 / limit - 1
    message = (
        f"learning rate {rule.learning_rate:.3g} is above {limit:.3g}, the largest that is stable "
        f"on these data{where}: each step overshoots"
    )
    if finding.result.diverged and not rule.momentum:
        message += f", and the loss grows about {_plain(growth * growth)}-fold an epoch"
    return Said(
        message + f". Use a rate below {limit:.3g}, or scale the inputs to raise that limit.",
        suggestion={"optimizer": {"name": "sgd", "learning_rate": _below(limit)}},
    )


def _plain(number: float) -> str:
    """Three digits, and an exponent only where there is no other way."""
    return f"{float(f'{number:.3g}'):,.10g}" if number < 1e6 else f"{number:.3g}"


def _below(limit: float) -> float:
    """Nine tenths of the limit, rounded down to one digit."""
    target = 0.9 * limit
    digit = 10.0 ** math.floor(math.log10(target))
    return float(f"{math.floor(target / digit) * digit:.1g}")


def _grade_imbalance(findings: Findings) -> Grades:
    """At the start the gradient in one param dwarfs that in another."""
    if not findings.is_plain_descent or len(findings.free) < 2:
        return findings.nowhere()
    sizes = np.abs(findings.first_gradient[..., findings.free])
    small, large = sizes.min(axis=-1), sizes.max(axis=-1)
    imbalanced = (large >= IMBALANCE * small) & (small > 0) & np.isfinite(large)
    return findings.where(_slow(findings), imbalanced & (findings.condition > IMBALANCE))


def _tell_imbalance(finding: Finding) -> Said:
    names = finding.problem.free_params
    sizes = np.abs(finding.all.first_gradient[finding.all.free])
    large, small = int(sizes.argmax()), int(sizes.argmin())
    ratio = float(sizes[large] / sizes[small])
    crawl = ""
    if math.isfinite(finding.condition):
        crawl = f" The loss is {finding.condition:,.0f} times steeper one way than another."
    return Said(
        f"at the start the gradient in {names[large]} is {ratio:.3g} times that in {names[small]}, "
        f"so no one learning rate suits both: a rate that is stable for {names[large]} leaves "
        f"{names[small]} crawling.{crawl} Scale the inputs.",
        params=(names[large], names[small]),
        suggestion=_scaled(finding),
    )


def _scaled(finding: Finding) -> dict[str, Any]:
    """Standardized inputs, where the request can have them; else a method that needs none."""
    if finding.can_be_standardized:
        return {"scaling": "standardize"}
    return {"optimizer": "auto"}


def _poor(size: Each, spread: Each) -> Each:
    poor = (size > LOPSIDED * spread) | no((size > 1 / LOPSIDED) & (size < LOPSIDED))
    return (spread > 0) & poor


def _grade_scale(findings: Findings) -> Grades:
    """An input lies far from zero, next to its spread, or is far larger or smaller than 1."""
    found = findings.nowhere()
    if not findings.is_first_order:
        return found
    grade = _slow(findings)
    for name in findings.problem.columns:
        found = np.maximum(found, findings.where(grade, _poor(*findings.sizes(name))))
    return found


def _tell_scale(finding: Finding) -> Said:
    bad = []
    for name in finding.problem.columns:
        size, spread = finding.all.sizes(name)
        if _poor(size, spread):
            bad.append(f"{name} (up to {size:.3g}, spread {spread:.3g})")
    return Said(
        f"the inputs are poorly scaled for {finding.options.optimizer}: {', '.join(bad)}. Steps "
        "that suit one param are far too long or short for another.",
        suggestion=_scaled(finding),
    )


LEARNING_RATE_TOO_HIGH = Check(
    "learning_rate_too_high",
    _grade_rate,
    _tell_rate,
    About(
        seen=(
            "the rate of plain gradient descent is above 2/λmax of the loss, the largest "
            "that is stable (with momentum and Nesterov's, its kin); claimed for `sgd` over "
            "all rows at a constant rate"
        ),
        severity="error where the fit diverged; info where it is at the minimum; else warning",
        matters=(
            "each step overshoots the minimum by more than the last, so that the params run "
            "away or jump about"
        ),
        cure="a rate just below the limit; or scaled inputs, which raise the limit",
    ),
)
GRADIENT_IMBALANCE = Check(
    "gradient_imbalance",
    _grade_imbalance,
    _tell_imbalance,
    About(
        seen=(
            "at the start the gradient in one param is ten times that in another or more, "
            "and the loss is that much steeper one way than another"
        ),
        severity="warning; info where the fit is at the minimum",
        matters=(
            "no one learning rate suits both params: one that is stable for the first "
            "leaves the other crawling"
        ),
        cure=(
            "standardized inputs, where the formula and what is given of its params allow "
            'them; else `"optimizer": "auto"`, which needs none'
        ),
    ),
)
POOR_SCALE = Check(
    "poor_scale",
    _grade_scale,
    _tell_scale,
    About(
        seen=(
            "of a first-order method: an input lies far from zero next to its spread, or is "
            "far larger or smaller than 1. Of any: the squares of the residuals vanish or "
            "overflow"
        ),
        severity=(
            "warning; info where the fit is at the minimum; error where the squares vanish "
            "or overflow"
        ),
        matters=(
            "steps that suit one param are far too long or short for another; squares that "
            "vanish tell no fit from another"
        ),
        cure=(
            "standardized inputs, where the formula and what is given of its params allow "
            'them, else `"optimizer": "auto"`; a target in another unit'
        ),
    ),
)
