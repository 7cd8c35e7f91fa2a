"""Gradient descent in trouble: its rate, and the scale of its inputs."""

from __future__ import annotations

import math

import torch

from service.engine.diagnostics.finding import Diagnostic, Finding
from service.engine.optimizers.first_order import Sgd

IMBALANCE = 10.0
LOPSIDED = 100.0


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
        message += f", and the loss grows about {_plain(growth * growth)}-fold an epoch"
    return Diagnostic(
        "learning_rate_too_high",
        "error" if finding.result.diverged else "warning",
        message + f". Use a rate below {limit:.3g}, or scale the inputs to raise that limit.",
        suggestion={"optimizer": {"name": "sgd", "learning_rate": _below(limit)}},
    )


def _plain(number: float) -> str:
    """Three digits, and an exponent only where there is no other way."""
    return f"{float(f'{number:.3g}'):,.10g}" if number < 1e6 else f"{number:.3g}"


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
    if ratio < IMBALANCE or not finding.condition > IMBALANCE:
        return None
    crawl = ""
    if math.isfinite(finding.condition):
        crawl = f" The loss is {finding.condition:,.0f} times steeper one way than another."
    return Diagnostic(
        "gradient_imbalance",
        "warning",
        f"at the start the gradient in {names[large]} is {ratio:.3g} times that in {names[small]}, "
        f"so no one learning rate suits both: a rate that is stable for {names[large]} leaves "
        f"{names[small]} crawling.{crawl} Scale the inputs.",
        params=(names[large], names[small]),
        suggestion={"scaling": "standardize"},
    )


def poor_scale(finding: Finding) -> Diagnostic | None:
    """An input lies far from zero, next to its spread, or is far larger or smaller than 1."""
    if not finding.is_first_order and finding.problem.is_linear:
        return None
    lopsided = LOPSIDED if finding.is_first_order else 100 * LOPSIDED
    bad = []
    for name, column in finding.problem.columns.items():
        size = float(column.double().abs().max())
        spread = float(column.double().std(correction=0))
        if spread > 0 and (size > lopsided * spread or not 1 / lopsided < size < lopsided):
            bad.append(f"{name} (up to {size:.3g}, spread {spread:.3g})")
    if not bad:
        return None
    return Diagnostic(
        "poor_scale",
        "warning",
        f"the inputs are poorly scaled for {finding.options.optimizer}: {', '.join(bad)}. Steps "
        "that suit one param are far too long or short for another.",
        suggestion={"scaling": "standardize" if finding.is_first_order else "min_max"},
    )


def _below(limit: float) -> float:
    """Nine tenths of the limit, rounded down to one digit."""
    target = 0.9 * limit
    digit = 10.0 ** math.floor(math.log10(target))
    return float(f"{math.floor(target / digit) * digit:.1g}")
