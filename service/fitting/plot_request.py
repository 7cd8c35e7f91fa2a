"""Validates a plot request and selects the rows to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.problem import Model, Problem
from service.engine.scaling import Scale
from service.errors import InvalidData, InvalidRequest
from service.fitting.columns import check_shape, numbers, refuse_infinite
from service.fitting.models import resolve
from service.fitting.options import to_loss
from service.fitting.row_filter import with_rows
from service.fitting.start import to_theta
from service.fitting.ties import own_values, ties_of
from service.fitting.values import explained, to_scaling, to_sigma
from service.schemas import models as wire
from service.schemas.columns import Numbers
from service.schemas.options import Scale as ScaleRequest
from service.schemas.plot import PlotRequest
from service.schemas.scenes import Quantity

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Looked:
    """Selected rows of a plot request, all finite; float64."""

    request: PlotRequest
    formula: Model
    theta: Tensor
    raw: Mapping[str, Tensor]
    """The inputs before scaling."""
    scaling: Mapping[str, Scale]
    target: Tensor
    sigma: Tensor | None
    rows: int
    """Number of rows of the request without missing values."""
    notes: tuple[str, ...]

    @property
    def model(self) -> str | wire.MlpModel:
        """The model, as in a request, with its columns named."""
        if isinstance(self.formula, Formula):
            return self.formula.text
        assert isinstance(self.request.model, wire.MlpModel)
        named = {"inputs": list(self.formula.inputs), "target": self.formula.target}
        return self.request.model.model_copy(update=named)

    @property
    def scales(self) -> dict[str, ScaleRequest] | None:
        """The scaling, as in a request."""
        return {
            name: ScaleRequest(scale=s.scale, offset=s.offset) for name, s in self.scaling.items()
        } or None

    def problem(self) -> Problem:
        """The problem of these rows, at the given params."""
        columns = {
            name: self.scaling[name].apply(column) if name in self.scaling else column
            for name, column in self.raw.items()
        }
        limits = torch.full_like(self.theta, torch.inf)
        return Problem(
            formula=self.formula,
            columns=columns,
            target=self.target,
            initial=self.theta,
            lower=-limits,
            upper=limits,
            free=(True,) * len(self.formula.params),
            loss=to_loss(self.request.loss),
            sigma=self.sigma,
        )

    def predict(self) -> Numbers:
        """The prediction of each row."""
        problem = self.problem()
        bound = problem.formula.bind(problem.columns, problem.rows, self.theta)
        predicted: Numbers = bound.predict(self.theta).numpy()
        return predicted

    def quantity(self, name: str) -> Quantity:
        """A column or a param, with its unit if known."""
        return Quantity(name, (self.request.units or {}).get(name))

    @property
    def title(self) -> str:
        return self.formula.text if self.request.title is None else self.request.title


def look(request: PlotRequest, most: int, max_rows: int = 2**62) -> Looked:
    """At most `most` rows without missing values, evenly chosen. Raises InvalidRequest."""
    request = with_rows(request)
    data = needed(request.data, "data", request.view)
    params = needed(request.params, "params", request.view)
    bad = [name for name, value in own_values(params).items() if not math.isfinite(value)]
    if bad:  # as those of a job may be
        raise InvalidRequest(f"these params are not finite: {', '.join(bad)}", pointer="/params")
    rows = check_shape(data, max_rows)
    formula = resolve(request.model, data.keys(), ties=ties_of(params)).formula
    used = [*formula.inputs, *formula.target_columns]
    there = np.ones(rows, dtype=bool)
    for name in used:
        there &= ~np.isnan(numbers(data, name))
    whole = np.flatnonzero(there)
    if not whole.size:
        raise InvalidData("every row has a missing value", pointer="/data")
    for name in used:
        refuse_infinite(data, name)
    scaling = to_scaling(
        request.scaling, {n: _tensor(numbers(data, n)[whole]) for n in formula.inputs}
    )
    chosen = whole[evenly(whole.size, most)]
    some = {name: numbers(data, name)[chosen] for name in used}
    sigma = to_sigma(request.sigma, data, rows) if request.sigma is not None else None
    return Looked(
        request=request,
        formula=formula,
        theta=to_theta(params, formula, torch.float64),
        raw={name: _tensor(some[name]) for name in formula.inputs},
        scaling=scaling,
        target=explained(formula, {**some}, chosen.size),
        sigma=None if sigma is None else sigma[torch.from_numpy(chosen)],
        rows=int(whole.size),
        notes=_dropped(rows - whole.size),
    )


def needed(value: T | None, name: str, view: str) -> T:
    """The value of a field. Raises InvalidRequest if it is missing."""
    if value is None:
        raise InvalidRequest(f"the view '{view}' requires `{name}`", pointer=f"/{name}")
    return value


def evenly(count: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """At most `most` evenly spaced indices below `count`, including the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))


def drawn_of(drawn: int, rows: int) -> tuple[str, ...]:
    """A note if not every row is drawn."""
    return (f"{drawn:,} of {rows:,} rows are drawn",) if drawn < rows else ()


def _tensor(column: Numbers) -> Tensor:
    return torch.from_numpy(np.array(column, dtype=np.float64))


def _dropped(count: int) -> tuple[str, ...]:
    return (f"{count:,} rows with missing values are omitted",) if count else ()
