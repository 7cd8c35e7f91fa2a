"""The readings of a request to /invert: its rows, and the ranges of the input."""

from __future__ import annotations

import math

import numpy as np

from service.engine.inference.standard_curves import Range
from service.engine.kernel.types import Bools, Ints
from service.errors import InvalidData, InvalidRequest
from service.fitting.columns import finite_arrays, refuse_infinite
from service.fitting.columns import numbers as numeric
from service.fitting.samples import SAMPLE, Rows, dilutions, optional
from service.fitting.standard import Standard
from service.fitting.values import explained, to_sigma
from service.schemas import unknowns as wire
from service.schemas.columns import Data


def have_readings(standard: Standard, data: Data) -> Bools:
    """Which rows have a reading. Raises InvalidData if none has."""
    there = np.ones(len(next(iter(data.values()))), dtype=np.bool_)
    for name in standard.curves.formula.target_columns:
        _must_have(data, name)
        there &= ~np.isnan(numeric(data, name))
    if not there.any():
        raise InvalidData("no row has a reading", pointer="/data")
    return there


def _must_have(data: Data, name: str) -> None:
    if name not in data:
        raise InvalidRequest(
            f"the data have no column '{name}', which the curve explains: send the readings in it",
            pointer="/data",
        )


def rows_of(
    request: wire.InvertRequest, standard: Standard, curve: Ints, number: Ints
) -> tuple[Rows, str | None]:
    """The readings, and the column of their samples' names. Raises InvalidRequest."""
    formula, name, count = standard.curves.formula, standard.curves.solve_for, len(curve)
    data = request.data
    for target in formula.target_columns:
        _must_have(data, target)
    others = [each for each in formula.inputs if each != name]
    absent = [each for each in others if each not in data]
    if absent:
        raise InvalidRequest(
            f"to solve for '{name}', send the other inputs too: {', '.join(absent)}",
            pointer="/data",
        )
    nominal = np.full(count, np.nan)
    if name in data:
        refuse_infinite(data, name)
        nominal = numeric(data, name)
    sigma = to_sigma(request.sigma, data, count)
    used = [*formula.inputs, *formula.target_columns]
    by = optional(request.replicates_by, SAMPLE, data, used, "/replicates_by")
    rows = Rows(
        reading=explained(formula, data, count).numpy(),
        weight=np.ones(count) if sigma is None else 1.0 / sigma.numpy() ** 2,
        curve=curve,
        nominal=nominal,
        dilution=dilutions(request.dilution, data, nominal, used),
        others=finite_arrays(data, others),
        names=None if by is None else data[by],
        number=number,
    )
    return rows, by


def known_range(request: wire.InvertRequest, standard: Standard, rows: Rows) -> Range:
    """The range of the fit's calibrators; else of those in the data, else that given."""
    found = standard.known(standard.curves.solve_for)
    if found is not None:
        return found
    nominal = rows.nominal[~np.isnan(rows.nominal)]
    if nominal.size:
        return float(nominal.min()), float(nominal.max())
    if request.range is not None:
        low, high = request.range
        return low, high
    raise InvalidRequest(
        f"the range of '{standard.curves.solve_for}' is not known: give `range`, such as [0, 100] "
        "(the `predict` of a fit has it, as `input_range`)",
        pointer="/range",
    )


def searched_range(request: wire.InvertRequest, known: Range) -> Range:
    """The range in which solutions are looked for: beyond the calibrators by their width, but not
    past 0."""
    if request.range is not None:
        low, high = request.range
        if not low < high:
            raise InvalidData("the smaller end of `range` comes first", pointer="/range")
        return low, high
    low, high = known
    width = (high - low) or abs(high) or 1.0
    below, above = low - width, high + width
    searched = (max(below, 0.0) if low >= 0 else below, min(above, 0.0) if high <= 0 else above)
    if not all(map(math.isfinite, searched)) or searched[0] >= searched[1]:
        raise InvalidData(
            f"the calibrators range from {low:g} to {high:g}; give the `range` in which to look "
            "for solutions",
            pointer="/range",
        )
    return searched
