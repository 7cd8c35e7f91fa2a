"""The noise of a request: weights, σ as an expression, and robust scales of the residuals."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from service.catalogue.losses import LOSSES
from service.engine.expressions import read_expression
from service.engine.fit_options import Options
from service.engine.formula import Formula, read_formula
from service.engine.kernel.types import Bools
from service.engine.names import CONSTANTS, leaves
from service.engine.noise import PREDICTION, Noise, NoiseExpression, OutlierTest, ResidualScale
from service.engine.problem import Model
from service.engine.syntax import Tree
from service.errors import InvalidData, InvalidFormula, InvalidRequest, token
from service.fitting.columns import finite_columns, numbers
from service.fitting.values import to_sigma
from service.schemas.columns import Data, Numbers
from service.schemas.fit import FitRequest
from service.schemas.noise import NoiseModel
from service.schemas.numbers import RobustScale

REPEATED = ("exact", "levenberg_marquardt")
"""The solvers whose fits can be repeated until they settle."""


def noise_columns(request: FitRequest) -> list[str]:
    """The columns that σ or the weights are computed from. Raises InvalidFormula."""
    data, sigma, weights = request.data, request.sigma, request.weights
    if isinstance(weights, str):
        return [weights] if weights in data else list(_weight(weights, data).inputs)
    if isinstance(sigma, NoiseModel):
        return [name for name in _expression(sigma, data).inputs if name != PREDICTION]
    return [sigma] if isinstance(sigma, str) and sigma in data else []


def weights_of(request: FitRequest, missing: Bools) -> Numbers | None:
    """The weight of each row, NaN in those where a value is missing; None without weights. Raises
    InvalidData for one that is negative or not finite."""
    given, data = request.weights, request.data
    if given is None:
        return None
    if request.sigma is not None:
        raise InvalidRequest(
            "`weights` are 1/sigma²: give one of the two, and omit the other", pointer="/weights"
        )
    weights, whence, rows = _weights(request), "", len(missing)
    if isinstance(given, str) and given in data:
        whence = f"/data/{token(given)}"
    if len(weights) != rows:
        raise InvalidData(f"{len(weights)} weights for {rows} rows", pointer="/weights")
    weights = np.where(missing, np.nan, weights)
    bad = np.flatnonzero(~missing & ~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        row = int(bad[0])
        raise InvalidData(
            f"the weight of row {row + 1} is {weights[row]:g}; weights are finite and not negative",
            pointer=f"{whence}/{row}" if whence else "/weights",
        )
    if not (weights > 0).any():
        raise InvalidData("no row has a weight above 0", pointer="/weights")
    return weights


def _weights(request: FitRequest) -> Numbers:
    given, data = request.weights, request.data
    if isinstance(given, list):
        return np.array(given, dtype=np.float64)
    assert given is not None
    if given in data:
        return np.asarray(numbers(data, given), dtype=np.float64)
    formula = _weight(given, data)
    rows = len(next(iter(data.values())))
    return _read(formula, {name: np.asarray(numbers(data, name)) for name in formula.inputs}, rows)


def _read(formula: Formula, columns: dict[str, Any], rows: int) -> Numbers:
    """An expression of columns alone, (rows,)."""
    known = {name: torch.from_numpy(np.array(x, dtype=np.float64)) for name, x in columns.items()}
    none = torch.empty(0, dtype=torch.float64)
    found = formula.bind(known, rows, none).predict(none)
    values: Numbers = np.broadcast_to(found.numpy(), (rows,)).copy()
    return values


def _weight(text: str, data: Data) -> Formula:
    """The expression of weights. Raises InvalidFormula."""
    return parsed(text, data, (), "/weights")


def _expression(model: NoiseModel, data: Data) -> Formula:
    """The expression of σ. Raises InvalidFormula."""
    if PREDICTION in data and any(each.name == PREDICTION for each in leaves(_tree(model.expr))):
        raise InvalidData(
            f"'{PREDICTION}' is the prediction in the expression of sigma, and also a column: "
            "rename the column",
            pointer=f"/data/{PREDICTION}",
        )
    taken = {PREDICTION, *data, *CONSTANTS}
    for name in model.estimate:
        if name in taken:
            what = "the prediction" if name == PREDICTION else "a column or a constant"
            raise InvalidRequest(
                f"'{name}' is {what} and cannot be estimated; rename it",
                pointer="/sigma/estimate",
            )
    known = (PREDICTION, *data)
    found = parsed(model.expr, known, tuple(model.estimate), "/sigma/expr")
    for name in model.estimate:
        if name not in found.params:
            raise InvalidRequest(
                f"'{name}' is to be estimated, but the expression of sigma, {model.expr}, does not "
                "have it; add it there, or omit it here",
                pointer="/sigma/estimate",
            )
    return found


def _tree(text: str) -> Tree:
    try:
        return read_expression(text)
    except InvalidFormula as error:
        raise error.at("/sigma/expr") from None


def parsed(text: str, columns: Iterable[str], params: Collection[str], pointer: str) -> Formula:
    """An expression of columns and params, of which there may be no others. Raises InvalidFormula,
    at the pointer."""
    try:
        read_expression(text)
        return read_formula(text, frozenset(columns), frozenset(params))
    except InvalidFormula as error:
        raise error.at(pointer) from None


def to_noise(
    request: FitRequest, model: Model, weights: Numbers | None, rows: int
) -> tuple[Tensor | None, Noise | None]:
    """σ of each row as far as it is known, float64, and what it follows from otherwise. Raises
    InvalidRequest."""
    sigma, data = request.sigma, request.data
    delta = getattr(request.loss, "delta", None)
    scale = ResidualScale(delta.scale) if isinstance(delta, RobustScale) else None
    if weights is not None:
        return torch.from_numpy(1.0 / np.sqrt(weights)), scale
    if not isinstance(sigma, NoiseModel):
        return to_sigma(sigma, data, rows), scale
    formula = _expression(sigma, data)
    own = [name for name in formula.inputs if name != PREDICTION]
    columns = finite_columns(data, own)
    if PREDICTION not in formula.inputs and not formula.params:
        return _static(formula, columns, rows), scale
    if scale is not None:
        raise InvalidRequest(
            "the scale of the residuals is estimated, and so is sigma by its expression; give "
            "`delta` as a number, in units of sigma",
            pointer="/loss/delta",
        )
    if formula.params and not LOSSES[request.loss.name].is_likelihood:
        raise InvalidRequest(
            f"params of the noise are estimated with the loss 'mse', not '{request.loss.name}'",
            pointer="/loss",
        )
    if not isinstance(model, Formula):
        raise InvalidRequest(
            "sigma as an expression is for formulas, not for networks", pointer="/sigma/expr"
        )
    return None, NoiseExpression(formula, columns, dict(sigma.estimate))


def _static(formula: Formula, columns: dict[str, Tensor], rows: int) -> Tensor:
    """σ of an expression that does not depend on the fit."""
    found = _read(formula, {name: x.numpy() for name, x in columns.items()}, rows)
    bad = np.flatnonzero(~(np.isfinite(found) & (found > 0)))
    if bad.size:
        row = int(bad[0])
        raise InvalidData(
            f"the expression of sigma is {found[row]:g} in row {row + 1}; it must be above 0",
            pointer="/sigma/expr",
        )
    return torch.from_numpy(found)


def check_repeated(options: Options, noise: Noise | None) -> None:
    """Raises InvalidRequest for an optimizer whose fits are not repeated until they settle."""
    if noise is None or options.method.solver in REPEATED:
        return
    raise InvalidRequest(
        f"the noise follows from the fit, which is repeated until it settles: by 'auto', not by "
        f"'{options.method.name}'",
        pointer="/optimizer",
    )


def to_outliers(request: FitRequest, model: Model, noise: Noise | None) -> OutlierTest | None:
    """The test for outliers of a request. Raises InvalidRequest for what has no meaning with it."""
    asked, at = request.outliers, "/outliers"
    if asked is None:
        return None
    if not isinstance(model, Formula):
        raise InvalidRequest("the test for outliers is for formulas, not for networks", pointer=at)
    if not LOSSES[request.loss.name].is_likelihood:
        raise InvalidRequest(
            f"outliers are tested beside a fit with the loss 'mse', not '{request.loss.name}', "
            "which makes little of them itself; omit one of the two",
            pointer=at,
        )
    if noise is not None:
        raise InvalidRequest(
            "outliers are tested where sigma is known up to a factor, not where it follows from "
            "the fit; omit one of the two",
            pointer=at,
        )
    if request.group_by is not None and request.group_by.is_pooled:
        raise InvalidRequest(
            "outliers are tested in groups that are fitted separately, each with its own noise; "
            "omit `shared` and pooled noise",
            pointer=at,
        )
    return OutlierTest(asked.q, asked.action == "drop")
