"""Axes: mapping of values to 0 … 1, and round ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from service.render.digits import number
from service.schemas.columns import Numbers


@dataclass(frozen=True, slots=True)
class Scale:
    """From `low` to `high`, linear or by powers of ten."""

    low: float
    high: float
    log: bool = False

    def places(self, values: Numbers) -> Numbers:
        """0 at `low`, 1 at `high`; NaN for what cannot be shown."""
        with np.errstate(all="ignore"):
            along = np.log10(values) if self.log else values
            low, high = self._ends
            # Halved, lest the width of an axis be beyond a float.
            found = (along / 2 - low / 2) / (high / 2 - low / 2)
        return np.where(np.isfinite(found), found, np.nan)

    def values(self, count: int) -> Numbers:
        """`count` evenly spaced values."""
        low, high = self._ends
        along = low + (high - low) * np.linspace(0.0, 1.0, count)
        return np.asarray(10.0**along if self.log else along)

    def ticks(self, most: int) -> list[float]:
        """At most `most` round values, in order."""
        low, high = self._ends
        if self.log and high - low >= 1.0:
            return _decades(low, high, most)
        return _round_steps(self.low, self.high, most)

    @property
    def _ends(self) -> tuple[float, float]:
        return (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)


_LEAST_DECADES = 0.1
"""A logarithmic axis shows a quarter more or less, at least: finer, it would show rounding."""


def around(columns: Iterable[Numbers], *, log: bool = False, margin: float = 0.0) -> Scale | None:
    """The scale that shows all finite values (for `log`, those above 0); None where there are
    none. Values all alike get some room on both sides."""
    parts = [np.ravel(column) for column in columns]
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[np.isfinite(values)]
    if log:
        values = values[values > 0]
    if not values.size:
        return None
    low, high = float(values.min()), float(values.max())
    if log:
        spread = max(math.log10(high) - math.log10(low), 0.0)
        pad = 10.0 ** (max(margin * spread, (_LEAST_DECADES - spread) / 2))
        return Scale(max(low / pad, 5e-324), min(high * pad, 1.7e308), log=True)
    pad = margin * (high / 2 - low / 2) * 2
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        pad = 0.5 * abs(high) or 1.0
    most = 8e307
    return Scale(max(low - pad, -most), min(high + pad, most))


def _round_steps(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low, high]
    power = math.floor(math.log10(span / max(most, 1)))
    for step in (m * 10.0**p for p in (power, power + 1) for m in (1, 2, 5)):
        if step <= 0:
            continue
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < max(most, 2):
            return [_multiple(k, step) for k in range(first, last + 1)]
    return [low, high]


def _multiple(k: int, step: float) -> float:
    """k·step without rounding errors."""
    return float(f"{k * step:.12g}")


def _decades(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    stride = max(1, -(-(last - first + 1) // max(most, 1)))
    powers = range(first, last + 1, stride)
    if len(powers) >= 3:
        return [10.0**p for p in powers if abs(p) < 308]
    found = [m * 10.0**p for p in range(first - 1, last + 1) for m in (1, 2, 5)]
    inside = [v for v in found if low - 1e-9 <= math.log10(v) <= high + 1e-9]
    return inside if len(inside) <= most else [10.0**p for p in powers]


def labels(ticks: Sequence[float]) -> list[str]:
    """The ticks as text, with as few digits as distinguish them."""
    return [number(tick, 6) for tick in ticks]
