"""The standard curve of a request to /invert: of the request's own fit, of a job, or one for each
group of a job."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from service.catalogue.families import FAMILIES
from service.engine.formula import CONSTANTS, Formula, formula_names
from service.engine.inference.distributions import t_quantile
from service.engine.inference.standard_curves import Range, StandardCurves
from service.engine.inference.statistics import summarise_fits
from service.engine.kernel.types import Floats
from service.errors import InvalidFormula, InvalidRequest, UnknownName
from service.fitting import costs
from service.fitting.answer import NORMAL, input_range
from service.fitting.compute import to_theta
from service.fitting.grouped_predict import Curves
from service.fitting.models import resolve
from service.fitting.plan import to_plan
from service.fitting.start import known_names
from service.fitting.values import to_scaling
from service.schemas.fit import FitRequest
from service.schemas.models import MlpModel, NamedModel
from service.schemas.unknowns import InvertRequest


@dataclass(frozen=True, eq=False)
class Standard:
    """A curve, or one for each group, with what its fit says about noise."""

    curves: StandardCurves
    residual_std: Floats | None
    """The standard deviation of a reading, (curves,); None where `sigma` gives it."""
    sigma_scale: Floats | None
    """The same in units of `sigma`; None for fits without sigma."""
    degrees_of_freedom: int | None
    """None for groups, which have their own, or if unknown."""
    input_range: Mapping[str, Sequence[float]]

    def known(self, name: str) -> Range | None:
        """The range of an input that the curves were fitted to; None if unknown."""
        found = self.input_range.get(name)
        return None if found is None else (found[0], found[1])


def of_request(request: InvertRequest, level: float) -> Standard:
    """The curve of the request itself. Raises InvalidRequest."""
    if request.params is None:
        raise InvalidRequest("`params` are required without `job_id`", pointer="/params")
    formula = _formula(request)
    name = _solved_for(formula, request)
    free, covariance = _covariance(request, formula)
    degrees = request.degrees_of_freedom
    unscaled = dict.fromkeys(formula.inputs, torch.zeros(0))
    if isinstance(request.scaling, str):
        raise InvalidRequest(
            f"'{request.scaling}' would scale according to these data, not those of the fit; give "
            "the scale and offset of the fit (they are in its `predict`)",
            pointer="/scaling",
        )
    for given, (low, high) in (request.input_range or {}).items():
        if low > high:
            raise InvalidRequest("the smallest value comes first", pointer=f"/input_range/{given}")
    curves = StandardCurves(
        formula,
        name,
        to_scaling(request.scaling, unscaled),
        to_theta(request.params, formula, torch.float64).numpy()[None],
        free,
        covariance,
        np.array([t_quantile(0.5 + level / 2, float(degrees)) if degrees else math.nan]),
    )
    return Standard(
        curves,
        _each(request.residual_std),
        _each(request.sigma_scale),
        degrees,
        request.input_range or {},
    )


def of_groups(
    request: InvertRequest, fit: Curves, fitted: FitRequest, level: float, most: float
) -> Standard:
    """The curve of each group of a finished job, with covariances computed from its data. Raises
    InvalidRequest."""
    plan = to_plan(fitted)
    task = plan.task.double()
    problem, fits = task.problem, task.fits
    formula = problem.formula
    if not isinstance(formula, Formula):
        raise _network()
    costs.check(costs.Cost(1, formula.operations, "/job_id", "fit"), problem.rows, most)
    theta = fit.theta[:, [fit.names.index(name) for name in formula.params]]
    figures = summarise_fits(problem, fits, torch.from_numpy(theta))
    degrees = np.full(len(fits), math.inf)
    if not problem.sigma_absolute:
        degrees = figures.degrees_of_freedom.astype(np.float64)
    covariance: Floats | None = figures.covariance
    if figures.stderr.shape[-1] != len(problem.free_params) or not problem.loss.is_least_squares:
        covariance = None
    noise, sigma = figures.noise, fitted.sigma
    curves = StandardCurves(
        formula,
        _solved_for(formula, request),
        plan.scaling,
        theta,
        tuple(problem.places.tolist()),
        covariance,
        np.array([t_quantile(0.5 + level / 2, d) if d > 0 else math.nan for d in degrees]),
    )
    return Standard(
        curves,
        noise if sigma is None else noise * sigma if isinstance(sigma, float) else None,
        None if sigma is None else noise,
        NORMAL if problem.sigma_absolute else None,
        input_range(plan) or {},
    )


def _each(value: float | None) -> Floats | None:
    return None if value is None else np.array([value])


def _formula(request: InvertRequest) -> Formula:
    """The formula, whose inputs are its names that are no params."""
    model, known = request.model, frozenset(request.params or ())
    columns = {name for name in request.data if name not in known}
    if isinstance(model, MlpModel) or model == "mlp":
        raise _network()
    if isinstance(model, str) and model.strip() in FAMILIES:
        model = NamedModel.model_validate({"name": model.strip()})
    if isinstance(model, NamedModel):
        inputs = model.inputs or [request.solve_for or "x"]
        columns = {*inputs, model.target or "y"}
    else:
        try:
            columns |= formula_names(model) - known - CONSTANTS.keys()
        except InvalidFormula as error:
            raise error.at("/model") from None
    formula = resolve(model, columns, known).formula
    assert isinstance(formula, Formula)
    return formula


def _network() -> InvalidRequest:
    return InvalidRequest(
        "unknowns are read back from a formula or a family of the catalogue, not from a network",
        pointer="/model",
    )


def _solved_for(formula: Formula, request: InvertRequest) -> str:
    """The input to solve for. Raises InvalidRequest."""
    inputs, asked = formula.inputs, request.solve_for
    if asked is not None:
        if asked not in inputs:
            raise UnknownName("input", asked, inputs, pointer="/solve_for")
        return asked
    if not inputs:
        raise InvalidRequest("the formula has no input to solve for", pointer="/model")
    left = inputs if len(inputs) == 1 else [name for name in inputs if name not in request.data]
    if len(left) != 1:
        raise InvalidRequest(
            f"the formula has the inputs {', '.join(inputs)}: name the one to solve for in "
            "`solve_for`, and send the others in `data`",
            pointer="/solve_for",
        )
    return left[0]


def _covariance(request: InvertRequest, formula: Formula) -> tuple[tuple[int, ...], Floats | None]:
    """The positions of the free params, and their covariance, (1, q, q). Raises InvalidRequest."""
    if request.covariance is None or request.degrees_of_freedom is None:
        return (), None
    free = list(request.covariance)
    known_names(free, formula.params, pointer="/covariance")
    if any(list(row) != free for row in request.covariance.values()):
        raise InvalidRequest(
            "all rows of `covariance` must have the same params in the same order",
            pointer="/covariance",
        )
    matrix = np.array([list(row.values()) for row in request.covariance.values()])
    places = tuple(formula.params.index(name) for name in free)
    return places, matrix.reshape(1, len(free), len(free))
