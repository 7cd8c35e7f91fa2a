"""Predictions from the fits of groups: each row with the params of its own group."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor

from service.engine import slices
from service.engine.formula import Formula
from service.engine.kernel.composite import outputs_of
from service.engine.problem import Model
from service.engine.scaling import Scale
from service.errors import InvalidData, InvalidRequest, UnknownName, shortened
from service.schemas.answers import GroupedFit, Groups
from service.schemas.columns import Data, Labels
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.models import Model as ModelRequest
from service.translate import costs
from service.translate.columns import DTYPES, check_shape, escape, finite_columns, refuse_infinite
from service.translate.groups import Codes, Key
from service.translate.models import resolve
from service.translate.values import narrowed

_MODEL: TypeAdapter[ModelRequest] = TypeAdapter(ModelRequest)


def predict_from_groups(
    request: PredictRequest,
    fit: GroupedFit,
    max_rows: int = 2**62,
    max_operations: float = math.inf,
) -> Predictions:
    """f(x; θ) at each row, θ its group's; NaN where that group's fit failed. Raises
    InvalidRequest."""
    _check(request)
    rows = check_shape(request.data, max_rows)
    body, groups = fit.predict, fit.groups
    model = _MODEL.validate_python(body.model)
    formula = resolve(model, request.data.keys(), groups.params.keys()).formula
    costs.check(costs.of_prediction(formula, request), rows, max_operations)
    at = _places(request.data, groups)
    dtype = DTYPES[body.dtype]
    raw = finite_columns(request.data, formula.inputs)
    scaling = {name: Scale(**given) for name, given in (body.scaling or {}).items()}
    inputs = {name: scaling[name].apply(x) if name in scaling else x for name, x in raw.items()}
    columns = {name: narrowed(column, dtype, name) for name, column in inputs.items()}
    values = [groups.params[name] for name in formula.params]
    theta = torch.tensor(values, dtype=dtype).mT.contiguous()
    prediction = _predict(formula, columns, theta, torch.from_numpy(at), rows)
    return Predictions(predictions=prediction.tolist(), target=formula.target)


def _check(request: PredictRequest) -> None:
    if request.params is not None or request.scaling is not None:
        raise InvalidRequest("with a job_id, the job gives params and scaling", pointer="/job_id")
    if request.interval is not None:
        raise InvalidRequest(
            "a band needs the covariance of each group, which a grouped fit does not keep; fit the "
            "rows of one group without `group_by` and predict from that job",
            pointer="/interval",
        )


def _predict(
    formula: Model, columns: Mapping[str, Tensor], theta: Tensor, at: Tensor, rows: int
) -> Tensor:
    """f at each row; theta (groups, params), at (rows,)."""
    if isinstance(formula, Formula):
        # A formula that does not use a param, or 0 times it, is no fit of a failed group either.
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


def _places(data: Data, groups: Groups) -> Codes:
    """Which of the fit's groups each row belongs to, (rows,). Raises UnknownName for a column or a
    group that is not there."""
    by, keys = groups.by, groups.key
    if by not in data:
        raise InvalidRequest(
            f"the job was fitted by '{by}': send that column too, it says whose params a row has",
            pointer="/data",
        )
    column = data[by]
    if isinstance(column, Labels):
        place: dict[Key, int] = {key: i for i, key in enumerate(keys)}
        # The label of a row without one is −1: the last.
        codes = np.array([place.get(name, -1) for name in (*column.names, None)])
        at = codes[column.codes]
    else:
        refuse_infinite(data, by)
        at = _numbered(np.asarray(column, dtype=np.float64), keys)
    if (at < 0).any():
        row = int(np.argmax(at < 0))
        raise _unknown(column.tolist()[row], row, by, keys)
    return at.astype(np.int64)


def _numbered(column: np.typing.NDArray[np.float64], keys: Sequence[Key]) -> Codes:
    """The place of each number among the keys, −1 where it has none; NaN is the group of null."""
    numbers = np.array([math.nan if not isinstance(key, float | int) else key for key in keys])
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    found = np.minimum(np.searchsorted(ordered, column), len(keys) - 1)
    at = np.where(ordered[found] == column, order[found], -1)
    missing = np.isnan(column)
    if missing.any():
        at[missing] = next((i for i, key in enumerate(keys) if key is None), -1)
    return at


def _unknown(key: object, row: int, by: str, keys: Collection[Key]) -> InvalidRequest:
    pointer = f"/data/{escape(by)}/{row}"
    if isinstance(key, str) and any(isinstance(known, str) for known in keys):
        known = [each for each in keys if isinstance(each, str)]
        return UnknownName(f"group in row {row + 1}:", key, known, pointer=pointer)
    shown = "null" if key is None or key != key else shortened(str(key))
    first = next((each for each in keys if each is not None), None)
    kind = "text" if isinstance(first, str) else "numbers"
    return InvalidData(
        f"the job has no group {shown} ('{by}', row {row + 1}); its groups are {kind}, and are "
        "listed in its `groups.key`",
        pointer=pointer,
    )
