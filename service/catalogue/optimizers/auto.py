"""The default: an optimizer chosen for the problem (see `fitting.options`)."""

from __future__ import annotations

from service.catalogue.optimizers.record import Optimizer

AUTO = Optimizer(
    name="auto",
    description="`exact` where the formula allows it, else a method chosen for the model and the "
    "loss.",
    formula="an optimizer chosen for the formula, the bounds and the loss",
    when_to_use="Almost always.",
    reference="docs/explanation/architecture.md",
    solver=None,
    has_gradient=True,
)
