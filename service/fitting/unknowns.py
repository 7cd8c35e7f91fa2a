"""Computes /invert: the samples of the readings, their unknowns, and the calibrators' recovery."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

import numpy as np

from service.engine.inference import inversion
from service.engine.inference.inversion import invert
from service.engine.inference.standard_curves import Range, Readings
from service.engine.kernel.types import Bools, Floats, Ints
from service.errors import BudgetExceeded, InvalidData, InvalidRequest
from service.fitting import costs
from service.fitting.calibrators import calibrated
from service.fitting.columns import check_shape, finite_arrays, refuse_infinite
from service.fitting.columns import numbers as numeric
from service.fitting.curves import Curve, usable
from service.fitting.grouped_curves import Curves
from service.fitting.grouped_predict import group_of_rows
from service.fitting.row_filter import only, rows_used, with_rows
from service.fitting.samples import (
    SAMPLE,
    Rows,
    Samples,
    dilutions,
    keys_of,
    named,
    optional,
)
from service.fitting.standard import Standard, of_groups, of_request
from service.fitting.statuses import details, roots, status_names, why_no_error
from service.fitting.values import explained, to_sigma
from service.schemas import unknowns as wire
from service.schemas.answers import PredictBody
from service.schemas.columns import Data
from service.schemas.grouped import By, columns_of
from service.schemas.requests import JobRequest
from service.schemas.series import gapped

MAX_ROOTS = 200_000
"""Maximum number of solutions listed in one answer."""
ROOTS_OF_ONE = 400
"""The most solutions of one sample: a little more than the points of the grid within its range."""
EVALUATIONS = 200
"""Evaluations of the curve for one sample, about."""
COMPARISONS = 10_000
"""What comparing a sample with the grid costs, in operations."""


@dataclass(frozen=True, eq=False)
class _Work:
    """A request with its curve and its readings."""

    request: wire.InvertRequest
    asked: wire.InversionOptions
    standard: Standard
    rows: Rows
    known: Range
    """The range of the calibrators,"""
    searched: Range
    """and the one in which solutions are looked for."""

    def solve(self, readings: Readings, kind: inversion.Kind = "none") -> inversion.Unknowns:
        """The unknowns of readings."""
        return invert(self.standard.curves, readings, self.known, self.searched, kind)


def unknowns(
    request: wire.InvertRequest, max_rows: int = 2**62, max_operations: float = math.inf
) -> wire.Unknowns:
    """The unknowns of a request with its own curve. Raises InvalidRequest."""
    return _answer(request, None, None, max_rows, max_operations)


def unknowns_from(
    request: wire.InvertRequest, curve: Curve, fitted: JobRequest,
    max_rows: int = 2**62, max_operations: float = math.inf,
) -> wire.Unknowns:  # fmt: skip
    """The unknowns by the curve, or the curves, of a finished job. Raises InvalidRequest."""
    if request.params is not None or request.scaling is not None or request.covariance is not None:
        raise InvalidRequest(
            "omit `params`, `scaling` and `covariance`: those of the job are used",
            pointer="/job_id",
        )
    if isinstance(curve, Curves):
        return _answer(request, curve, fitted, max_rows, max_operations)
    body = usable(PredictBody.model_validate_json(curve))
    own = request.model_dump(exclude_unset=True, exclude={"model", "job_id", "data", "rows"})
    given = {"data": dict(request.data), "rows": request.rows}
    filled = wire.InvertRequest.model_validate({**body, **own, **given})
    return _answer(filled, None, None, max_rows, max_operations)


def sample_column(request: wire.InvertRequest, formula: str) -> str | None:
    """The column of the samples' names, if the request has one that is no name of the formula."""
    by = request.replicates_by or (SAMPLE if SAMPLE in request.data else None)
    if by is None or re.search(rf"(?<!\w){re.escape(by)}(?!\w)", formula):
        return None
    return by


def _answer(
    request: wire.InvertRequest, fit: Curves | None, fitted: JobRequest | None,
    max_rows: int, max_operations: float,
) -> wire.Unknowns:  # fmt: skip
    request = with_rows(request)
    data = request.data
    count = check_shape(data, max_rows)
    asked = request.interval or wire.InversionOptions()
    if fit is None or fitted is None:
        standard = of_request(request, asked.level)
    else:
        standard = of_groups(request, fit, fitted.sigma, asked.level)
    number = np.arange(count) if request.rows is None else request.rows.kept
    if request.missing == "drop":
        there = _have_readings(standard, data)
        number, request = number[there], only(request, there)
        data, count = request.data, len(number)
    operations = standard.curves.program.operations
    cost = costs.Cost(EVALUATIONS, EVALUATIONS * operations + COMPARISONS)
    costs.check(cost, count, max_operations)
    curve = np.zeros(count, dtype=np.int64) if fit is None else group_of_rows(data, fit)
    rows, by = _rows(request, standard, curve, number)
    known = _known(request, standard, rows)
    asked = _interval(request, standard, fit)
    work = _Work(request, asked, standard, rows, known, _searched(request, known))
    return _result(work, by, None if fit is None else fit.column)


def _have_readings(standard: Standard, data: Data) -> Bools:
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


def _rows(
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


def _known(request: wire.InvertRequest, standard: Standard, rows: Rows) -> Range:
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


def _searched(request: wire.InvertRequest, known: Range) -> Range:
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


def _interval(
    request: wire.InvertRequest, standard: Standard, fit: Curves | None
) -> wire.InversionOptions:
    """The interval asked for; by default `none` where there is no covariance. Raises
    InvalidRequest."""
    asked = request.interval or wire.InversionOptions()
    if asked.kind == "none" or standard.curves.covariance is not None:
        return asked
    if request.interval is None:
        return wire.InversionOptions(kind="none")
    if fit is not None:
        by = json.dumps(
            {
                "group_by": {
                    "column": fit.column,
                    "covariance": True,
                }
            }
        )
        raise InvalidRequest(
            "an interval requires the covariance of each group, which this job does not have; fit "
            f"with {by}",
            pointer="/interval",
        )
    raise InvalidRequest(
        "an interval requires `covariance` and `degrees_of_freedom`; the `predict` of a fit has "
        "them if the fit has standard errors",
        pointer="/interval",
    )


def _noise(work: _Work) -> Floats:
    """The standard deviation of a reading of unit weight, (curves,); 0 for an interval of the mean,
    NaN where it is unknown and no interval needs it. Raises InvalidRequest."""
    request, standard = work.request, work.standard
    if request.sigma is not None and standard.sigma_scale is None:
        raise InvalidRequest(
            "the curve was fitted without `sigma`: omit it, since `residual_std` is the noise of a "
            "reading; or give `sigma_scale` too, 1 where `sigma` is in the units of the target",
            pointer="/sigma",
        )
    if work.asked.of == "mean":
        return np.zeros(len(standard.curves.theta))
    noise = standard.residual_std if request.sigma is None else standard.sigma_scale
    if noise is not None:
        return noise
    if work.asked.kind == "none":
        return np.full(len(standard.curves.theta), np.nan)
    if standard.sigma_scale is not None:
        raise InvalidRequest(
            "the fit has `sigma`, so a reading has one too: give `sigma`, or an interval of the "
            '"mean", which is without the noise of the readings',
            pointer="/sigma",
        )
    raise InvalidRequest(
        "an interval for an observation requires `residual_std`, the standard deviation of a "
        "reading; a fit with a likelihood has none, for its noise follows from the mean: ask for "
        'an interval of the "mean"',
        pointer="/residual_std",
    )


@np.errstate(all="ignore")
def _result(work: _Work, by: str | None, group_by: By | None) -> wire.Unknowns:
    rows, asked, data = work.rows, work.asked, work.request.data
    name = work.standard.curves.solve_for
    noise = _noise(work)
    samples = Samples.gathered(rows)
    is_known: Bools = ~np.isnan(rows.nominal[samples.first])
    chosen = np.flatnonzero(~is_known)
    found = work.solve(samples.readings(rows, noise, chosen), asked.kind)
    if len(found.roots) > MAX_ROOTS:
        raise BudgetExceeded(
            f"the readings have {len(found.roots):,} solutions, more than the {MAX_ROOTS:,} that "
            "are listed; give a `range` in which the curve is monotone",
            pointer="/range",
        )
    first = samples.first[chosen]
    dilution, groups = (
        rows.dilution[first],
        None if group_by is None else [data[name] for name in columns_of(group_by)],
    )
    calibrators = None
    if is_known.any():
        known = np.flatnonzero(is_known)
        calibrators = calibrated(work.request.calibrators, rows, samples, known, work.solve)
    limits = None if calibrators is None else calibrators.limits
    has_covariance = work.standard.curves.covariance is not None
    no_error = why_no_error(has_covariance=has_covariance, of_groups=group_by is not None)
    lloq, uloq = (None, None) if limits is None or groups is not None else limits.single()
    return wire.Unknowns(
        solve_for=name,
        target=work.standard.curves.formula.target,
        interval=wire.InversionInterval(
            kind=asked.kind,
            level=asked.level,
            of=asked.of,
            degrees_of_freedom=work.standard.degrees_of_freedom,
        ),
        replicates_by=by,
        group_by=group_by,
        key=named(rows, first),
        group=None if groups is None else keys_of(groups, first),
        n=samples.n[chosen],
        mean=gapped(samples.mean[chosen]),
        dilution=dilution if (rows.dilution != 1.0).any() else None,
        estimate=gapped(found.estimate * dilution),
        stderr=gapped(found.stderr * dilution),
        lower=gapped(found.lower * dilution),
        upper=gapped(found.upper * dilution),
        status=status_names(found.status),
        detail=details(found, name, work.known, work.searched, no_error),
        roots=roots(found, dilution),
        calibrators=None if calibrators is None else calibrators.answer(groups),
        lloq=lloq,
        uloq=uloq,
        limits=None if groups is None or limits is None else limits.answer(groups),
        rows=rows_used(work.request),
    )
