"""The start of a fit: as given, guessed by the model's family, or drawn for a network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.catalogue.families import Family
from service.engine.formula import Formula
from service.engine.models import guess
from service.engine.models.mlp import Network
from service.engine.problem import Model, Problem, Task
from service.engine.scaled_start import Given, scaled_start
from service.engine.scaling import Scaling
from service.engine.solvers.exact import least_squares
from service.errors import InvalidRequest, UnknownName, token
from service.fitting.likelihoods import WIDTH
from service.fitting.models import Resolved
from service.fitting.ties import own_values, texts_of
from service.schemas.fit import FitRequest
from service.schemas.options import Param, Tied

MOST_GUESSED = 2**16
"""Maximum rows that a guess is computed from."""

_GUESS = Param()


@dataclass(frozen=True, slots=True)
class Start:
    """Initial values and bounds in raw units, (params,) float64 each, and the params without a
    given value."""

    initial: Tensor
    lower: Tensor
    upper: Tensor
    free: tuple[bool, ...]
    guessed: tuple[str, ...]


def to_start(request: FitRequest, resolved: Resolved, target: Tensor) -> Start:
    """Initial values and bounds: as given; else 1, or drawn for a network."""
    names, tied = resolved.formula.params, texts_of(resolved.formula)
    given = {name: param for name, param in request.params.items() if name not in tied}
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
    return Start(
        torch.from_numpy(np.array(values)),
        torch.from_numpy(np.array(lower)),
        torch.from_numpy(np.array(upper)),
        tuple(not param.fixed for param in params.values()),
        guessed,
    )


def of_scaled(
    problem: Problem, raw: Mapping[str, Tensor], scaling: Scaling, start: Start
) -> Problem:
    """The problem with scaled inputs, with the start converted from raw units. Raises
    InvalidRequest for values that cannot be converted: see `engine.scaled_start`."""
    values, lower, upper = (each.numpy() for each in (start.initial, start.lower, start.upper))
    guessed = frozenset(start.guessed)
    known = np.array([name not in guessed for name in problem.params], dtype=np.bool_)
    given = Given(values, lower, upper, known, ~np.array(start.free, dtype=np.bool_))
    found = scaled_start(problem, raw, scaling, given)
    if found is given:
        return problem
    dtype = problem.initial.dtype
    return replace(
        problem,
        initial=torch.from_numpy(found.values).to(dtype),
        lower=torch.from_numpy(found.lower).to(dtype),
        upper=torch.from_numpy(found.upper).to(dtype),
    )


def known_names(given: Iterable[str], names: Collection[str], pointer: str = "/params") -> None:
    """Raises UnknownName for a param that the formula lacks."""
    known = frozenset(names)
    for name in given:
        if name not in known:
            raise UnknownName("param", name, names, pointer=f"{pointer}/{token(name)}")


def to_theta(given: Mapping[str, float | Tied], formula: Model, dtype: torch.dtype) -> Tensor:
    """The params in the order of the formula, (params,). Raises InvalidRequest for an unknown or
    missing one."""
    return torch.tensor(values_of(given, formula), dtype=dtype)


def values_of(params: Mapping[str, float | Tied], formula: Model) -> list[float]:
    """θ in the order of the formula's params. Raises UnknownName or InvalidRequest."""
    given = own_values(params)
    known_names(given, formula.params)
    missing = [name for name in formula.params if name not in given]
    if missing:
        raise InvalidRequest(
            f"`params` has no value for {', '.join(missing)} (names in the formula that are not "
            "columns of the data are params)",
            pointer="/params",
        )
    return [given[name] for name in formula.params]


def _param(given: float | Param | None) -> Param:
    if isinstance(given, Param):
        return given
    return _GUESS if given is None else Param(value=float(given))


def _value(name: str, param: Param, low: float, high: float, guess: float) -> float:
    at = f"/params/{token(name)}"
    if low > high or (low == high and not param.fixed):
        raise InvalidRequest(
            f"'{name}' has min {low:g} and max {high:g}; `min` must be below `max`, or the param "
            "fixed",
            pointer=at,
        )
    if param.value is None:
        if param.fixed:
            raise InvalidRequest(f"'{name}' is fixed, but has no value", pointer=f"{at}/value")
        return min(max(guess, low), high)
    if not low <= param.value <= high:
        raise InvalidRequest(
            f"the initial value {param.value:g} of '{name}' is outside its bounds, {low:g} to "
            f"{high:g}",
            pointer=f"{at}/value",
        )
    return float(param.value)


def guessed(task: Task, family: Family, names: Collection[str]) -> Task:
    """The task with the family's guesses for those params."""
    problem, fits = task.problem, task.fits
    chosen = torch.tensor([i for i, name in enumerate(problem.params) if name in names])
    initial = fits.initial.clone()
    limits = problem.lower.cpu(), problem.upper.cpu()
    for at in fits.alike():
        found = torch.clamp(_guesses(task, family, at).to(initial.dtype), *limits)
        found = found.nan_to_num(nan=1.0, posinf=1.0, neginf=1.0)
        initial[at.unsqueeze(-1), chosen] = found[:, chosen]
    return task.starting(initial)


def _guesses(task: Task, family: Family, at: Tensor) -> Tensor:
    """The guesses for fits with about the same number of rows, (fits, params) float64. Longer fits
    are thinned to the number of rows of the shortest."""
    problem, fits = task.problem, task.fits.at(at)
    width = min(int(fits.sizes.min()), MOST_GUESSED)
    rows = fits.spans[0].unsqueeze(-1) + torch.arange(width) * fits.sizes.unsqueeze(-1) // width
    columns = {name: column.cpu()[rows].double() for name, column in problem.columns.items()}
    y = problem.target.cpu()[rows].double()
    if len(at) == 1 and isinstance(problem.formula, Formula):
        alone = {name: column[0] for name, column in columns.items()}
        solved = least_squares(problem.formula, alone, y[0])
        if solved is not None:
            return torch.tensor([solved], dtype=torch.float64)
    x = columns.get(next(iter(problem.formula.inputs), ""), torch.zeros_like(y))
    found = guess(family, x, y / columns[WIDTH] if WIDTH in columns else y)
    return found[:, [list(family.params).index(name) for name in problem.params]]
