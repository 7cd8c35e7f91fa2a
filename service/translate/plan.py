"""A fit's request -> the engine's task, refused with a pointer where it cannot be done."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.engine.faults import fault
from service.engine.formula import Formula
from service.engine.groups import GroupedTask
from service.engine.linear import least_squares
from service.engine.models import FAMILIES, Family
from service.engine.models.mlp import Network
from service.engine.problem import Model, Problem, Task
from service.engine.scaling import METHODS, Scale
from service.errors import (
    BudgetExceeded,
    InvalidData,
    InvalidFormula,
    InvalidRequest,
    UnknownName,
)
from service.schemas.columns import Data, Labels
from service.schemas.fit import FitRequest
from service.schemas.options import Param
from service.schemas.options import Scaling as ScalingRequest
from service.settings import Settings
from service.translate.columns import (
    DTYPES,
    check_shape,
    escape,
    finite_columns,
    first_bad,
    is_finite,
    numbers,
)
from service.translate.groups import Groups, to_grouped_task, to_groups
from service.translate.models import Resolved, resolve
from service.translate.options import to_loss, to_options

SEARCHING = ("levenberg_marquardt", "lbfgs")
"""Optimizers whose start is searched for where nobody gives it."""

MOST_GUESSED = 2**16
"""Rows that a guess is made from, at most."""
LOOKED_AT = 2**14
"""Rows up to which a plan that was made to be looked at has its guesses, and can be carried out."""

PROFILE_STEPS = 300
"""Trial steps that the profile of one param takes, about."""

Sigma = str | float | list[float] | None

_ZERO = torch.zeros((), dtype=torch.float64)
_GUESS = Param()


@dataclass(frozen=True, slots=True)
class Plan:
    """A request understood: the engine's task, and what the answer needs beside it."""

    request: FitRequest
    task: Task
    raw: Mapping[str, Tensor]
    """The inputs before scaling, float64."""
    scaling: Mapping[str, Scale]
    guessed: tuple[str, ...]
    """The params whose initial value was not given."""
    dropped: tuple[int, ...] = ()
    """The rows, counted from 0, that were left out for a missing value."""
    groups: Groups | None = None
    grouped: GroupedTask | None = None
    """The fits of groups, of which `task` says what they have in common."""


def check(request: FitRequest, settings: Settings) -> Plan:
    """The plan of a request, if one may run it. Raises InvalidRequest, with pointers."""
    plan = to_plan(
        request,
        max_rows=settings.max_rows,
        max_groups=settings.max_groups,
        guess=request.group_by is None and _rows(request) <= LOOKED_AT,
    )
    options, problem = plan.task.options, plan.task.problem
    if request.group_by is None:
        _check_domain(plan)
    elif request.confidence_interval.method == "profile":
        raise InvalidRequest(
            "profile intervals are not reckoned group by group; use the method 't'",
            pointer="/confidence_interval/method",
        )
    if options.epochs > settings.max_epochs:
        raise BudgetExceeded(
            f"{options.epochs:,} epochs are more than the {settings.max_epochs:,} allowed",
            pointer="/epochs",
        )
    operations = problem.formula.operations
    cost = float(options.epochs) * problem.rows * operations
    if cost > settings.max_operations:
        most = int(settings.max_operations / (problem.rows * operations))
        raise BudgetExceeded(
            f"{options.epochs:,} epochs × {problem.rows:,} rows × {operations} operations are "
            f"{cost:.2g}, more than the {settings.max_operations:.2g} that one fit may cost; at "
            f"most {most:,} epochs fit",
            pointer="/epochs",
        )
    profile = PROFILE_STEPS * len(problem.free_params) * float(problem.rows) * operations
    if (
        request.confidence_interval.method == "profile"
        and profile > settings.max_profile_operations
    ):
        raise BudgetExceeded(
            f"profile intervals would cost about {profile:.2g} operations, more than the "
            f"{settings.max_profile_operations:.2g} allowed; use the method 't'",
            pointer="/confidence_interval/method",
        )
    if request.time_limit_s is not None and request.time_limit_s > settings.max_time_limit_s:
        raise BudgetExceeded(
            f"time_limit_s is at most {settings.max_time_limit_s:g}", pointer="/time_limit_s"
        )
    return plan


def _rows(request: FitRequest) -> int:
    return max(map(len, request.data.values()), default=0)


def _check_domain(plan: Plan) -> None:
    """Raises InvalidData where the formula is not finite in some row whatever its params."""
    problem, formula = plan.task.problem, plan.task.problem.formula
    if not isinstance(formula, Formula) or not formula.program.early:
        return
    bound = formula.bind(problem.columns, problem.rows, problem.target)
    rows = (~torch.isfinite(bound.predict(problem.initial))).nonzero().flatten()
    found = fault(formula.tape, problem.columns, problem.target, rows) if len(rows) else None
    if found is not None:
        text, row = found
        name = next((n for n in formula.inputs if n in text), formula.inputs[0])
        values = ", ".join(f"{n} = {float(plan.raw[n][row]):g}" for n in formula.inputs)
        raise InvalidData(
            f"'{text}' is not finite in row {row + 1} ({values}), whatever the params",
            pointer=f"/data/{escape(name)}/{row}",
        )


def to_plan(
    request: FitRequest, *, max_rows: int = 2**62, max_groups: int = 2**62, guess: bool = True
) -> Plan:
    """The plan of a request. Raises InvalidRequest, with pointers. Without `guess` it is for a look
    alone: the guesses of initial values are left out."""
    check_shape(request.data, max_rows)
    resolved = resolve(request.model, usable(request))
    formula = resolved.formula
    used = [*formula.inputs, *formula.target_columns]
    request, dropped = without_missing(request, used)
    rows = len(next(iter(request.data.values())))
    groups = None
    if request.group_by is not None:
        groups = to_groups(request.group_by, request.data, max_groups)
    raw = finite_columns(request.data, formula.inputs)
    target = explained(formula, request.data, rows)
    if not formula.params:
        raise InvalidFormula(
            "the formula has no param to fit; every name in it is a column", pointer="/model"
        )
    spec = request.scaling
    if spec is None and isinstance(formula, Network):
        spec = "standardize"
    scaling = to_scaling(spec, raw)
    inputs = {name: scaling[name].apply(x) if name in scaling else x for name, x in raw.items()}
    start = _start(request, resolved, target)
    dtype = DTYPES[request.dtype]
    sigma = to_sigma(request.sigma, request.data, rows)
    problem = Problem(
        formula=formula,
        columns={name: narrowed(column, dtype, name) for name, column in inputs.items()},
        target=narrowed(target, dtype, formula.target_columns[0]),
        initial=start.initial.to(dtype),
        lower=start.lower.to(dtype),
        upper=start.upper.to(dtype),
        free=start.free,
        loss=to_loss(request.loss),
        sigma=None if sigma is None else narrowed_sigma(sigma, dtype),
        sigma_absolute=request.sigma_absolute,
    )
    options = to_options(request, problem)
    needed = guess and start.guessed and options.optimizer != "exact"
    if isinstance(formula, Formula) and resolved.family is None and options.optimizer in SEARCHING:
        positions = tuple(formula.params.index(name) for name in start.guessed)
        options = replace(options, search=positions)
    elif needed and resolved.family is not None and groups is None:
        problem = replace(problem, initial=_guessed(problem, start, resolved, inputs, target))
    guessed = start.guessed if isinstance(formula, Formula) else ()
    plan = Plan(request, Task(problem, options), raw, scaling, guessed, dropped)
    if groups is None or request.group_by is None:
        return plan
    grouped = to_grouped_task(
        plan.task,
        groups,
        guess=resolved.family if needed else None,
        given={name: name not in start.guessed for name in formula.params},
        history=request.group_by.history,
    )
    return replace(plan, groups=groups, grouped=grouped)


def usable(request: FitRequest) -> list[str]:
    """The columns that a model may use: for a family those of numbers that tell no groups apart; a
    formula says itself which it means."""
    by = None if request.group_by is None else request.group_by.column
    if isinstance(request.model, str) and request.model.strip() not in (*FAMILIES, "mlp"):
        return list(request.data)
    return [n for n, c in request.data.items() if n != by and not isinstance(c, Labels)]


def without_missing(request: FitRequest, used: list[str]) -> tuple[FitRequest, tuple[int, ...]]:
    """The request without the rows in which a used column has no value, where it asks for that."""
    if request.missing == "error":
        return request, ()
    if isinstance(request.sigma, str) and request.sigma in request.data:
        used = [*used, request.sigma]
    missing = np.zeros(len(next(iter(request.data.values()))), dtype=bool)
    for name in used:
        missing |= np.isnan(numbers(request.data, name))
    dropped = np.flatnonzero(missing)
    if not dropped.size:
        return request, ()
    if dropped.size == missing.size:
        raise InvalidData("every row has a missing value", pointer="/data")
    data = {name: column[~missing] for name, column in request.data.items()}
    sigma = request.sigma
    if isinstance(sigma, list) and len(sigma) == missing.size:
        sigma = [value for value, gone in zip(sigma, missing, strict=True) if not gone]
    kept = request.model_copy(update={"data": data, "sigma": sigma})
    return kept, tuple(dropped.tolist())


def narrowed(column: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """A column in the precision of the fit. Raises InvalidData where it does not fit in."""
    narrow = column.to(dtype)
    if not is_finite(narrow):
        row = first_bad(narrow)
        raise InvalidData(
            f"column '{name}', row {row + 1} is {float(column[row]):g} once scaled, which is "
            f"beyond {str(dtype).removeprefix('torch.')}",
            pointer=f"/data/{escape(name)}/{row}",
        )
    return narrow


def narrowed_sigma(sigma: Tensor, dtype: torch.dtype) -> Tensor:
    """Sigma in the precision of the fit. Raises InvalidData where one cannot be divided by."""
    narrow = sigma.to(dtype)
    if not (is_finite(narrow) and is_finite(1 / narrow)):
        row = first_bad(narrow + 1 / narrow)
        raise InvalidData(
            f"sigma is {float(sigma[row]):g} in row {row + 1}, too small or too "
            f"large to divide by in {str(dtype).removeprefix('torch.')}",
            pointer="/sigma",
        )
    return narrow


def explained(formula: Model, data: Data, rows: int) -> Tensor:
    """The values of the left side, (rows,) float64. Raises InvalidData where one is not finite."""
    columns = finite_columns(data, formula.target_columns)
    target = formula.explained(columns, _ZERO).expand(rows)
    if not is_finite(target):
        row = first_bad(target)
        values = ", ".join(f"{name} = {float(column[row]):g}" for name, column in columns.items())
        raise InvalidData(
            f"the left side '{formula.target}' is not finite in row {row + 1} ({values})",
            pointer=f"/data/{escape(formula.target_columns[0])}/{row}",
        )
    return target


def to_scaling(spec: ScalingRequest | None, raw: Mapping[str, Tensor]) -> dict[str, Scale]:
    """The scaling of each input that has one."""
    if spec is None:
        return {}
    if isinstance(spec, str):
        try:
            return {name: METHODS[spec](name, column) for name, column in raw.items()}
        except InvalidData as error:
            raise error.at("/scaling") from None
    for name, scale in spec.items():
        if name not in raw:
            raise UnknownName("input", name, raw, pointer=f"/scaling/{escape(name)}")
        if scale.scale == 0.0:
            raise InvalidRequest(
                "a scale of 0 forgets the input", pointer=f"/scaling/{escape(name)}/scale"
            )
    return {name: Scale(scale.scale, scale.offset) for name, scale in spec.items()}


def to_sigma(sigma: Sigma, data: Data, rows: int) -> Tensor | None:
    """σ of each row, (rows,) float64."""
    if sigma is None:
        return None
    if isinstance(sigma, str):
        if sigma not in data:
            raise UnknownName("column", sigma, data, pointer="/sigma")
        column = finite_columns(data, [sigma])[sigma]
        bad = (column <= 0).nonzero().flatten()
        if len(bad):
            raise InvalidData(
                f"sigma '{sigma}' is not above 0 in row {int(bad[0]) + 1}",
                pointer=f"/data/{escape(sigma)}/{int(bad[0])}",
            )
        return column
    if isinstance(sigma, list):
        if len(sigma) != rows:
            raise InvalidData(f"sigma has {len(sigma)} values for {rows} rows", pointer="/sigma")
        return torch.tensor(sigma, dtype=torch.float64)
    return torch.full((rows,), float(sigma), dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class _Start:
    initial: Tensor
    lower: Tensor
    upper: Tensor
    free: tuple[bool, ...]
    guessed: tuple[str, ...]


def _start(request: FitRequest, resolved: Resolved, target: Tensor) -> _Start:
    """Initial values and limits: as given, else 1, or drawn for a network."""
    given, names = request.params, resolved.formula.params
    known_names(given, names)
    params = {name: _param(given.get(name)) for name in names}
    guessed = tuple(name for name in names if params[name].value is None)
    guesses = dict.fromkeys(names, 1.0)
    if isinstance(resolved.formula, Network):
        drawn = resolved.formula.initial(target, request.seed).tolist()
        guesses = dict(zip(names, drawn, strict=True))
    values, lower, upper = [], [], []
    for name, param in params.items():
        low = float("-inf") if param.min is None else param.min
        high = float("inf") if param.max is None else param.max
        values.append(_value(name, param, low, high, guesses[name]))
        lower.append(low)
        upper.append(high)
    return _Start(
        torch.from_numpy(np.array(values)),
        torch.from_numpy(np.array(lower)),
        torch.from_numpy(np.array(upper)),
        tuple(not param.fixed for param in params.values()),
        guessed,
    )


def known_names(given: Iterable[str], names: Collection[str], pointer: str = "/params") -> None:
    """Raises UnknownName for a param that the formula lacks."""
    for name in given:
        if name not in names:
            raise UnknownName("param", name, names, pointer=f"{pointer}/{escape(name)}")


def _param(given: float | Param | None) -> Param:
    if isinstance(given, Param):
        return given
    return _GUESS if given is None else Param(value=float(given))


def _value(name: str, param: Param, low: float, high: float, guess: float) -> float:
    at = f"/params/{escape(name)}"
    if low > high or (low == high and not param.fixed):
        raise InvalidRequest(
            f"'{name}' has min {low:g} and max {high:g}; min must be below max, or fix the param",
            pointer=at,
        )
    if param.value is None:
        if param.fixed:
            raise InvalidRequest(f"'{name}' is fixed, but has no value", pointer=f"{at}/value")
        return min(max(guess, low), high)
    if not low <= param.value <= high:
        raise InvalidRequest(
            f"'{name}' starts at {param.value:g}, outside its limits {low:g} to {high:g}",
            pointer=f"{at}/value",
        )
    return float(param.value)


def _guessed(
    problem: Problem,
    start: _Start,
    resolved: Resolved,
    inputs: Mapping[str, Tensor],
    target: Tensor,
) -> Tensor:
    """The start with the family's guesses in place of what was not given; long data are thinned."""
    assert resolved.family is not None
    every = slice(None, None, -(-len(target) // MOST_GUESSED))
    thinned = {name: column[every] for name, column in inputs.items()}
    guesses = _guess(resolved, resolved.family, thinned, target[every])
    values = [
        guesses[name] if name in start.guessed else value
        for name, value in zip(problem.params, start.initial.tolist(), strict=True)
    ]
    initial = torch.from_numpy(np.array(values)).to(problem.initial.dtype)
    return torch.minimum(torch.maximum(initial, problem.lower), problem.upper)


def _guess(
    resolved: Resolved, family: Family, inputs: Mapping[str, Tensor], target: Tensor
) -> dict[str, float]:
    names, guess = resolved.formula.params, None
    if isinstance(resolved.formula, Formula):
        guess = least_squares(resolved.formula, inputs, target)
    if guess is None:
        x = next(iter(inputs.values()), torch.zeros_like(target))
        names = tuple(family.params)
        guess = family.guess(x.unsqueeze(0), target.unsqueeze(0))[0].tolist()
    return {
        name: value if math.isfinite(value) else 1.0
        for name, value in zip(names, guess, strict=True)
    }
