"""Predictions from the fits of groups: each row with the params of its group."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json
from torch import Tensor

from service.engine import slices
from service.engine.expressions import Texts
from service.engine.formula import Formula
from service.engine.inference.bands import Band
from service.engine.kernel.composite import outputs_of
from service.engine.problem import Model
from service.engine.scaling import Scale
from service.errors import InvalidData, InvalidRequest, UnknownName, shortened, token
from service.fitting import costs
from service.fitting.columns import DTYPES, check_shape, finite_columns, refuse_infinite
from service.fitting.groups import Codes, Value, check_keys, to_groups
from service.fitting.models import resolve
from service.fitting.reports import quantiles
from service.fitting.row_filter import rows_used, with_rows
from service.fitting.ties import Ties
from service.fitting.values import narrowed, series
from service.schemas.columns import Data, Labels, Numbers
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.grouped import GroupedFit
from service.schemas.models import Model as ModelRequest
from service.schemas.names import DType
from service.schemas.options import BandOptions, GroupOptions

_TEXT_BYTES = 150
"""Bytes of a group's text and its index."""
_MODEL: TypeAdapter[ModelRequest] = TypeAdapter(ModelRequest)


@dataclass(frozen=True)
class Curves:
    """What predictions need of the fits of groups, as columns with one row per group."""

    model: str | dict[str, Any]
    scaling: dict[str, dict[str, float]] | None
    dtype: DType
    by: tuple[str, ...]
    keys: Numbers | bytes
    """(groups,) numbers, or the JSON of texts, or of keys of several columns, which is parsed at
    the first prediction."""
    names: tuple[str, ...]
    theta: Numbers
    """(groups, params)"""
    ties: Texts = ()
    """The tied params with their expressions."""
    free: tuple[str, ...] = ()
    """The params of the covariance."""
    covariance: Numbers | None = None
    """(groups, free, free), with the next two for bands; None unless the fit returned it."""
    residual_std: Numbers | None = None
    """The standard deviation of a new observation, (groups,); None where `sigma` gives one for each
    row."""
    degrees_of_freedom: Numbers | None = None
    """(groups,)"""

    @classmethod
    def of(cls, fit: GroupedFit) -> Curves:
        """The curves of a fit's response body."""
        groups, body = fit.groups, fit.predict
        shared = {} if fit.shared is None else fit.shared.params
        texts = [key for key in groups.key if not isinstance(key, float | int)]
        is_text = len(texts) == len(groups.key) and any(text is not None for text in texts)
        keys = to_json(texts) if is_text else np.array(groups.key, dtype=np.float64)
        names = (*groups.params, *shared)
        theta = np.empty((len(groups.key), len(names)))
        for i, name in enumerate(names):
            theta[:, i] = shared[name] if name in shared else groups.params[name]
        ties = tuple(fit.model.expressions.items())
        made = cls(body.model, body.scaling, body.dtype, groups.columns, keys, names, theta, ties)
        return made if groups.covariance is None else made._with_covariance(fit)

    def _with_covariance(self, fit: GroupedFit) -> Curves:
        """The same with what bands need."""
        groups, body, pooled = fit.groups, fit.predict, fit.statistics
        assert groups.covariance is not None
        across = {} if fit.shared is None else fit.shared.covariance or {}
        local, many = len(groups.covariance), len(self.theta)
        free = (*groups.covariance, *across)
        covariance = np.full((many, len(free), len(free)), np.nan)
        for i, a in enumerate(free):
            row = groups.covariance[a] if i < local else across[a]
            for j, b in enumerate(free[i:], start=i):
                covariance[:, i, j] = covariance[:, j, i] = row[b]
        std = None
        if body.has_residual_std:
            whole = None if pooled is None else [pooled.residual_std] * many
            std = np.array([np.nan if s is None else s for s in whole or groups.residual_std])
        degrees = np.array(groups.n, dtype=np.float64) - len(free)
        if pooled is not None:
            degrees[:] = pooled.degrees_of_freedom
        if body.is_normal:
            degrees[:] = np.inf
        return replace(
            self, free=free, covariance=covariance, residual_std=std, degrees_of_freedom=degrees
        )

    @property
    def nbytes(self) -> int:
        """Size in bytes, including `order` or `places`."""
        rows = self.theta.nbytes
        for column in (self.covariance, self.residual_std, self.degrees_of_freedom):
            rows += 0 if column is None else column.nbytes
        if isinstance(self.keys, bytes):
            return len(self.keys) + rows + _TEXT_BYTES * len(self.theta)
        return 2 * self.keys.nbytes + rows

    @cached_property
    def order(self) -> Codes:
        """The groups in ascending order of their numbers, null last."""
        assert not isinstance(self.keys, bytes)
        return np.argsort(self.keys, kind="stable")

    @property
    def null(self) -> int:
        """The group of the rows without a key; −1 if there is none."""
        if isinstance(self.keys, bytes):
            return self.places.get(None, -1)
        last = int(self.order[-1])
        return last if np.isnan(self.keys[last]) else -1

    @cached_property
    def places(self) -> Mapping[str | None, int]:
        """The index of each text; None is the key of the rows without one."""
        assert isinstance(self.keys, bytes)
        return {text: i for i, text in enumerate(from_json(self.keys))}

    @cached_property
    def places_of_several(self) -> Mapping[tuple[Value, ...], int]:
        """The index of each key of several columns."""
        assert isinstance(self.keys, bytes)
        return {tuple(key): i for i, key in enumerate(from_json(self.keys))}


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
    model = _MODEL.validate_python(fit.model)
    ties = Ties(fit.ties, frozenset(fit.names))
    formula = resolve(model, request.data.keys(), fit.names, ties).formula
    costs.check(costs.of_prediction(formula, request), rows, max_operations)
    at = _places(request.data, fit)
    dtype = DTYPES[fit.dtype]
    raw = finite_columns(request.data, formula.inputs)
    scaling = {name: Scale(**given) for name, given in (fit.scaling or {}).items()}
    inputs = {name: scaling[name].apply(x) if name in scaling else x for name, x in raw.items()}
    columns = {name: narrowed(column, dtype, name) for name, column in inputs.items()}
    own = [fit.names.index(name) for name in formula.params]
    theta = torch.from_numpy(fit.theta[:, own]).to(dtype)
    prediction = _predict(formula, columns, theta, torch.from_numpy(at), rows)
    used = rows_used(request)
    if request.interval is None:
        return Predictions(predictions=series(prediction), target=formula.target, rows=used)
    assert isinstance(formula, Formula)
    around = _band(formula, columns, theta.double(), at, fit, request.interval)
    return Predictions(
        predictions=series(prediction),
        target=formula.target,
        stderr=series(around.stderr),
        lower=series(around.lower),
        upper=series(around.upper),
        rows=used,
    )


def _band(
    formula: Formula, columns: Mapping[str, Tensor], theta: Tensor, at: Codes, fit: Curves,
    asked: BandOptions,
) -> Band:  # fmt: skip
    """The band around the prediction of each row, with the covariance of its group; NaN where the
    group has none."""
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
    if asked.kind == "prediction":
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
        column = fit.by[0] if len(fit.by) == 1 else list(fit.by)
        by = {"group_by": {"column": column, "covariance": True}}
        raise InvalidRequest(
            "a band requires the covariance of each group, which this job does not have; fit with "
            f"{json.dumps(by)}",
            pointer="/interval",
        )
    if request.interval.kind == "prediction" and fit.residual_std is None:
        raise InvalidRequest(
            "a prediction band requires one standard deviation of a new observation, but this job "
            "had a `sigma` for each row; ask for the kind 'confidence'",
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


def _places(data: Data, fit: Curves) -> Codes:
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
