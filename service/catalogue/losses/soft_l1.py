"""The soft L1 loss, or Charbonnier's."""

from __future__ import annotations

from service.catalogue.losses.record import LossFunction, delta

SOFT_L1 = LossFunction(
    name="soft_l1",
    description="The soft L1 loss, or Charbonnier's: quadratic near zero, linear far away.",
    formula="mean(2·delta²·(√(1 + (r/delta)²) − 1))",
    rho=lambda z, d: 2 * z * z / (1 + (1 + (z / d) ** 2).sqrt()),
    psi=lambda z, d: 2 * z / (1 + (z / d) ** 2).sqrt(),
    slope="2 * ({r}) / sqrt(1 + (({r}) / {d:g})**2)",
    when_to_use="Some outliers: a smooth huber.",
    reference="Charbonnier et al., IEEE Transactions on Image Processing 6 (1997) 298",
    option=delta(1.0, 1.287),
)
