"""Damped least squares."""

from __future__ import annotations

from service.catalogue.optimizers.record import Optimizer

LEVENBERG_MARQUARDT = Optimizer(
    name="levenberg_marquardt",
    description="Damped least squares by QR, scaled by the Jacobian, within bounds.",
    formula="θ' = θ + δ, δ = argmin ‖Jδ + r‖² + λ‖Dδ‖², by QR; λ follows the gain",
    when_to_use="Nonlinear formulas and losses of residuals: a few steps to full precision.",
    reference="Moré, The Levenberg-Marquardt algorithm (1978); Nielsen (1999)",
    solver="levenberg_marquardt",
    is_grouped=True,
    searches=True,
    challenges=True,
    tolerance=1e-10,
)
