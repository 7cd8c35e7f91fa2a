"""Which axes of a curve are logarithmic, and where x = 0 is on one of these."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from service.errors import InvalidRequest
from service.schemas.columns import Numbers
from service.schemas.names import AxisScale

DECADES = 3.0
"""Positive values that span more decades than this have a logarithmic axis, if they are spread over
these rather than evenly."""
DOSES = 0.5
"""The same of a dose, in whatever way they are spread."""
WIDEST, NEAREST = 1e300, 1e-290
"""Largest |x| of a curve, and smallest x of a logarithmic axis; beyond, x overflows."""
_GAP, _LEAST_GAP = 0.12, 0.5
"""Distance of 0 from the smallest positive x, as a share of the decades, and in decades."""


CUT = 3
"""Points of a curve that are drawn at 0, with the interruption after them."""


@dataclass(frozen=True, slots=True)
class XAxis:
    """The x axis of a curve."""

    low: float
    high: float
    log: bool = False
    zero: float | None = None
    """Where 0 is drawn on a logarithmic axis, if it is among the values."""

    def places(self, count: int) -> Numbers:
        """The x values of a curve; those of a logarithmic axis begin with 0 twice, where it is
        drawn."""
        if not self.log:
            return np.linspace(self.low, self.high, count)
        along = np.geomspace(self.low, self.high, count)
        return along if self.zero is None else np.concatenate([[0.0, 0.0], along])

    def drawn(self, values: Numbers) -> Numbers:
        """Where values are drawn."""
        return values if self.zero is None else np.where(values == 0, self.zero, values)

    def curve(self, places: Numbers, *columns: Numbers) -> tuple[Numbers, ...]:
        """Where a curve over `places` is drawn, then its columns, interrupted between 0 and the
        rest."""
        if self.zero is None:
            return places, *columns
        stub = self.zero * np.array([10.0 ** (-_LEAST_GAP / 4), 10.0 ** (_LEAST_GAP / 4), 1.0])
        where = np.concatenate([stub, places[2:]])
        return where, *(np.concatenate([c[:2], [np.nan], c[2:]]) for c in columns)


def x_axis(asked: AxisScale, values: Numbers, *, is_dose: bool) -> XAxis:
    """The x axis for these values. Raises InvalidRequest where a logarithmic one cannot show
    them."""
    low, high = np.clip([values.min(), values.max()], -WIDEST, WIDEST).tolist()
    positive = np.minimum(values[values > NEAREST], WIDEST)
    can = low >= 0 and bool(positive.size)
    if asked == "log" and not can:
        raise InvalidRequest(
            "a logarithmic axis needs values of 0 or more, some of them above 0", pointer="/x_axis"
        )
    if can and (asked == "log" or (asked == "auto" and _wants_log(positive, is_dose))):
        first = float(positive.min())
        if low > NEAREST:
            return XAxis(*_wide(first, high, log=True), log=True)
        gap = max(_LEAST_GAP, _GAP * math.log10(high / first))
        return XAxis(*_wide(first, high, log=True), log=True, zero=first / 10.0**gap)
    return XAxis(*_wide(low, high, log=False))


def is_log_y(asked: AxisScale, values: Numbers) -> bool:
    """Whether the y axis for these values is logarithmic. Raises InvalidRequest where it cannot
    show any of them."""
    positive = np.minimum(values[values > NEAREST], WIDEST)
    if asked == "log" and not positive.size:
        raise InvalidRequest("a logarithmic axis needs values above 0", pointer="/y_axis")
    auto = positive.size == values.size and _wants_log(positive, is_dose=False)
    return asked == "log" or (asked == "auto" and auto)


def _wants_log(positive: Numbers, is_dose: bool) -> bool:
    low, high = float(positive.min()), float(positive.max())
    if not high / low > 10.0 ** (DOSES if is_dose else DECADES):
        return False
    middle = float(np.median(positive))
    geometric, arithmetic = math.sqrt(low) * math.sqrt(high), low / 2 + high / 2
    return is_dose or middle < math.sqrt(geometric) * math.sqrt(arithmetic)


def _wide(low: float, high: float, *, log: bool) -> tuple[float, float]:
    """The ends, apart."""
    if low < high:
        return low, high
    if log:
        return low / 2, high * 2
    room = 0.1 * abs(low) or 1.0
    return low - room, high + room
