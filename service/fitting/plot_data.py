"""The rows of a plot request that are drawn, with what pictures need of the engine: predictions,
losses and curves of losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.catalogue.losses import LOSSES
from service.engine import begin, outcome
from service.engine.formula import Formula
from service.engine.objectives.objective import Objective
from service.engine.objectives.points import losses_at
from service.engine.problem import Model, Problem
from service.engine.scaling import Scale
from service.errors import InvalidData, InvalidRequest
from service.fitting.columns import check_shape, numbers, refuse_infinite
from service.fitting.errors_in_x import DISTANCE, spread_columns, to_sigma_x
from service.fitting.models import is_over_dose, resolve
from service.fitting.options import to_loss
from service.fitting.plan import to_plan
from service.fitting.row_filter import with_rows
from service.fitting.start import to_theta
from service.fitting.ties import own_values, ties_of
from service.fitting.values import explained, to_scaling, to_sigma
from service.schemas import models as wire
from service.schemas.columns import Data, Numbers
from service.schemas.fit import FitRequest
from service.schemas.options import Param, Tied
from service.schemas.options import Scale as ScaleRequest
from service.schemas.plot import PlotRequest

MOST_POINTS = 1_000
"""Maximum points of one picture; more would make an SVG of megabytes."""
OPERATIONS = 3e8
"""Budget of a surface: points × rows × operations of the formula; about half a second."""
FEWEST_ROWS = 50
SEARCH_EPOCHS = 100
_SEED = 20
Places = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True, slots=True)
class PlotData:
    """Selected rows of a plot request, all finite; float64."""

    request: PlotRequest
    formula: Model
    theta: Tensor
    raw: Mapping[str, Tensor]
    """The inputs before scaling."""
    scaling: Mapping[str, Scale]
    target: Tensor
    sigma: Tensor | None
    sigma_x: Mapping[str, Tensor]
    """The standard deviations of inputs that have errors, before scaling."""
    rows: int
    """Number of rows of the request without missing values."""
    is_dose: bool
    """Whether the model is a family over a dose."""
    places: Places
    """Which of these are selected, in ascending order."""
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
            sigma_x={
                name: spread * abs(self.scaling[name].scale) if name in self.scaling else spread
                for name, spread in self.sigma_x.items()
            },
        )

    def predict(self) -> Numbers:
        """The prediction of each row."""
        problem = self.problem()
        bound = problem.formula.bind(problem.columns, problem.rows, self.theta)
        predicted: Numbers = bound.predict(self.theta).numpy()
        return predicted

    def affordable(self, points: int) -> PlotData:
        """Rows drawn from all of them, as many as the budget of the surface allows."""
        operations = max(self.formula.operations, 1) * (DISTANCE if self.sigma_x else 1)
        most = OPERATIONS / (points * operations)
        rows = self.target.shape[0]
        if rows <= max(most, FEWEST_ROWS):
            return self
        places = sampled(rows, int(max(most, FEWEST_ROWS)))
        chosen = torch.from_numpy(places)
        return replace(
            self,
            places=self.places[places],
            raw={name: column[chosen] for name, column in self.raw.items()},
            target=self.target[chosen],
            sigma=None if self.sigma is None else self.sigma[chosen],
            sigma_x={name: spread[chosen] for name, spread in self.sigma_x.items()},
        )

    def lowest(self, names: tuple[str, ...]) -> Numbers | None:
        """Where the loss is lowest over these params with the others fixed, by a short fit:
        (names,)."""
        if not isinstance(self.formula, Formula) or len(self.formula.target_columns) != 1:
            return None
        given = self.request.params or {}
        name = self.formula.target_columns[0]
        if self.formula.target != name:
            return None
        columns = self.problem().columns  # scaled, as the params are
        request = FitRequest(
            model=self.formula.text,
            data={**{n: x.numpy() for n, x in columns.items()}, name: self.target.numpy()},
            sigma=None if self.sigma is None else self.sigma.tolist(),
            params={
                n: Param(expr=v.expr)
                if isinstance(v, Tied)
                else Param(value=v, fixed=n not in names)
                for n, v in given.items()
            },
            loss=self.request.loss,
            epochs=SEARCH_EPOCHS,
        )
        try:
            run = begin(to_plan(request).task)
            run.step(SEARCH_EPOCHS)
            found = outcome(run)
        except InvalidRequest:
            return None
        where = [float(found.best.params[self.formula.params.index(n)]) for n in names]
        return np.array(where) if np.isfinite(where).all() and found.best.loss >= 0 else None

    def losses(self, names: tuple[str, ...], axes: tuple[Numbers, ...]) -> Numbers:
        problem = self.problem()
        grid = torch.cartesian_prod(*(torch.from_numpy(axis) for axis in axes))
        positions = [problem.params.index(name) for name in names]
        if problem.sigma_x:
            points = np.tile(self.theta.numpy(), (len(grid), 1))
            points[:, positions] = grid.numpy()
            losses: Numbers = losses_at(problem, points)
        else:
            losses = Objective(problem).losses(grid, positions).numpy()
        grid_of: Numbers = losses.reshape([len(axis) for axis in axes])
        return grid_of

    @property
    def title(self) -> str:
        return self.formula.text if self.request.title is None else self.request.title


def select(request: PlotRequest, most: int, max_rows: int = 2**62) -> PlotData:
    """At most `most` rows without missing values, among them those with the smallest and the
    largest value of each column. Raises InvalidRequest."""
    request = with_rows(request)
    data, params = request.data, request.params
    assert data is not None
    assert params is not None
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
    places = _with_extremes([numbers(data, name)[whole] for name in used], whole.size, most)
    chosen = whole[places]
    some = {name: numbers(data, name)[chosen] for name in used}
    sigma = to_sigma(request.sigma, data, rows) if request.sigma is not None else None
    return PlotData(
        request=request,
        formula=formula,
        theta=to_theta(params, formula, torch.float64),
        raw={name: _tensor(some[name]) for name in formula.inputs},
        scaling=scaling,
        target=explained(formula, {**some}, chosen.size),
        sigma=None if sigma is None else sigma[torch.from_numpy(chosen)],
        sigma_x=to_sigma_x(request.sigma_x, _some(request, chosen), formula, {}, chosen.size),
        rows=int(whole.size),
        is_dose=is_over_dose(formula),
        places=places,
        notes=_dropped(rows - whole.size),
    )


def _some(request: PlotRequest, chosen: Places) -> Data:
    """The columns with the standard deviations of inputs, at some of the rows."""
    data = request.data or {}
    return {name: data[name][chosen] for name in spread_columns(request.sigma_x) if name in data}


def evenly(count: int, most: int) -> Places:
    """At most `most` evenly spaced indices below `count`, including the first and the last: for
    what is sorted or a path. For rows see `sampled`."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))


def sampled(count: int, most: int) -> Places:
    """At most `most` indices below `count`: a random one of each of `most` stretches of equal
    length, the same at each call. Every k-th would miss what recurs every k rows."""
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, most + 1).astype(np.intp)
    shares = np.random.default_rng(_SEED).random(most)
    found: Places = edges[:-1] + (shares * np.diff(edges)).astype(np.intp)
    return found


def _with_extremes(columns: Sequence[Numbers], count: int, most: int) -> Places:
    """At most `most` rows, with the smallest and the largest value of each column where they are
    fewer than half of them."""
    if count <= most:
        return np.arange(count)
    ends = np.unique([end for c in columns for end in (int(c.argmin()), int(c.argmax()))])
    if ends.size > most // 2:
        return sampled(count, most)
    return np.union1d(sampled(count, most - ends.size), ends)


def drawn_of(drawn: int, rows: int) -> tuple[str, ...]:
    """A note if not every row is drawn."""
    return (f"{drawn:,} of {rows:,} rows are drawn",) if drawn < rows else ()


def loss_curves(name: str, residual: Numbers) -> tuple[Numbers, Numbers]:
    """ρ(r) and ρ'(r) of the loss of that name, with its default option."""
    loss, r = LOSSES[name], _tensor(residual)
    return loss.rho(r, loss.default).numpy(), loss.psi(r, loss.default).numpy()


def _tensor(column: Numbers) -> Tensor:
    return torch.from_numpy(np.array(column, dtype=np.float64))


def _dropped(count: int) -> tuple[str, ...]:
    return (f"{count:,} rows with missing values are omitted",) if count else ()
