"""Linear least squares in one step."""

from __future__ import annotations

from service.catalogue.optimizers.record import Optimizer

EXACT = Optimizer(
    name="exact",
    description="Linear least squares by QR in one step, for formulas linear in their free params "
    "with mse.",
    formula="θ = argmin ‖(f₀ + Jθ − y)/σ‖, by QR and singular values",
    when_to_use="Formulas linear in their params, with mse: the answer in one step.",
    reference="Golub and Van Loan, Matrix Computations, 4th ed., 5.3-5.5",
    solver="exact",
    is_direct=True,
    is_grouped=True,
    epochs=1,
)
