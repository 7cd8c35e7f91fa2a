"""The arctangent of squares, which is bounded."""

from __future__ import annotations

from service.catalogue.losses.record import LossFunction, delta, of_square

ARCTAN = LossFunction(
    name="arctan",
    description="The arctangent of squares, which is bounded.",
    formula="mean(delta²·arctan((r/delta)²))",
    rho=lambda z, d: of_square(z, d, lambda u: u.atan()),
    psi=lambda z, d: 2 * z / (1 + (z / d) ** 4),
    slope="2 * ({r}) / (1 + (({r}) / {d:g})**4)",
    when_to_use="Gross outliers: the loss of a point is bounded.",
    reference="Triggs et al., Bundle Adjustment (2000), section 3.4",
    option=delta(1.0, 2.571),
)
