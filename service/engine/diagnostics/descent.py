"""Checks of gradient descent: its learning rate, and the scale of its inputs. They are only of
severity info where the fit is at the minimum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.catalogue.optimizers.sgd import Sgd
from service.engine.diagnostics.finished import (
    ERROR,
    INFO,
    WARNING,
    About,
    Check,
    Each,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
    negated,
)
from service.engine.inference.intervals import NEAR

IMBALANCE = 10.0
LOPSIDED = 100.0


def _slow(finished: FinishedFits) -> Severities:
    """Severity of slow convergence: INFO where the fit is known to be at the minimum, else WARNING.
    The relative offset is not meaningful for a network, for a loss that is not smooth and without
    degrees of freedom."""
    problem, statistics = finished.problem, finished.statistics
    if not (problem.loss.is_smooth and problem.formula.has_standard_errors):
        return finished.everywhere(WARNING)
    arrived = (statistics.offset <= NEAR) & (statistics.degrees_of_freedom > 0)
    return finished.either(arrived & negated(finished.ended("diverged")), INFO, WARNING)


def _rate_severity(finished: FinishedFits) -> Severities:
    """The rate is above the limit that the curvature sets."""
    rule = finished.options.settings
    if not isinstance(rule, Sgd):
        return finished.nowhere()
    severity = finished.either(finished.ended("diverged"), ERROR, _slow(finished))
    return finished.where(severity, rule.learning_rate > finished.limit)


def _describe_rate(fit: FinishedFit) -> Message:
    limit, rule = fit.limit, fit.options.settings
    assert limit is not None
    assert isinstance(rule, Sgd)
    where = "" if fit.problem.is_linear else " near the start"
    growth = rule.learning_rate * 2 / limit - 1
    message = (
        f"learning rate {rule.learning_rate:.3g} is above {limit:.3g}, the largest that is stable "
        f"for these data{where}: each step overshoots"
    )
    if fit.result.diverged and not rule.momentum:
        message += f", and the loss grows about {_plain(growth * growth)}-fold per epoch"
    return Message(
        message + f". Use a rate below {limit:.3g}, or scale the inputs to raise that limit.",
        suggestion={"optimizer": {"name": "sgd", "learning_rate": _below(limit)}},
    )


def _plain(number: float) -> str:
    """The number with three digits, and with an exponent only from a million on."""
    return f"{float(f'{number:.3g}'):,.10g}" if number < 1e6 else f"{number:.3g}"


def _below(limit: float) -> float:
    """Nine tenths of the limit, rounded down to one digit."""
    target = 0.9 * limit
    digit = 10.0 ** math.floor(math.log10(target))
    return float(f"{math.floor(target / digit) * digit:.1g}")


def _imbalance_severity(finished: FinishedFits) -> Severities:
    """At the start the gradients in two params differ by orders of magnitude."""
    if not finished.is_plain_descent or len(finished.free) < 2:
        return finished.nowhere()
    sizes = np.abs(finished.first_gradient[..., finished.free])
    small, large = sizes.min(axis=-1), sizes.max(axis=-1)
    imbalanced = (large >= IMBALANCE * small) & (small > 0) & np.isfinite(large)
    return finished.where(_slow(finished), imbalanced & (finished.condition > IMBALANCE))


def _describe_imbalance(fit: FinishedFit) -> Message:
    names = fit.problem.free_params
    sizes = np.abs(fit.all.first_gradient[fit.all.free])
    large, small = int(sizes.argmax()), int(sizes.argmin())
    ratio = float(sizes[large] / sizes[small])
    condition = ""
    if math.isfinite(fit.condition):
        condition = f" The condition number of the Hessian is {fit.condition:,.0f}."
    return Message(
        f"at the start the gradient in {names[large]} is {ratio:.3g} times that in {names[small]}, "
        f"so no single learning rate suits both: a rate that is stable for {names[large]} is far "
        f"too small for {names[small]}.{condition} Scale the inputs.",
        params=(names[large], names[small]),
        suggestion=_scaled(fit),
    )


def _scaled(fit: FinishedFit) -> dict[str, Any]:
    """A patch: standardized inputs if the request allows them, else an optimizer that does not
    depend on the scale."""
    if fit.can_be_standardized:
        return {"scaling": "standardize"}
    return {"optimizer": "auto"}


def _poor(size: Each, spread: Each) -> Each:
    poor = (size > LOPSIDED * spread) | negated((size > 1 / LOPSIDED) & (size < LOPSIDED))
    return (spread > 0) & poor


def _scale_severity(finished: FinishedFits) -> Severities:
    """An input is far from zero relative to its spread, or far larger or smaller than 1."""
    found = finished.nowhere()
    if not finished.is_first_order:
        return found
    severity = _slow(finished)
    for name in finished.problem.columns:
        found = np.maximum(found, finished.where(severity, _poor(*finished.sizes(name))))
    return found


def _describe_scale(fit: FinishedFit) -> Message:
    bad = []
    for name in fit.problem.columns:
        size, spread = fit.all.sizes(name)
        if _poor(size, spread):
            bad.append(f"{name} (up to {size:.3g}, spread {spread:.3g})")
    return Message(
        f"the inputs are poorly scaled for {fit.options.optimizer}: {', '.join(bad)}. A step "
        "size that suits one param is far too large or too small for another.",
        suggestion=_scaled(fit),
    )


LEARNING_RATE_TOO_HIGH = Check(
    "learning_rate_too_high",
    _rate_severity,
    _describe_rate,
    About(
        seen=(
            "the learning rate of gradient descent is above 2/λmax of the Hessian, the largest "
            "that is stable (or its equivalent with momentum); checked for `sgd` on all rows at "
            "a constant rate"
        ),
        severity="error if the fit diverged; info if it is at the minimum; else warning",
        matters=(
            "each step overshoots the minimum by more than the last, so that the params diverge "
            "or oscillate"
        ),
        cure="a learning rate just below the limit, or scaled inputs, which raise the limit",
    ),
)
GRADIENT_IMBALANCE = Check(
    "gradient_imbalance",
    _imbalance_severity,
    _describe_imbalance,
    About(
        seen=(
            "at the start the gradient in one param is at least ten times that in another, and "
            "the condition number of the Hessian is above 10"
        ),
        severity="warning; info if the fit is at the minimum",
        matters=(
            "no single learning rate suits both params: one that is stable for the first is far "
            "too small for the other"
        ),
        cure=(
            "standardized inputs, if the formula and the given params allow them; else "
            '`"optimizer": "auto"`, which does not depend on the scale'
        ),
    ),
)
POOR_SCALE = Check(
    "poor_scale",
    _scale_severity,
    _describe_scale,
    About(
        seen=(
            "with a first-order optimizer: an input is far from zero relative to its spread, or "
            "far larger or smaller than 1. With any: the squared residuals underflow or overflow"
        ),
        severity=(
            "warning; info if the fit is at the minimum; error if the squared residuals "
            "underflow or overflow"
        ),
        matters=(
            "a step size that suits one param is far too large or too small for another; with "
            "squares that underflow to 0, all fits look equally good"
        ),
        cure=(
            "standardized inputs, if the formula and the given params allow them, else "
            '`"optimizer": "auto"`; a target in another unit'
        ),
    ),
)
