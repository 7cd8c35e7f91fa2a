"""Computes /invert: the samples of the readings, their unknowns, and the calibrators' recovery."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.engine.inference import inversion
from service.engine.inference.inversion import invert
from service.engine.inference.standard_curves import Range, Readings
from service.engine.kernel.types import Bools, Floats
from service.errors import BudgetExceeded, InvalidRequest
from service.fitting import costs
from service.fitting.calibrators import calibrated
from service.fitting.columns import check_shape
from service.fitting.curves import Curve, body_of, usable
from service.fitting.drawn import Drawn
from service.fitting.drawn_unknowns import check_cost, drawn_intervals
from service.fitting.grouped_curves import Curves
from service.fitting.grouped_predict import group_of_rows
from service.fitting.reading_noise import rows_weighted
from service.fitting.readings import have_readings, known_range, rows_of, searched_range
from service.fitting.row_filter import only, rows_used, with_rows
from service.fitting.samples import (
    SAMPLE,
    Rows,
    Samples,
    keys_of,
    named,
)
from service.fitting.standard import Standard, of_groups, of_request
from service.fitting.statuses import details, roots, status_names, why_no_error
from service.schemas import unknowns as wire
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
    drawn: Drawn | None
    """The replicates of the curve."""

    def solve(self, readings: Readings, kind: inversion.Kind = "none") -> inversion.Unknowns:
        """The unknowns of readings."""
        return invert(self.standard.curves, readings, self.known, self.searched, kind)


def unknowns(
    request: wire.InvertRequest, max_rows: int = 2**62, max_operations: float = math.inf
) -> wire.Unknowns:
    """The unknowns of a request with its own curve. Raises InvalidRequest."""
    return _answer(request, None, None, None, max_rows, max_operations)


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
        known = request.model_copy(update={"units": dict(curve.units) | request.units})
        return _answer(known, curve, fitted, None, max_rows, max_operations)
    body = usable(body_of(curve))
    own = request.model_dump(exclude_unset=True, exclude={"model", "job_id", "data", "rows"})
    given = {"data": dict(request.data), "rows": request.rows}
    own["units"] = body["units"] | request.units
    filled = wire.InvertRequest.model_validate({**body, **own, **given})
    drawn = curve if isinstance(curve, Drawn) else None
    return _answer(filled, None, None, drawn, max_rows, max_operations)


def sample_column(request: wire.InvertRequest, formula: str) -> str | None:
    """The column of the samples' names, if the request has one that is no name of the formula."""
    by = request.replicates_by or (SAMPLE if SAMPLE in request.data else None)
    if by is None or re.search(rf"(?<!\w){re.escape(by)}(?!\w)", formula):
        return None
    return by


def _answer(
    request: wire.InvertRequest, fit: Curves | None, fitted: JobRequest | None,
    drawn: Drawn | None, max_rows: int, max_operations: float,
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
        there = have_readings(standard, data)
        number, request = number[there], only(request, there)
        data, count = request.data, len(number)
    operations = standard.curves.program.operations
    cost = costs.Cost(EVALUATIONS, EVALUATIONS * operations + COMPARISONS)
    costs.check(cost, count, max_operations)
    curve = np.zeros(count, dtype=np.int64) if fit is None else group_of_rows(data, fit)
    rows, by = rows_of(request, standard, curve, number)
    known = known_range(request, standard, rows)
    asked = _interval(request, standard, fit, drawn)
    if drawn is not None and asked.kind == "bootstrap":
        check_cost(drawn, operations, count, max_operations)
    work = _Work(request, asked, standard, rows, known, searched_range(request, known), drawn)
    return _result(work, by, None if fit is None else fit.column)


def _interval(
    request: wire.InvertRequest, standard: Standard, fit: Curves | None, drawn: Drawn | None
) -> wire.InversionOptions:
    """The interval asked for; by default `none` where there is no covariance. Raises
    InvalidRequest."""
    asked = request.interval or wire.InversionOptions()
    if asked.kind == "bootstrap":
        if drawn is None:
            raise InvalidRequest(
                "an interval by bootstrap takes the replicates of a job: give the `job_id` of a "
                'fit, without groups, with {"confidence_interval": {"method": "bootstrap"}}',
                pointer="/interval/kind",
            )
        return asked
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
    if work.asked.of == "mean" or work.asked.kind == "bootstrap":
        return np.zeros(len(standard.curves.theta))
    is_given = request.sigma is not None or standard.noise is not None
    noise = standard.sigma_scale if is_given else standard.residual_std
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
    if work.standard.noise is not None and work.request.sigma is None:
        rows = rows_weighted(work.request, work.standard, rows, work.solve)
    noise = _noise(work)
    samples = Samples.gathered(rows)
    is_known: Bools = ~np.isnan(rows.nominal[samples.first])
    chosen = np.flatnonzero(~is_known)
    kind: inversion.Kind = "none" if asked.kind == "bootstrap" else asked.kind
    found = work.solve(samples.readings(rows, noise, chosen), kind)
    if len(found.roots) > MAX_ROOTS:
        raise BudgetExceeded(
            f"the readings have {len(found.roots):,} solutions, more than the {MAX_ROOTS:,} that "
            "are listed; give a `range` in which the curve is monotone",
            pointer="/range",
        )
    ends = found.stderr, found.lower, found.upper
    failed = None
    if work.drawn is not None and asked.kind == "bootstrap":
        resampled = drawn_intervals(
            work.drawn, work.standard.curves, rows, samples, chosen, found.estimate,
            found.stderr, work.searched, asked.level, of_mean=asked.of == "mean",
        )  # fmt: skip
        ends, failed = (resampled.stderr, resampled.lower, resampled.upper), resampled.failed
    stderr, lower, upper = ends
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
        units=_units(work.request.units, name, work.standard.curves.formula.target),
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
        stderr=gapped(stderr * dilution),
        lower=gapped(lower * dilution),
        upper=gapped(upper * dilution),
        failed=failed,
        status=status_names(found.status),
        detail=details(found, name, work.known, work.searched, no_error),
        roots=roots(found, dilution),
        calibrators=None if calibrators is None else calibrators.answer(groups),
        lloq=lloq,
        uloq=uloq,
        limits=None if groups is None or limits is None else limits.answer(groups),
        rows=rows_used(work.request),
    )


def _units(known: Mapping[str, str], *names: str) -> dict[str, str]:
    """The units of those columns that have one."""
    return {name: known[name] for name in names if name in known}
