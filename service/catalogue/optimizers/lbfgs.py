"""The quasi-Newton method with limited memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from typing_extensions import Doc

from service.catalogue.optimizers.record import Optimizer


@dataclass(frozen=True, slots=True)
class Lbfgs:
    """Options of L-BFGS."""

    history_size: Annotated[
        int, Ge(1), Le(100), Doc("Number of steps in the quasi-Newton approximation.")
    ] = 10


LBFGS = Optimizer(
    name="lbfgs",
    description="L-BFGS with a strong-Wolfe line search, within bounds.",
    formula="θ' = θ + αd, d = −Hg from the last steps, α by strong Wolfe",
    when_to_use="Smooth losses that are no sum of residuals, and many params.",
    reference="Nocedal and Wright, Numerical Optimization, 2nd ed., 7.2",
    solver="lbfgs",
    settings=Lbfgs,
    has_gradient=True,
    searches=True,
)
