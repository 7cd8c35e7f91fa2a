"""The standard curve of a request to /invert: of the request's own fit, of a job, or one for each
group of a job."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from service.catalogue.families import FAMILIES
from service.engine.formula import Formula, formula_names
from service.engine.inference.distributions import t_quantile
from service.engine.inference.standard_curves import Range, StandardCurves
from service.engine.kernel.types import Floats
from service.engine.names import CONSTANTS
from service.engine.scaling import Scale
from service.errors import InvalidFormula, InvalidRequest, UnknownName
from service.fitting.covariances import to_covariance
from service.fitting.grouped_curves import Curves
from service.fitting.models import resolve
from service.fitting.predict_body import NORMAL
from service.fitting.reports import quantiles
from service.fitting.start import to_theta
from service.fitting.ties import ties_of
from service.fitting.values import to_scaling
from service.schemas.models import MlpModel, NamedModel
from service.schemas.models import Model as ModelRequest
from service.schemas.options import Tied
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
    noise: str | None = None
    """`sigma` of a reading as an expression,"""
    noise_names: tuple[str, ...] = ()
    """and the params of that,"""
    noise_values: Floats | None = None
    """(curves, params)"""

    def known(self, name: str) -> Range | None:
        """The range of an input that the curves were fitted to; None if unknown."""
        found = self.input_range.get(name)
        return None if found is None else (found[0], found[1])


def of_request(request: InvertRequest, level: float) -> Standard:
    """The curve of the request itself. Raises InvalidRequest."""
    if request.params is None:
        raise InvalidRequest("`params` are required without `job_id`", pointer="/params")
    formula = _formula(request, request.params)
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
        *_noise(request),
    )


def of_groups(request: InvertRequest, fit: Curves, sigma: object, level: float) -> Standard:
    """The curve of each group of a finished job, which was fitted with that sigma. Raises
    InvalidRequest."""
    formula = fit.formula(_columns(request, fit.model, frozenset(fit.names)))
    if not isinstance(formula, Formula):
        raise _network()
    degrees = fit.degrees_of_freedom
    kinds, which = np.unique(np.zeros(1) if degrees is None else degrees, return_inverse=True)
    t = np.array([quantiles(level, kind) if kind > 0 else math.nan for kind in kinds.tolist()])
    curves = StandardCurves(
        formula,
        _solved_for(formula, request),
        {name: Scale(**given) for name, given in (fit.scaling or {}).items()},
        fit.theta[:, [fit.names.index(name) for name in formula.params]],
        tuple(formula.params.index(name) for name in fit.free),
        fit.covariance,
        np.broadcast_to(t[which.reshape(-1)], len(fit.theta)),
    )
    residual_std = fit.residual_std
    if isinstance(sigma, float) and fit.sigma_scale is not None:
        residual_std = fit.sigma_scale * sigma
    is_normal = degrees is not None and bool(np.isinf(degrees).all())
    return Standard(
        curves,
        residual_std,
        fit.sigma_scale,
        NORMAL if is_normal else None,
        fit.input_range or {},
        fit.noise,
        fit.noise_names,
        fit.noise_values,
    )


def _noise(request: InvertRequest) -> tuple[str | None, tuple[str, ...], Floats | None]:
    known = request.noise
    if known is None:
        return None, (), None
    return known.expr, tuple(known.params), np.array([list(known.params.values())])


def _each(value: float | None) -> Floats | None:
    return None if value is None else np.array([value])


def _formula(request: InvertRequest, params: Mapping[str, float | Tied]) -> Formula:
    """The formula, whose inputs are its names that are no params."""
    known, model = frozenset(params), request.model
    columns = _columns(request, model, known)
    formula = resolve(model, columns, known, ties_of(params)).formula
    assert isinstance(formula, Formula)
    return formula


def _columns(
    request: InvertRequest, model: ModelRequest | dict[str, Any], params: Set[str]
) -> set[str]:
    """The columns of the data, and those that the model uses besides them."""
    if isinstance(model, MlpModel | dict) or model == "mlp":
        raise _network()
    if isinstance(model, str) and model.strip() in FAMILIES:
        model = NamedModel.model_validate({"name": model.strip()})
    if isinstance(model, NamedModel):
        inputs = model.inputs or [request.solve_for or "x"]
        return {*inputs, model.target or "y"}
    columns = {name for name in request.data if name not in params}
    try:
        return columns | (formula_names(model) - params - CONSTANTS.keys())
    except InvalidFormula as error:
        raise error.at("/model") from None


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
    free, matrix = to_covariance(request.covariance, formula.params)
    return tuple(formula.params.index(name) for name in free), matrix[None]
