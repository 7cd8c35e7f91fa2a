"""Calibrators: samples of known value, read back from the curve; and the limits of quantification.

Source: ICH M10, Bioanalytical method validation and study sample analysis (2022), 3.2.5.2 and
4.2.4.2: back-calculated values are held against nominal ones, with a wider limit at the lower limit
of quantification.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from service.engine.inference.inversion import Unknowns
from service.engine.inference.standard_curves import Readings
from service.engine.kernel.types import Bools, Floats, Ints
from service.fitting.groups import in_order
from service.fitting.samples import Rows, Samples, keys_of, named, single
from service.fitting.statuses import status_names
from service.schemas import unknowns as wire
from service.schemas.columns import Labels, Numbers
from service.schemas.series import cells, gapped


@dataclass(frozen=True, eq=False)
class Limits:
    """The limits of quantification of each curve that has calibrators, (curves,); NaN for none."""

    lloq: Floats
    uloq: Floats
    first: Ints
    """A row of each curve."""

    def single(self) -> tuple[float | None, float | None]:
        """Those of the only curve; None for none."""
        lloq, uloq = gapped(self.lloq).tolist()[0], gapped(self.uloq).tolist()[0]
        return lloq, uloq

    def answer(self, groups: Sequence[Numbers | Labels]) -> wire.QuantificationLimits:
        """As columns; groups: the columns by which the curves were fitted."""
        return wire.QuantificationLimits(
            group=keys_of(groups, self.first), lloq=gapped(self.lloq), uloq=gapped(self.uloq)
        )


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Calibrators read back, (calibrators,); NaN where there is no value."""

    rows: Rows
    first: Ints
    """The first row of each."""
    n: Ints
    back: Floats
    recovery: Floats
    variation: Floats
    within: Bools
    status: Ints
    limits: Limits

    def answer(self, groups: Sequence[Numbers | Labels] | None) -> wire.Calibrators:
        """As columns; groups: the columns by which the curves were fitted."""
        has_recovery = self.rows.nominal[self.first] != 0
        flags = zip(self.within.tolist(), has_recovery.tolist(), strict=True)
        return wire.Calibrators(
            key=named(self.rows, self.first),
            group=None if groups is None else keys_of(groups, self.first),
            n=self.n,
            nominal=self.rows.nominal[self.first],
            back_calculated=gapped(self.back),
            recovery_percent=gapped(self.recovery),
            cv_percent=gapped(self.variation),
            within=cells([within if known else None for within, known in flags]),
            status=status_names(self.status),
        )


def calibrated(
    asked: wire.CalibratorOptions,
    rows: Rows,
    samples: Samples,
    chosen: Ints,
    solve: Callable[[Readings], Unknowns],
) -> Calibrated:
    """The calibrators, which are the samples `chosen`, read back."""
    first = samples.first[chosen]
    nothing = np.zeros(int(rows.curve.max()) + 1)
    found = solve(samples.readings(rows, nothing, chosen))
    back, nominal = found.estimate * rows.dilution[first], rows.nominal[first]
    with np.errstate(all="ignore"):
        recovery = np.where(nominal == 0, np.nan, 100 * back / nominal)
    curve, start = in_order(rows.curve[first])
    apart = np.abs(recovery / 100 - 1)
    lloq, uloq = np.full((2, len(start)), np.nan)
    is_lowest = np.zeros(len(first), dtype=np.bool_)
    for one in range(len(start)):
        own = np.flatnonzero(curve == one)
        lloq[one] = _extreme(nominal[own], apart[own] <= asked.limit_lloq, lowest=True)
        uloq[one] = _extreme(nominal[own], apart[own] <= asked.limit, lowest=False)
        is_lowest[own] = nominal[own] == lloq[one]
    within = apart <= np.where(is_lowest, asked.limit_lloq, asked.limit)
    return Calibrated(
        rows, first, samples.n[chosen], back, recovery, _variation(rows, samples, chosen, solve),
        within, found.status, Limits(lloq, uloq, first[start]),
    )  # fmt: skip


def _extreme(nominal: Floats, within: Bools, *, lowest: bool) -> float:
    """The lowest or highest level above 0 of which all calibrators are within their limit."""
    failed = np.unique(nominal[~within])
    levels = np.setdiff1d(nominal[within & (nominal > 0)], failed)
    return float(levels[0 if lowest else -1]) if len(levels) else np.nan


def _variation(
    rows: Rows, samples: Samples, chosen: Ints, solve: Callable[[Readings], Unknowns]
) -> Floats:
    """100·standard deviation/mean of the values of the readings, read back one by one."""
    place = np.full(len(samples.first), -1)
    place[chosen] = np.arange(len(chosen))
    own = np.flatnonzero(place[samples.of] >= 0)
    which, count = place[samples.of[own]], len(chosen)
    values = solve(single(rows, own)).estimate
    n = samples.n[chosen]
    with np.errstate(all="ignore"):
        mean = np.bincount(which, values, count) / n
        variance = np.bincount(which, (values - mean[which]) ** 2, count) / (n - 1)
        found: Floats = 100 * np.sqrt(variance) / np.abs(mean)
    return np.where(np.isfinite(found), found, np.nan)
