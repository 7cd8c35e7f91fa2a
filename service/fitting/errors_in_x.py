"""Errors in the inputs: what a request says of them, what it can have with them, and the answer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from service.engine.formula import Formula
from service.engine.objectives.orthogonal import nearest, noisy_inputs
from service.engine.problem import Model, Problem
from service.engine.scaling import Scale
from service.errors import InvalidData, InvalidRequest, UnknownName, token
from service.fitting.columns import finite_columns
from service.fitting.values import series
from service.schemas.answers import ErrorsInX
from service.schemas.columns import Data
from service.schemas.fit import FitRequest

SigmaX = Mapping[str, str | float]
"""By input, a column of standard deviations, or one for all rows."""
OPTIMIZER = "levenberg_marquardt"
"""The only one that fits with errors in the inputs."""
DISTANCE = 20
"""Approximate cost of a row's distance to the curve, in units of the formula's operations."""
MOST_ROWS = 10_000
"""Rows up to which the answer has the errors of each."""


def spread_columns(asked: SigmaX) -> list[str]:
    """The columns with the standard deviations of inputs."""
    return [each for each in asked.values() if isinstance(each, str)]


def to_sigma_x(
    asked: SigmaX, data: Data, formula: Model, scaling: Mapping[str, Scale], rows: int
) -> dict[str, Tensor]:
    """The standard deviations of the inputs that have errors, (rows,) float64 each, scaled. Raises
    InvalidData or UnknownName."""
    found = {}
    for name, given in asked.items():
        pointer = f"/sigma_x/{token(name)}"
        if name not in formula.inputs:
            raise UnknownName("input", name, formula.inputs, pointer=pointer)
        spread = torch.full((rows,), 0.0 if isinstance(given, str) else given, dtype=torch.float64)
        if isinstance(given, str):
            if given not in data:
                raise UnknownName("column", given, data, pointer=pointer)
            spread = finite_columns(data, [given])[given]
            bad = (spread < 0).nonzero().flatten()
            if len(bad):
                raise InvalidData(
                    f"a standard deviation is not negative, but column '{given}' is in row "
                    f"{int(bad[0]) + 1}; 0 is exact",
                    pointer=f"/data/{token(given)}/{int(bad[0])}",
                )
        if bool((spread > 0).any()):
            found[name] = spread * abs(scaling[name].scale) if name in scaling else spread
    return found


def check_errors_in_x(request: FitRequest, problem: Problem) -> None:
    """Raises InvalidRequest for what a fit with errors in its inputs cannot have."""
    if not problem.sigma_x:
        return
    if not isinstance(problem.formula, Formula):
        raise InvalidRequest(
            "errors in the inputs are for formulas, not for networks; omit `sigma_x`",
            pointer="/sigma_x",
        )
    if request.group_by is not None and request.group_by.is_pooled:
        raise InvalidRequest(
            "groups that share params or their noise are fitted with exact inputs; omit `sigma_x`, "
            'or fit the groups separately, without `shared` and "noise": "pooled"',
            pointer="/sigma_x",
        )
    if request.likelihood is not None:
        raise InvalidRequest(
            f"counts are fitted by '{request.likelihood.name}' with exact inputs; omit `sigma_x`",
            pointer="/sigma_x",
        )
    if problem.noise is not None:
        raise InvalidRequest(
            "with errors in the inputs (`sigma_x`) the noise of the target is given, not found in "
            "rounds; give `sigma` as a column or a number",
            pointer="/sigma",
        )
    for field in ("outliers", "coverage", "design"):
        if getattr(request, field) is not None:
            raise InvalidRequest(
                f"`{field}` is for fits with exact inputs; omit it, or `sigma_x`",
                pointer=f"/{field}",
            )
    if request.confidence_interval.method == "bootstrap":
        raise InvalidRequest(
            "a bootstrap is of fits with exact inputs; with `sigma_x` use the method 'profile'",
            pointer="/confidence_interval/method",
        )
    if not problem.loss.is_least_squares:
        raise InvalidRequest(
            f"with errors in the inputs (`sigma_x`) the loss is 'mse', not '{request.loss.name}'",
            pointer="/loss",
        )
    if request.optimizer.name not in ("auto", OPTIMIZER):
        raise InvalidRequest(
            f"with errors in the inputs (`sigma_x`) the optimizer is '{OPTIMIZER}', not "
            f"'{request.optimizer.name}'; use 'auto'",
            pointer="/optimizer",
        )
    if request.covariance != "expected":
        raise InvalidRequest(
            "with errors in the inputs (`sigma_x`) the covariance is 'expected', not "
            f"'{request.covariance}'; profile intervals do not rest on it",
            pointer="/covariance",
        )
    if request.dtype != "float64":
        raise InvalidRequest(
            "with errors in the inputs (`sigma_x`) the dtype is 'float64'", pointer="/dtype"
        )


def errors_in_x(problem: Problem, theta: Tensor, scaling: Mapping[str, Scale]) -> ErrorsInX | None:
    """The sums of squares of a fit at θ, and the errors of its inputs in raw units."""
    if not problem.sigma_x or not bool(torch.isfinite(theta).all()):
        return None
    found, _ = nearest(problem, problem.whole, theta.double().unsqueeze(0))
    total, of_inputs, errors = float((found.distance**2).sum()), 0.0, {}
    for name, delta in zip(noisy_inputs(problem), torch.from_numpy(found.errors), strict=True):
        spread = problem.sigma_x[name]
        of_inputs += float((delta / torch.where(spread > 0, spread, 1.0)).square().sum())
        errors[name] = series(delta / scaling[name].scale if name in scaling else delta)
    return ErrorsInX(
        sum_of_squares=total,
        of_inputs=of_inputs,
        of_target=total - of_inputs,
        delta={name: each.tolist() for name, each in errors.items()}
        if problem.rows <= MOST_ROWS
        else None,
    )
