"""The mean of squares."""

from __future__ import annotations

from service.catalogue.losses.record import LossFunction

MSE = LossFunction(
    name="mse",
    description="The mean of squares.",
    formula="mean(r²)",
    rho=lambda z, d: z * z,
    psi=lambda z, d: 2 * z,
    slope="2 * ({r})",
    when_to_use=(
        "Noise of constant variance, without outliers: maximum likelihood for Gaussian noise."
    ),
    reference="Gauss, Theoria motus (1809)",
)
