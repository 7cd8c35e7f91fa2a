"""Predictions from the fits of groups: each row with the params of its group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json
from torch import Tensor

from service.engine import slices
from service.engine.formula import Formula
from service.engine.kernel.composite import outputs_of
from service.engine.problem import Model
from service.engine.scaling import Scale
from service.errors import InvalidData, InvalidRequest, UnknownName, shortened
from service.fitting import costs
from service.fitting.columns import DTYPES, check_shape, escape, finite_columns, refuse_infinite
from service.fitting.groups import Codes
from service.fitting.models import resolve
from service.fitting.values import narrowed, series
from service.schemas.answers import GroupedFit
from service.schemas.columns import Data, Labels, Numbers
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.models import Model as ModelRequest
from service.schemas.names import DType

_TEXT_BYTES = 150
"""Bytes of a group's text and its index."""
_MODEL: TypeAdapter[ModelRequest] = TypeAdapter(ModelRequest)


@dataclass(frozen=True)
class Curves:
    """What predictions need of the fits of groups, as columns with one row per group."""

    model: str | dict[str, Any]
    scaling: dict[str, dict[str, float]] | None
    dtype: DType
    by: str
    keys: Numbers | bytes
    """(groups,) numbers, or the JSON of texts, which is parsed at the first prediction."""
    names: tuple[str, ...]
    theta: Numbers
    """(groups, params)"""

    @classmethod
    def of(cls, fit: GroupedFit) -> Curves:
        """The curves of a fit's response body."""
        groups, body = fit.groups, fit.predict
        texts = [key for key in groups.key if not isinstance(key, float | int)]
        is_text = len(texts) == len(groups.key) and any(text is not None for text in texts)
        keys = to_json(texts) if is_text else np.array(groups.key, dtype=np.float64)
        theta = np.empty((len(groups.key), len(groups.params)))
        for i, values in enumerate(groups.params.values()):
            theta[:, i] = values
        names = tuple(groups.params)
        return cls(body.model, body.scaling, body.dtype, groups.by, keys, names, theta)

    @property
    def nbytes(self) -> int:
        """Size in bytes, including `order` or `places`."""
        if isinstance(self.keys, bytes):
            return len(self.keys) + self.theta.nbytes + _TEXT_BYTES * len(self.theta)
        return 2 * self.keys.nbytes + self.theta.nbytes

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


def predict_from_groups(
    request: PredictRequest,
    fit: Curves,
    max_rows: int = 2**62,
    max_operations: float = math.inf,
) -> Predictions:
    """f(x; θ) at each row with the θ of its group; NaN if that group's fit failed. Raises
    InvalidRequest."""
    _check(request)
    rows = check_shape(request.data, max_rows)
    model = _MODEL.validate_python(fit.model)
    formula = resolve(model, request.data.keys(), fit.names).formula
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
    return Predictions(predictions=series(prediction), target=formula.target)


def _check(request: PredictRequest) -> None:
    if request.params is not None or request.scaling is not None:
        raise InvalidRequest(
            "omit `params` and `scaling`: those of the job are used", pointer="/job_id"
        )
    if request.interval is not None:
        raise InvalidRequest(
            "bands are not available for grouped fits, which do not keep the covariances; fit the "
            "rows of one group without `group_by` and predict from that job",
            pointer="/interval",
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
    by = fit.by
    if by not in data:
        raise InvalidRequest(
            f"the job was fitted by groups of '{by}'; send that column as well",
            pointer="/data",
        )
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


def _numbered(column: Numbers, fit: Curves) -> Codes:
    """The index of each number in the keys, −1 if not found; NaN is the group of null."""
    keys = np.asarray(fit.keys)
    ordered = keys[fit.order]
    found = np.minimum(np.searchsorted(ordered, column), len(keys) - 1)
    at = np.where(ordered[found] == column, fit.order[found], -1)
    return np.where(np.isnan(column), fit.null, at)


def _unknown(key: object, row: int, fit: Curves) -> InvalidRequest:
    by = fit.by
    pointer = f"/data/{escape(by)}/{row}"
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
