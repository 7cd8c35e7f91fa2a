"""A throw-away loss, with an option."""

from __future__ import annotations

from service.catalogue.losses.record import LossFunction, delta

NEW_LOSS = LossFunction(
    name="new_loss",
    description="A bounded loss.",
    formula="mean(delta²·r²/(delta² + r²))",
    rho=lambda z, d: z * z / (1 + (z / d) ** 2),
    psi=lambda z, d: 2 * z / (1 + (z / d) ** 2) ** 2,
    slope="2 * ({r}) / (1 + (({r}) / {d:g})**2)**2",
    when_to_use="Gross outliers.",
    reference="this test",
    option=delta(0.5),
)
