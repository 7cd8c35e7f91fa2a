"""The pinball loss, whose minimum is a quantile of the target."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Lt

from service.catalogue.losses.record import LossFunction
from service.catalogue.options import Option
from service.catalogue.tensors import Tensor


def _rho(z: Tensor, quantile: float) -> Tensor:
    return (-quantile * z).where(z < 0, (1 - quantile) * z)


def _psi(z: Tensor, quantile: float) -> Tensor:
    return z.new_full(z.shape, -quantile).where(z < 0, 1 - quantile) * (z != 0)


QUANTILE = LossFunction(
    name="quantile",
    description="The pinball loss, whose minimum is a quantile of the target.",
    formula="mean(quantile·(−r) where r < 0, else (1 − quantile)·r)",
    rho=_rho,
    psi=_psi,
    slope="where({r} < 0, -{d:g}, 1 - {d:g})",
    when_to_use="A quantile of the target rather than its mean; 0.5 is the median.",
    reference="Koenker and Bassett, Econometrica 46 (1978) 33",
    option=Option(
        "quantile",
        Annotated[float, Gt(0), Lt(1)],
        0.5,
        "The share of the target's values that are below the fit.",
    ),
    is_smooth=False,
)
