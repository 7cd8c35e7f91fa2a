"""A rate that falls along a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from service.catalogue.options import Count, NonNegative
from service.catalogue.schedules.record import LearningRateSchedule


@dataclass(frozen=True, slots=True)
class Cosine:
    """From the base rate to eta_min: eta_min + (base − eta_min)·(1 + cos(π·t/t_max))/2."""

    t_max: Annotated[Count | None, Doc("Epochs of the half period. Default: `epochs`.")] = None
    eta_min: Annotated[NonNegative, Doc("The lowest rate.")] = 0.0

    def factor(self, t: int, base: float, epochs: int) -> float:
        low = self.eta_min / base
        return low + (1 - low) * (1 + math.cos(math.pi * t / (self.t_max or epochs))) / 2


COSINE = LearningRateSchedule(
    name="cosine",
    description=(
        "Anneals the rate to `eta_min` over `t_max` epochs (default: all of them) along a cosine."
    ),
    formula="(eta_min + (rate − eta_min)·(1 + cos(π·t/t_max))/2) / rate",
    settings=Cosine,
    when_to_use="Mini-batches: a large rate for long, a small one at the end.",
    reference="Loshchilov and Hutter, SGDR, ICLR (2017)",
)
