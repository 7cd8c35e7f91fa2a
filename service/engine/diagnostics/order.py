"""The check of fits with constraints on the order of params."""

from __future__ import annotations

import numpy as np

from service.engine.diagnostics.finished import (
    WARNING,
    About,
    Check,
    FinishedFit,
    FinishedFits,
    Message,
    Severities,
    any_of,
)


def _severity(finished: FinishedFits) -> Severities:
    """A constraint holds the fit."""
    order = finished.problem.order
    if order is None:
        return finished.nowhere()
    return finished.where(WARNING, any_of(order.is_active(finished.params)))


def _describe(fit: FinishedFit) -> Message:
    order = fit.problem.order
    assert order is not None
    steps = [order.steps[i] for i in np.flatnonzero(order.is_active(fit.all.params)).tolist()]
    names = [fit.problem.params[at] for step in steps for at in (step.parent, step.child)]
    return Message(
        f"the fit ended where {', '.join(step.text for step in steps)} holds with equality: the "
        "loss is lower beyond it. The standard errors do not take the constraint into account.",
        params=tuple(dict.fromkeys(names)),
    )


AT_CONSTRAINT = Check(
    "at_constraint",
    _severity,
    _describe,
    About(
        seen="two params ended equal, where a constraint such as `a < b` holds them",
        severity="warning",
        matters=(
            "the loss is lower beyond the constraint, so that it rather than the data determines "
            "the values; their standard errors do not take it into account"
        ),
        cure="the fit without that constraint; none needed if the constraint is certain",
    ),
)
