"""Cauchy's loss, or Lorentz's."""

from __future__ import annotations

from service.catalogue.losses.record import LossFunction, delta, of_square

CAUCHY = LossFunction(
    name="cauchy",
    description="Cauchy's loss: logarithmic far away.",
    formula="mean(delta²·ln(1 + (r/delta)²))",
    rho=lambda z, d: of_square(z, d, lambda u: u.log1p()),
    psi=lambda z, d: 2 * z / (1 + (z / d) ** 2),
    slope="2 * ({r}) / (1 + (({r}) / {d:g})**2)",
    when_to_use="Heavy-tailed noise; the weight of a point decreases with its residual.",
    reference="Triggs et al., Bundle Adjustment (2000), section 3.4",
    option=delta(1.0, 2.385),
)
