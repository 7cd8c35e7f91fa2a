"""The logarithm of the hyperbolic cosine."""

from __future__ import annotations

import math

from service.catalogue.losses.record import LossFunction, delta
from service.catalogue.tensors import Tensor


def _rho(z: Tensor, delta: float) -> Tensor:
    size = (z / delta).abs()
    s = size.clamp(min=1e-8, max=1.0)
    near = z * z * (2 * (s / 2).sinh() ** 2).log1p() / (s * s)
    far = delta * (delta * (size + (-2 * size).exp().log1p() - math.log(2)))
    return near.where(size > 1e-8, z * z / 2).where(size < 1, far)


LOG_COSH = LossFunction(
    name="log_cosh",
    description="The logarithm of the hyperbolic cosine: quadratic near zero, linear far away.",
    formula="mean(delta²·ln(cosh(r/delta)))",
    rho=_rho,
    psi=lambda z, d: d * (z / d).tanh(),
    slope="{d:g} * tanh(({r}) / {d:g})",
    when_to_use="Some outliers; smooth everywhere, with two derivatives.",
    reference="Green, IEEE Transactions on Medical Imaging 9 (1990) 84",
    option=delta(1.0, 1.205),
)
