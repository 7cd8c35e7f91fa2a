"""Tukey's biweight, which is constant beyond delta."""

from __future__ import annotations

from service.catalogue.losses.record import LossFunction, delta
from service.catalogue.tensors import Tensor


def _rho(z: Tensor, delta: float) -> Tensor:
    u = (z / delta) ** 2
    return (z * z / 6 * (3 - 3 * u + u * u)).where(u < 1, delta * (delta / 6))


TUKEY = LossFunction(
    name="tukey",
    description="Tukey's biweight, which is constant beyond delta.",
    formula="mean(delta²/6·(1 − (1 − (r/delta)²)³) where |r| ≤ delta, else delta²/6)",
    rho=_rho,
    psi=lambda z, d: z * (1 - (z / d) ** 2).clamp(min=0) ** 2,
    slope="({r}) * max(0, 1 - (({r}) / {d:g})**2)**2",
    when_to_use="Gross outliers: points beyond delta have no weight. Needs a good start.",
    reference="Beaton and Tukey, Technometrics 16 (1974) 147",
    option=delta(4.685, 4.685),
)
