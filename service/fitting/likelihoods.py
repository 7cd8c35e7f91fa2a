"""Converts the `likelihood` and the `bins` of a request; what has no meaning with them is
refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.catalogue.likelihoods import LIKELIHOODS, Likelihood
from service.engine.formula import Formula, over_bins, right_names
from service.engine.losses import Loss
from service.engine.problem import Model
from service.errors import InvalidData, InvalidRequest, UnknownName, token
from service.fitting.columns import finite_columns, numbers
from service.schemas.columns import Data
from service.schemas.compute import GradientRequest, LossRequest
from service.schemas.fit import FitRequest
from service.schemas.likelihoods import LikelihoodOptions
from service.schemas.losses import LEAST_SQUARES
from service.schemas.models import MlpModel, NamedModel

WIDTH = "bin width"
"""The input of a formula over bins that is each bin's width; no name of a formula has a space."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a fit minimises: a loss, or the deviance of a likelihood, of targets (rows,) float64
    with standard deviations up to a factor."""

    loss: Loss
    target: Tensor
    sigma: Tensor | None
    absolute: bool


Asked = FitRequest | LossRequest | GradientRequest
"""What may have a likelihood."""


def to_measure(asked: LikelihoodOptions, data: Data, target: Tensor, column: str) -> Measure:
    """What a likelihood minimises; `target` are the values of the left side, a column. Raises
    InvalidRequest."""
    likelihood = LIKELIHOODS[asked.name]
    _check_counts(target, column, likelihood)
    weight = _weight(asked, likelihood, data, target, column)
    loss, absolute = Loss.of_likelihood(asked.name), asked.overdispersion is None
    if weight is None:
        return Measure(loss, target, None, absolute)
    return Measure(loss, target / weight, 1 / weight.sqrt(), absolute)


def check_alone(request: Asked, formula: Model) -> None:
    """Raises InvalidRequest for options that have no meaning beside a likelihood."""
    if request.likelihood is None:
        return
    name = request.likelihood.name
    if request.loss.name != LEAST_SQUARES.name:
        raise InvalidRequest(
            f"the likelihood '{name}' is minimised in place of a loss, so there is no loss "
            f"'{request.loss.name}'; omit `loss`",
            pointer="/loss",
        )
    is_absolute = isinstance(request, FitRequest) and request.sigma_absolute
    if request.sigma is not None or is_absolute:
        raise InvalidRequest(
            f"the noise of '{name}' follows from its mean, so there is no sigma; omit it, and for "
            'noise that is larger use {"likelihood": {"name": "' + name + '", "overdispersion": '
            '"pearson"}}',
            pointer="/sigma" if request.sigma is not None else "/sigma_absolute",
        )
    for field in ("weights", "outliers"):
        if getattr(request, field, None) is not None:
            raise InvalidRequest(
                f"the noise of '{name}' follows from its mean, so there are no `{field}`; omit "
                "them",
                pointer=f"/{field}",
            )
    if not isinstance(formula, Formula):
        raise InvalidRequest(
            "a likelihood is fitted with a formula or a family, not with a network",
            pointer="/likelihood",
        )
    if formula.target not in formula.target_columns:
        raise InvalidRequest(
            f"the target of '{name}' is a column of counts, not '{formula.target}'; write the "
            "counts alone on the left side, and the inverse of the transformation on the right",
            pointer="/model",
        )
    bins = request.bins if isinstance(request, FitRequest) else None
    if bins is not None and LIKELIHOODS[name].upper is not None:
        raise InvalidRequest(
            f"the mean of '{name}' is a probability, which is not integrated over bins; omit "
            "`bins`, or use 'poisson'",
            pointer="/bins",
        )


def _check_counts(target: Tensor, column: str, likelihood: Likelihood) -> None:
    """Raises InvalidData for a target that is no count."""
    negative, broken = target < 0, target != target.round()
    bad = (negative | broken).nonzero().flatten()
    if not len(bad):
        return
    row = int(bad[0])
    value = float(target[row])
    if value < 0:
        cure = "counts are not negative; a background that was subtracted belongs into the formula"
    elif likelihood.upper is not None and bool((target <= 1).all()):
        cure = (
            "a proportion alone does not tell its noise; send the counts, with `n` for the trials"
        )
    else:
        what = "exposure" if likelihood.upper is None else "trials"
        cure = f"counts are whole numbers; send those, and the {what} as `{likelihood.weight}`"
    raise InvalidData(
        f"column '{column}', row {row + 1} is {value:g}: {cure}",
        pointer=f"/data/{token(column)}/{row}",
    )


def _weight(
    asked: LikelihoodOptions, likelihood: Likelihood, data: Data, target: Tensor, column: str
) -> Tensor | None:
    """The exposure or the trials of each row, float64. Raises InvalidRequest."""
    option = likelihood.weight
    given: str | float | None = getattr(asked, option)
    pointer = f"/likelihood/{option}"
    weight = _numbers(given, data, len(target), option, pointer)
    if likelihood.upper is None:
        return weight
    where = f"/data/{token(given)}" if isinstance(given, str) else pointer
    trials = torch.ones_like(target) if weight is None else weight
    broken = (trials != trials.round()).nonzero().flatten()
    if len(broken):
        row = int(broken[0])
        raise InvalidData(
            f"`{option}` is {float(trials[row]):g} in row {row + 1}; trials are whole numbers",
            pointer=f"{where}/{row}" if isinstance(given, str) else where,
        )
    over = (target > trials).nonzero().flatten()
    if len(over):
        row = int(over[0])
        cure = (
            f"without `{option}` each row is one trial, 0 or 1; give the number of trials, as in "
            f'{{"likelihood": {{"name": "{likelihood.name}", "{option}": "total"}}}}'
            if weight is None
            else f"more than its {float(trials[row]):g} trials"
        )
        raise InvalidData(
            f"column '{column}', row {row + 1} is {float(target[row]):g}: {cure}",
            pointer=f"/data/{token(column)}/{row}",
        )
    if asked.overdispersion is not None and bool((trials == 1).all()):
        raise InvalidRequest(
            "the dispersion of single trials, 0 or 1, cannot be estimated: their variance follows "
            "from their mean; omit `overdispersion`",
            pointer="/likelihood/overdispersion",
        )
    return weight


def _numbers(
    given: str | float | None, data: Data, rows: int, option: str, pointer: str
) -> Tensor | None:
    """A column, or a number, above 0."""
    if isinstance(given, str):
        if given not in data:
            raise UnknownName("column", given, data, pointer=pointer)
        column = finite_columns(data, [given])[given]
        bad = (column <= 0).nonzero().flatten()
        if len(bad):
            row = int(bad[0])
            raise InvalidData(
                f"`{option}` must be above 0, but column '{given}' is {float(column[row]):g} in "
                f"row {row + 1}; omit rows in which nothing was counted, as with `rows`",
                pointer=f"/data/{token(given)}/{row}",
            )
        return column
    return None if given is None else torch.full((rows,), float(given), dtype=torch.float64)


def weight_column(request: FitRequest) -> str | None:
    """The column of the exposures or the trials, if they are a column."""
    if request.likelihood is None:
        return None
    given = getattr(request.likelihood, LIKELIHOODS[request.likelihood.name].weight)
    return given if isinstance(given, str) else None


def columns_beside(request: FitRequest) -> tuple[str, ...]:
    """The columns that serve the likelihood and the bins, and are no inputs."""
    own, edges = weight_column(request), request.bins or []
    return (*edges, WIDTH, *([] if own is None else [own]))


def with_bins(request: FitRequest) -> FitRequest:
    """The request with the middles of its bins in the place of the binned input, and their widths.
    Raises InvalidRequest."""
    if request.bins is None:
        return request
    for i, name in enumerate(request.bins):
        if name not in request.data:
            raise UnknownName("column", name, request.data, pointer=f"/bins/{i}")
    if request.scaling is not None:
        raise InvalidRequest(
            "bins are in the units of the formula's input; omit `scaling`", pointer="/scaling"
        )
    if request.missing == "error":
        finite_columns(request.data, request.bins)
    low, high = (numbers(request.data, name) for name in request.bins)
    if request.bins[0] == request.bins[1]:
        raise InvalidRequest("the two columns of `bins` must differ", pointer="/bins/1")
    bad = np.flatnonzero(high <= low)
    if len(bad):
        row = int(bad[0])
        raise InvalidData(
            f"the bin in row {row + 1} is from {low[row]:g} to {high[row]:g}; its upper edge must "
            "be above the lower one",
            pointer=f"/data/{token(request.bins[1])}/{row}",
        )
    columns = {binned_input(request): (low + high) / 2, WIDTH: high - low}
    return request.model_copy(update={"data": {**request.data, **columns}})


def binned_input(request: FitRequest) -> str:
    """The formula's input that the bins stand for: x, or the only column in it."""
    model = request.model
    if isinstance(model, MlpModel) or model == "mlp":
        raise InvalidRequest("a network is not integrated over bins; omit `bins`", pointer="/bins")
    if isinstance(model, NamedModel):
        return model.inputs[0] if model.inputs else "x"
    try:
        names = right_names(model)
    except InvalidRequest:
        return "x"  # the formula is refused where it is parsed, with its place
    beside = {*(request.bins or ()), weight_column(request)}
    used = sorted(name for name in names if name in request.data and name not in beside)
    if "x" in names or not used:
        return "x"
    if len(used) > 1:
        raise InvalidRequest(
            f"bins are of one input, and the formula uses {', '.join(used)}; rename the column "
            "that the bins stand for to x, and use x in the formula",
            pointer="/bins",
        )
    return used[0]


def over(formula: Model, request: FitRequest) -> Model:
    """The formula, integrated over the bins of the request if it has some."""
    if request.bins is None or not isinstance(formula, Formula):
        return formula
    variable = binned_input(request)
    if variable not in formula.inputs:
        raise InvalidRequest(
            "the formula uses no column, so there is nothing to integrate over the bins; write it "
            "as a function of x",
            pointer="/bins",
        )
    return over_bins(formula, variable, WIDTH)


def density_inputs(names: Iterable[str]) -> list[str]:
    """The inputs of a formula without the widths of bins."""
    return [name for name in names if name != WIDTH]
