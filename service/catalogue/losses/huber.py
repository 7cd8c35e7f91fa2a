"""Huber's loss: quadratic near zero, linear far away."""

from __future__ import annotations

from service.catalogue.losses.record import LossFunction, delta
from service.catalogue.tensors import Tensor


def _rho(z: Tensor, delta: float) -> Tensor:
    size = z.abs()
    return (0.5 * z * z).where(size <= delta, delta * (size - 0.5 * delta))


HUBER = LossFunction(
    name="huber",
    description="Huber's loss: quadratic near zero, linear far away.",
    formula="mean(½r² where |r| ≤ delta, else delta·(|r| − ½delta))",
    rho=_rho,
    psi=lambda z, d: z.clamp(-d, d),
    slope="clip({r}, -{d:g}, {d:g})",
    when_to_use="Some outliers: quadratic near zero, linear far away.",
    reference="Huber, Annals of Mathematical Statistics 35 (1964) 73",
    option=delta(1.0, 1.345),
)
