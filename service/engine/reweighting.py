"""σ of each row by a model of the noise, at the params of fits: a pure function of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.engine.kernel import operators
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.noise import PREDICTION, Noise, NoiseExpression, ResidualScale
from service.engine.noise_params import NoiseParams, Variance, estimate
from service.engine.problem import Groups, Problem, Task
from service.errors import InvalidData

NORMAL_MAD = 0.6744897501960817
"""The median of |z| of a standard normal z."""
WITHIN = 0.6827
"""The part of the |residuals| below their scale, in the estimator `rsdr`."""


@dataclass(frozen=True, eq=False)
class Reweighted:
    """σ at the params of some fits."""

    rows: Ints
    """The rows of these fits, one fit after the other."""
    sigma: Floats
    """σ of these rows; NaN in the whole fit where one is not a positive number."""
    predictions: Floats
    params: NoiseParams
    """Of each pool: the params of an expression, or the scale of the residuals."""


@np.errstate(all="ignore")
def reweighted(
    task: Task, fits: Groups, theta: Tensor, known: Floats | None, *, roughly: bool = False
) -> Reweighted:
    """σ by the noise of the task's problem, for some of its groups at θ (fits, params). `known` are
    params of the noise (pools, m) to start from."""
    problem, model = task.problem, task.problem.noise
    rows = rows_of(fits)
    prediction = predictions(problem, fits, theta)[rows]
    target = problem.target[torch.from_numpy(rows)].double().cpu().numpy()
    sizes = fits.sizes.numpy()
    pools = sizes if task.shared is None else np.array([len(rows)])
    residuals = prediction - target
    if isinstance(model, NoiseExpression):
        at = rows, prediction, residuals, pools
        sigma, params = _by_expression(model, *at, known, roughly=roughly)
    else:
        assert isinstance(model, ResidualScale)
        sigma, params = _by_scale(model, task, rows, residuals, pools, fewer=known is None)
    fine = np.isfinite(sigma) & (sigma > 0) & np.isfinite(1 / sigma)
    first = np.cumsum(sizes) - sizes
    whole: Bools = np.logical_and.reduceat(fine, first)
    is_test = isinstance(model, ResidualScale) and model.estimator == "rsdr"
    if task.groups is not None or is_test:
        sigma = np.where(np.repeat(whole, sizes), sigma, np.nan)
    return Reweighted(rows, sigma, prediction, params)


def must_be_positive(found: Reweighted, model: Noise | None) -> None:
    """Raises InvalidData for a σ of a single fit that is not a positive number. Of a test for
    outliers it may be, where there is none for lack of noise."""
    bad = np.flatnonzero(~(np.isfinite(found.sigma) & (found.sigma > 0)))
    if not bad.size:
        return
    row = int(bad[0])
    if not isinstance(model, ResidualScale):
        raise InvalidData(
            f"the expression of sigma is {found.sigma[row]:g} in row {row + 1}, where the "
            f"prediction is {found.predictions[row]:g}; it must be a number above 0, as with "
            "abs(pred) or max(pred, 0.1)",
            pointer="/sigma/expr",
        )
    if model.estimator == "mad":
        raise InvalidData(
            "the scale of the residuals is 0: more than half of the rows are fitted exactly; "
            "give `delta` as a number",
            pointer="/loss/delta",
        )


def _by_expression(
    model: NoiseExpression, rows: Ints, prediction: Floats, residuals: Floats, pools: Ints,
    known: Floats | None, *, roughly: bool,
) -> tuple[Floats, NoiseParams]:  # fmt: skip
    formula, at = model.formula, torch.from_numpy(rows)
    columns = {name: x[at].cpu().numpy() for name, x in model.columns.items()}
    columns[PREDICTION] = prediction
    many, count = len(pools), len(formula.params)
    if not count:
        stacked = np.stack([columns[name] for name in formula.inputs])
        none = torch.empty((1, 0), dtype=torch.float64)
        found = operators.read(formula.forward.tensors, torch.from_numpy(stacked), none)
        nothing = np.empty((many, 0))
        return found[0, 0].numpy(), NoiseParams(nothing, nothing, np.zeros(many, dtype=np.int64))
    variance = Variance(formula, columns, residuals, pools)
    if known is None:
        start = [model.start[name] for name in formula.params]
        given = np.array([np.nan if value is None else value for value in start])
        known = np.tile(given, (many, 1))
    params = estimate(variance, known, roughly=roughly)
    return variance.read(params.values)[0], params


def _by_scale(
    model: ResidualScale, task: Task, rows: Ints, residuals: Floats, pools: Ints, *, fewer: bool
) -> tuple[Floats, NoiseParams]:
    """`fewer`: the residuals are of a fit that goes through some of the rows exactly, as that of
    absolute values does, which are left out."""
    given = np.ones(len(rows))
    if task.problem.sigma is not None:
        given = task.problem.sigma[torch.from_numpy(rows)].double().cpu().numpy()
    sizes, free = np.abs(residuals / given), len(task.problem.places)
    if task.shared is not None:
        free = len(task.shared_places) + len(task.local_places) * len(task.fits)
    scales, first = np.full(len(pools), np.nan), np.cumsum(pools) - pools
    for count in np.unique(pools).tolist():
        alike = np.flatnonzero(pools == count)
        own = np.sort(sizes[first[alike, None] + np.arange(count)], axis=1)
        if model.estimator == "mad":
            left = min(free, count - 1) if fewer else 0
            scales[alike] = np.median(own[:, left:], axis=1) / NORMAL_MAD
        elif count > free:
            scales[alike] = np.quantile(own, WITHIN, axis=1) * count / (count - free)
    params = NoiseParams(
        scales[:, None], np.full((len(pools), 1), np.nan), np.zeros(len(pools), dtype=np.int64)
    )
    return np.repeat(scales, pools) * given, params


def predictions(problem: Problem, fits: Groups, theta: Tensor) -> Floats:
    """f at the rows of fits at θ (fits, params), (rows,) float64; other rows have no meaning."""
    double = problem.double()
    nothing = torch.zeros_like(double.target)
    program = problem.formula.forward.tensors  # type: ignore[union-attr]
    data = (double.inputs, nothing, nothing[:0], fits.spans)
    z: Floats = operators.reduce(program, 0, 1.0, data, theta.double().cpu())[2].numpy()
    return z


def rows_of(fits: Groups) -> Ints:
    """The rows of fits, one fit after the other."""
    sizes = fits.sizes.numpy()
    first = np.repeat(fits.spans[0].numpy() - np.cumsum(sizes) + sizes, sizes)
    rows: Ints = first + np.arange(len(first))
    return rows
