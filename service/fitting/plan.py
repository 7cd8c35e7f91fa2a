"""Converts a fit request to the engine's task; invalid ones are refused with a JSON Pointer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.catalogue.families import FAMILIES, Family
from service.engine.formula import Formula
from service.engine.kernel.types import Bools
from service.engine.models import has_guess
from service.engine.models.mlp import Network
from service.engine.noise import FittedNoise, ResidualScale
from service.engine.problem import Model, Problem, Task, grouped
from service.engine.resampling.run import Resampling
from service.engine.scaling import Scale
from service.errors import (
    InvalidData,
    InvalidFormula,
)
from service.fitting.columns import (
    DTYPES,
    check_shape,
    finite_columns,
    numbers,
)
from service.fitting.constraints import with_limits, with_order
from service.fitting.contrasts import check_relative
from service.fitting.errors_in_x import check_errors_in_x, spread_columns, to_sigma_x
from service.fitting.groups import Groups, check_keys, to_groups
from service.fitting.likelihoods import (
    Measure,
    check_alone,
    columns_beside,
    over,
    to_measure,
    weight_column,
    with_bins,
)
from service.fitting.models import resolve
from service.fitting.noise import check_repeated, noise_columns, to_noise, to_outliers, weights_of
from service.fitting.options import to_loss, to_options
from service.fitting.priors import with_prior, with_starts
from service.fitting.reports import NOTHING, Asked, check_covariance, check_profiles, to_asked
from service.fitting.resampling import check_resampling, resampling_of
from service.fitting.row_filter import only, with_rows
from service.fitting.sharing import check_inference, shared_positions, with_sharing
from service.fitting.start import guessed, of_scaled, to_start
from service.fitting.ties import ties_of
from service.fitting.values import explained, narrowed, narrowed_sigma, to_scaling
from service.schemas.columns import Labels, Numbers
from service.schemas.fit import FitRequest


@dataclass(frozen=True, slots=True)
class Plan:
    """A parsed request: the engine's task, and what the answer needs besides."""

    request: FitRequest
    task: Task
    raw: Mapping[str, Tensor]
    """The inputs before scaling, float64."""
    scaling: Mapping[str, Scale]
    guessed: tuple[str, ...]
    """The params whose initial value was not given."""
    dropped: tuple[int, ...] = ()
    """The rows, counted from 0, that were dropped because of a missing value."""
    groups: Groups | None = None
    family: Family | None = None
    """The family that guesses the missing initial values: see `with_guesses`."""
    report: Asked = NOTHING
    """The quantities to report."""
    resampling: Resampling | None = None
    """What follows the fit."""
    noise: FittedNoise | None = None
    """The noise of the fit, once it has one by a model."""

    def to(self, device: str) -> Plan:
        """The same with the task on that device; `raw` is not moved."""
        problem = self.task.problem
        if device == problem.target.device.type or problem.sigma_x:
            return self
        return replace(self, task=self.task.to(device))

    def with_noise(self, noise: FittedNoise | None) -> Plan:
        """The same with the σ of the last round of a fit with a model of the noise."""
        if noise is None:
            return self
        absolute = self.task.problem.sigma_absolute
        params = len(noise.values[0]) if absolute else int(noise.extra.max(initial=0))
        if isinstance(self.task.problem.noise, ResidualScale):
            params = 0
        problem = replace(self.task.problem, sigma=noise.sigma, noise_params=params)
        return replace(self, task=replace(self.task, problem=problem), noise=noise)

    def with_guesses(self) -> Plan:
        """The same with the family's guesses for the missing initial values."""
        if self.family is None:
            return self
        return replace(self, task=guessed(self.task, self.family, self.guessed), family=None)


def to_plan(request: FitRequest, *, max_rows: int = 2**62, max_groups: int = 2**62) -> Plan:
    """The plan of a request. Raises InvalidRequest, with pointers."""
    check_shape(request.data, max_rows)
    request = with_bins(with_rows(request))
    resolved = resolve(request.model, usable(request), ties=ties_of(request.params))
    resolved = replace(resolved, formula=over(resolved.formula, request))
    formula = resolved.formula
    check_alone(request, formula)
    used = [*formula.inputs, *formula.target_columns]
    if request.group_by is not None:
        check_keys(request.group_by, request.data)
    request, dropped, weights = complete(request, used)
    rows = len(next(iter(request.data.values())))
    groups = None
    if request.group_by is not None:
        groups = to_groups(request.group_by, request.data, max_groups)
    raw = finite_columns(request.data, formula.inputs)
    target = explained(formula, request.data, rows)
    if not formula.params:
        raise InvalidFormula(
            "the formula has no params to fit; every name in it is a column", pointer="/model"
        )
    spec = request.scaling
    if spec is None and isinstance(formula, Network):
        spec = "standardize"
    scaling = to_scaling(spec, raw)
    inputs = {name: scaling[name].apply(x) if name in scaling else x for name, x in raw.items()}
    request = with_sharing(request, formula)
    check_inference(request)
    request = with_starts(with_limits(request, formula), formula)
    start = to_start(request, resolved, target)
    _check_names(formula, request)
    dtype = DTYPES[request.dtype]
    given_at = "/sigma" if weights is None else "/weights"
    if request.likelihood is None:
        sigma, noise = to_noise(request, formula, weights, rows)
        measure = Measure(to_loss(request.loss), target, sigma, request.sigma_absolute)
    else:
        noise, measure = None, to_measure(request.likelihood, request.data, target, formula.target)
    target, sigma = measure.target, measure.sigma
    problem = Problem(
        formula=formula,
        columns={name: narrowed(x, dtype, name, raw[name]) for name, x in inputs.items()},
        target=narrowed(target, dtype, formula.target_columns[0], target),
        initial=start.initial.to(dtype),
        lower=start.lower.to(dtype),
        upper=start.upper.to(dtype),
        free=start.free,
        loss=measure.loss,
        sigma=None if sigma is None else narrowed_sigma(sigma, dtype, given_at),
        sigma_absolute=measure.absolute,
        noise=noise,
        sigma_x=to_sigma_x(request.sigma_x, request.data, formula, scaling, rows),
    )
    problem = with_prior(with_order(problem, request), request)
    problem = of_scaled(problem, raw, scaling, start)
    check_errors_in_x(request, problem)
    options = to_options(request, problem)
    check_repeated(options, noise)
    report = to_asked(request, formula, resolved.family)
    check_profiles(report, problem, scaled=bool(scaling))
    check_covariance(request, problem)
    check_resampling(request, problem, [each.name for each in report.quantities])
    if groups is not None:
        check_relative(request, formula, report, groups)
    family = resolved.family
    if family is not None and not (has_guess(family) and set(formula.params) <= set(family.params)):
        family = None  # the params of an expression may not be the family's
    if isinstance(formula, Formula):
        search, challenge = options.search, options.challenge
        if family is None and options.method.searches:
            search = tuple(formula.params.index(name) for name in start.guessed)
        if not problem.is_linear:
            challenge = _is_challenged(request, problem, search)
        if (search, challenge) != (options.search, options.challenge):
            options = replace(options, search=search, challenge=challenge)
    if not start.guessed or options.method.is_direct:
        family = None
    reported = start.guessed if isinstance(formula, Formula) else ()
    task = Task(problem, options)
    if groups is not None and request.group_by is not None:
        initial = problem.initial.repeat(len(groups.keys), 1)
        history = request.group_by.history
        task = grouped(problem, options, torch.from_numpy(groups.codes), initial, history=history)
        task = replace(task, shared=shared_positions(request, formula))
    task = replace(task, outliers=to_outliers(request, formula, noise))
    after = resampling_of(request)
    return Plan(request, task, raw, scaling, reported, dropped, groups, family, report, after)


def _check_names(formula: Model, request: FitRequest) -> None:
    """Raises InvalidFormula for a formula with the name of a model as a param, or without any
    column, where a column's name is probably misspelt."""
    if not isinstance(formula, Formula) or not isinstance(request.model, str):
        return
    for name in set(formula.params) & set(FAMILIES):
        raise InvalidFormula(
            f"'{name}' is the name of a model and cannot be a param; to fit that model write "
            f'"model": "{name}", else write out its formula',
            pointer="/model",
        )
    by = () if request.group_by is None else request.group_by.columns
    beside = (*noise_columns(request), *columns_beside(request), *spread_columns(request.sigma_x))
    apart = (*formula.target_columns, *by, *beside)
    left = [name for name in request.data if name not in apart]
    if not formula.inputs and left:
        listed = ", ".join(f"'{name}'" for name in left[:8])
        raise InvalidFormula(
            f"the formula uses no column: {', '.join(formula.params[:8])} are params, and the data "
            f"have {listed} besides the target; did you mean '{left[0]}' for one of the params?",
            pointer="/model",
        )


def _is_challenged(request: FitRequest, problem: Problem, search: tuple[int, ...]) -> bool | None:
    """Whether to compare the minimum with those from other starts; None if the start of all free
    params is searched for anyway."""
    searched = {problem.params[i] for i in search}
    return None if set(problem.free_params) <= searched else request.challenge


def usable(request: FitRequest) -> list[str]:
    """The columns that a model may use: for a family, the numeric ones that have a value and are
    neither the grouping column nor sigma; for a formula, all."""
    by = () if request.group_by is None else request.group_by.columns
    if isinstance(request.model, str) and request.model.strip() not in (*FAMILIES, "mlp"):
        return list(request.data)
    beside = (*columns_beside(request), *spread_columns(request.sigma_x))
    apart = (*by, request.sigma, request.weights, *beside)
    numeric = {
        name: column
        for name, column in request.data.items()
        if name not in apart and not isinstance(column, Labels)
    }
    full = [name for name, column in numeric.items() if not _is_empty(column)]
    return full if len(full) > 1 else list(numeric)


def _is_empty(column: Numbers) -> bool:
    """Whether a column has no value at all."""
    return bool(len(column) and np.isnan(column[0]) and np.isnan(column).all())


def complete(
    request: FitRequest, used: list[str]
) -> tuple[FitRequest, tuple[int, ...], Numbers | None]:
    """The request without the rows of weight 0, and, with `"missing": "drop"`, without those in
    which a used column is missing a value; the indices of these rows; and the weights of the
    others."""
    missing = missing_in(request, used) if request.missing == "drop" else None
    none: Bools = np.zeros(len(next(iter(request.data.values()))), dtype=bool)
    weights = weights_of(request, none if missing is None else missing)
    left = none if missing is None else missing
    if weights is not None:
        left = left | (weights == 0)
    dropped = np.flatnonzero(left)
    if not dropped.size:
        return request, (), weights
    kept = only(request, ~left)
    return kept, tuple(dropped.tolist()), None if weights is None else weights[~left]


def without_missing(request: FitRequest, used: list[str]) -> tuple[FitRequest, tuple[int, ...]]:
    """With `"missing": "drop"`, the request without the rows in which a used column is missing a
    value, and the indices of those rows."""
    if request.missing == "error":
        return request, ()
    missing = missing_in(request, used)
    dropped = np.flatnonzero(missing)
    if not dropped.size:
        return request, ()
    return only(request, ~missing), tuple(dropped.tolist())


def missing_in(request: FitRequest, used: list[str]) -> Bools:
    """In which rows a used column is missing a value. Raises InvalidData where it is in all."""
    missing: Bools = np.zeros(len(next(iter(request.data.values()))), dtype=bool)
    weight = weight_column(request)
    beside = (weight, *spread_columns(request.sigma_x))
    counted = [name for name in beside if name is not None and name in request.data]
    for name in (*used, *noise_columns(request), *counted):
        missing |= np.isnan(numbers(request.data, name))
    if missing.all():
        raise InvalidData("every row has a missing value", pointer="/data")
    return missing
