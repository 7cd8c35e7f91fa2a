"""Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from typing_extensions import Doc

from service.catalogue.optimizers.adam import Adam
from service.catalogue.optimizers.record import first_order
from service.catalogue.options import NonNegative


@dataclass(frozen=True, slots=True)
class AdamW(Adam):
    """As Adam, with weight_decay·rate·θ subtracted from θ itself."""

    weight_decay: Annotated[
        NonNegative, Doc("weight_decay·learning_rate·θ is taken off θ itself.")
    ] = 1e-2

    decoupled: ClassVar[bool] = True


ADAMW = first_order(
    "adamw",
    AdamW,
    description=(
        "Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW."
    ),
    formula="as adam, with weight_decay·learning_rate·θ taken off θ itself",
    when_to_use="Adam with regularisation.",
    reference="Loshchilov and Hutter, Decoupled weight decay, ICLR (2019)",
)
