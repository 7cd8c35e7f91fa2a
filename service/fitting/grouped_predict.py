"""Predictions from the fits of groups: each row with the params of its group."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from service.engine import slices
from service.engine.formula import Formula
from service.engine.inference.bands import Band
from service.engine.kernel.composite import outputs_of
from service.engine.problem import Model
from service.engine.scaling import Scale
from service.errors import InvalidData, InvalidRequest, UnknownName, shortened, token
from service.fitting import costs
from service.fitting.columns import DTYPES, check_shape, finite_columns, refuse_infinite
from service.fitting.grouped_curves import Curves
from service.fitting.groups import Codes, check_keys, to_groups
from service.fitting.reports import quantiles
from service.fitting.row_filter import rows_used, with_rows
from service.fitting.values import narrowed, series
from service.schemas.columns import Data, Labels, Numbers
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.options import GroupOptions


def predict_from_groups(
    request: PredictRequest,
    fit: Curves,
    max_rows: int = 2**62,
    max_operations: float = math.inf,
) -> Predictions:
    """f(x; θ) at each row with the θ of its group; NaN if that group's fit failed. Raises
    InvalidRequest."""
    _check(request, fit)
    request = with_rows(request)
    rows = check_shape(request.data, max_rows)
    formula = fit.formula(request.data.keys())
    costs.check(costs.of_prediction(formula, request), rows, max_operations)
    at = group_of_rows(request.data, fit)
    dtype = DTYPES[fit.dtype]
    raw = finite_columns(request.data, formula.inputs)
    scaling = {name: Scale(**given) for name, given in (fit.scaling or {}).items()}
    inputs = {name: scaling[name].apply(x) if name in scaling else x for name, x in raw.items()}
    columns = {name: narrowed(column, dtype, name) for name, column in inputs.items()}
    own = [fit.names.index(name) for name in formula.params]
    theta = torch.from_numpy(fit.theta[:, own]).to(dtype)
    prediction = _predict(formula, columns, theta, torch.from_numpy(at), rows)
    used, units = rows_used(request), dict(fit.units) | request.units or None
    if request.interval is None:
        return Predictions(
            predictions=series(prediction), target=formula.target, units=units, rows=used
        )
    assert isinstance(formula, Formula)
    around = _band(formula, columns, theta.double(), at, fit, request)
    return Predictions(
        predictions=series(prediction),
        target=formula.target,
        stderr=series(around.stderr),
        lower=series(around.lower),
        upper=series(around.upper),
        units=units,
        rows=used,
    )


def _band(
    formula: Formula, columns: Mapping[str, Tensor], theta: Tensor, at: Codes, fit: Curves,
    request: PredictRequest,
) -> Band:  # fmt: skip
    """The band around the prediction of each row, with the covariance of its group; NaN where the
    group has none."""
    asked = request.interval
    assert asked is not None
    assert fit.covariance is not None
    assert fit.degrees_of_freedom is not None
    places = [formula.params.index(name) for name in fit.free]
    program, free = formula.program(places), len(fit.free)
    covariance, of = torch.from_numpy(fit.covariance), torch.from_numpy(at)
    prediction, variance = theta.new_empty((2, len(at)))
    for part in slices.slices(len(at), max(1, slices.NUMBERS // (len(program) + free * free))):
        inputs = [columns[name][part].double().unsqueeze(-1) for name in formula.inputs]
        found = outputs_of(program.tensors, inputs, theta[of[part]])
        count = len(of[part])
        prediction[part], *slopes = (each.expand(count, 1).squeeze(-1) for each in found)
        jacobian = torch.stack(slopes, dim=-1).unsqueeze(-1)
        variance[part] = (jacobian.mT @ covariance[of[part]] @ jacobian).flatten().clamp(min=0.0)
    if asked.kind == "prediction" and fit.noise is not None:
        own = fit.sigma(at, prediction.numpy(), request.data)
        variance = variance + torch.from_numpy(own).square()
    elif asked.kind == "prediction":
        assert fit.residual_std is not None
        variance = variance + torch.from_numpy(fit.residual_std[at]).square()
    kinds, which = np.unique(fit.degrees_of_freedom, return_inverse=True)
    t = np.array([quantiles(asked.level, kind) for kind in kinds.tolist()])[which.reshape(-1)]
    stderr = variance.sqrt()
    half = torch.from_numpy(t[at]) * stderr
    return Band(stderr, prediction - half, prediction + half)


def _check(request: PredictRequest, fit: Curves) -> None:
    if request.params is not None or request.scaling is not None:
        raise InvalidRequest(
            "omit `params` and `scaling`: those of the job are used", pointer="/job_id"
        )
    if request.interval is None:
        return
    if fit.covariance is None:
        by = {"group_by": {"column": fit.column, "covariance": True}}
        raise InvalidRequest(
            "a band requires the covariance of each group, which this job does not have; fit with "
            f"{json.dumps(by)}",
            pointer="/interval",
        )
    if request.interval.kind == "prediction" and fit.residual_std is None and not fit.noise:
        raise InvalidRequest(
            "a prediction band requires one standard deviation of a new observation, but this job "
            "had a `sigma` for each row, or a likelihood; ask for the kind 'confidence'",
            pointer="/interval/kind",
        )


def _predict(
    formula: Model, columns: Mapping[str, Tensor], theta: Tensor, at: Tensor, rows: int
) -> Tensor:
    """f at each row, (rows,); theta (groups, params), at (rows,)."""
    if isinstance(formula, Formula):
        # NaN also where the formula does not use a param that is NaN.
        failed = torch.isnan(theta).any(dim=-1)
        prediction = torch.empty(rows, dtype=theta.dtype)
        for part in slices.slices(rows, slices.ROWS):
            inputs = [columns[name][part].unsqueeze(-1) for name in formula.inputs]
            found = outputs_of(formula.forward.tensors, inputs, theta[at[part]])[0]
            found = found.expand(len(at[part]), 1).squeeze(-1)
            prediction[part] = torch.where(failed[at[part]], torch.nan, found)
        return prediction
    prediction = theta.new_empty(rows)
    order = torch.argsort(at, stable=True)
    groups, sizes = torch.unique_consecutive(at[order], return_counts=True)
    for group, own in zip(groups.tolist(), torch.split(order, sizes.tolist()), strict=True):
        some = {name: column[own] for name, column in columns.items()}
        prediction[own] = slices.predict(formula, some, len(own), theta[group])
    return prediction


def group_of_rows(data: Data, fit: Curves) -> Codes:
    """The index of the group of each row, (rows,). Raises InvalidRequest for a missing column or an
    unknown group."""
    for by in fit.by:
        if by not in data:
            raise InvalidRequest(
                f"the job was fitted by groups of '{by}'; send that column as well",
                pointer="/data",
            )
    if len(fit.by) > 1:
        return _places_of_several(data, fit)
    (by,) = fit.by
    column = data[by]
    if not isinstance(column, Labels):
        refuse_infinite(data, by)
    if isinstance(column, Labels) and isinstance(fit.keys, bytes):
        # Code −1, a row without a label, indexes the last entry.
        codes = np.array([fit.places.get(name, -1) for name in (*column.names, None)])
        at = codes[column.codes]
    elif isinstance(column, Labels):
        at = np.where(column.codes < 0, fit.null, -1)
    elif isinstance(fit.keys, bytes):
        at = np.where(np.isnan(column), fit.null, -1)
    else:
        at = _numbered(column, fit)
    if (at < 0).any():
        row = int(np.argmax(at < 0))
        raise _unknown(column[row : row + 1].tolist()[0], row, fit)
    return at.astype(np.int64)


def _places_of_several(data: Data, fit: Curves) -> Codes:
    """The index of the group of each row, for keys of several columns."""
    asked = GroupOptions(column=list(fit.by))
    check_keys(asked, data)
    found = to_groups(asked, data, 2**62)
    places = fit.places_of_several
    at = np.array([places.get(key, -1) for key in found.keys if isinstance(key, tuple)])[
        found.codes
    ]
    if (at < 0).any():
        row = int(np.argmax(at < 0))
        key = found.keys[int(found.codes[row])]
        shown = ", ".join(str(value) for value in key) if isinstance(key, tuple) else str(key)
        raise InvalidData(
            f"the job has no group {shortened(shown)} ({', '.join(fit.by)}, row {row + 1}); its "
            "groups are listed in its `groups.key`",
            pointer=f"/data/{token(fit.by[0])}/{row}",
        )
    return at.astype(np.int64)


def _numbered(column: Numbers, fit: Curves) -> Codes:
    """The index of each number in the keys, −1 if not found; NaN is the group of null."""
    keys = np.asarray(fit.keys)
    ordered = keys[fit.order]
    found = np.minimum(np.searchsorted(ordered, column), len(keys) - 1)
    at = np.where(ordered[found] == column, fit.order[found], -1)
    return np.where(np.isnan(column), fit.null, at)


def _unknown(key: object, row: int, fit: Curves) -> InvalidRequest:
    (by,) = fit.by
    pointer = f"/data/{token(by)}/{row}"
    if isinstance(key, str) and isinstance(fit.keys, bytes):
        known = filter(None, fit.places)
        return UnknownName(f"group in row {row + 1}:", key, known, pointer=pointer)
    shown = "null" if key is None or key != key else shortened(str(key))
    kind = "text" if isinstance(fit.keys, bytes) else "numbers"
    return InvalidData(
        f"the job has no group {shown} ('{by}', row {row + 1}); its groups are {kind}, listed in "
        "its `groups.key`",
        pointer=pointer,
    )
