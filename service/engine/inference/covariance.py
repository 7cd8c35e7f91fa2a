"""The kinds of covariance of a fit's params, for r = residuals, z = r/σ and J = ∂z/∂θ.

expected:  s²(JᵀJ)⁻¹, as R's nls, SciPy and lmfit have it;
observed:  2s²H⁻¹ = s²(JᵀJ + S)⁻¹, H the Hessian of Σz² and S = Σ z·∂²z/∂θ² by the exact second
           derivatives of the formula, as drc, ROOT and iminuit have it;
sandwich:  (JᵀJ)⁻¹ (Σ JᵢᵀJᵢ zᵢ²/(1 − hᵢ)²) (JᵀJ)⁻¹, h the leverages, which holds where the noise is
           not constant: HC3 of MacKinnon and White, Journal of Econometrics 29 (1985) 305, which
           Long and Ervin, The American Statistician 54 (2000) 217 advise for few rows.

Of a likelihood, J and z are divided by √V(μ), so that the expected one is the inverse of Fisher's
information, and S = Σ (μ − y)/(σ²V)·(∂²μ/∂θ² − V'/V·∂μ/∂θᵀ∂μ/∂θ), H the Hessian of the deviance.

With J = QR all are R⁻¹MR⁻ᵀ, M small: I, (I + R⁻ᵀSR⁻¹)⁻¹, and Σ qᵢqᵢᵀzᵢ²/(1 − hᵢ)².
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.derivatives import differentiate
from service.engine.formula import Formula
from service.engine.inference.statistics import Figures, Statistics
from service.engine.kernel.composite import outputs_of
from service.engine.kernel.program import Program
from service.engine.kernel.types import Bools, Floats
from service.engine.problem import Groups, Problem
from service.engine.slices import NUMBERS
from service.engine.tape import Builder

Kind = Literal["expected", "observed", "sandwich"]
REASONS: dict[Kind, str] = {
    "expected": "",
    "observed": "the Hessian of the loss is not positive definite at these params, so there is no "
    "observed covariance; use the expected one",
    "sandwich": "a row determines a param alone (its leverage is 1), so there is no sandwich "
    "covariance; use the expected one",
}
DEFINITE = 1e-12
"""Smallest eigenvalue of I + R⁻ᵀSR⁻¹ that counts as positive."""
LEVERAGE = 1e-8
"""Distance of a leverage from 1 below which it counts as 1."""


def of_kind(problem: Problem, statistics: Statistics, kind: Kind) -> Statistics:
    """The statistics of one fit with another kind of covariance."""
    if kind == "expected" or statistics.covariance is None:
        return statistics
    theta = statistics.theta.double().cpu().unsqueeze(0)
    figures = as_many(statistics.figures)
    found = covariances(problem, Groups(problem.whole, theta), theta, figures, kind)[0]
    if not np.isfinite(found).all():
        return replace(statistics, covariance=None, stderr=None, covariance_reason=REASONS[kind])
    return replace(statistics, covariance=found, stderr=np.sqrt(found.diagonal()))


def as_many(figures: Figures) -> Figures:
    """The figures of one fit as those of many, as far as covariances and profiles need them."""
    return replace(
        figures,
        noise=np.array([figures.noise]),
        variance=np.array([figures.variance]),
        factor=figures.factor[None],
        lost=figures.lost[None],
        covariance=figures.covariance[None],
        stderr=figures.stderr[None],
    )


def covariances(
    problem: Problem, fits: Groups, theta: Tensor, figures: Figures, kind: Kind
) -> Floats:
    """The covariances of fits at θ (fits, params), (fits, q, q); NaN where there is none."""
    if kind == "expected" or not isinstance(problem.formula, Formula):
        return figures.covariance
    problem, q = problem.double().to("cpu"), len(problem.places)
    theta = theta.double().cpu()
    whole = are_whole(figures)
    found = np.full((len(fits), q, q), np.nan)
    if not whole.any():
        return found
    inverse = inverses(figures, whole)
    if kind == "observed":
        curved = inverse.transpose(0, 2, 1) @ _curvature(problem, fits, theta) @ inverse
        whole &= np.isfinite(curved).all(axis=(1, 2))
        values, vectors = np.linalg.eigh(np.eye(q) + curved[whole])
        with np.errstate(all="ignore"):
            middle = (vectors / values[:, None, :]) @ vectors.transpose(0, 2, 1)
        middle[values[:, 0] <= DEFINITE] = np.nan
        middle *= np.square(figures.noise[whole])[:, None, None]
    else:
        middle = _scatter(problem, fits, theta, inverse)[whole]
    own = inverse[whole]
    products = own @ middle @ own.transpose(0, 2, 1)
    found[whole] = (products + products.transpose(0, 2, 1)) / 2
    return found


def _curvature(problem: Problem, fits: Groups, theta: Tensor) -> Floats:
    """S = Σ z·∂²z/∂θ² of each fit over the free params, (fits, q, q)."""
    formula, q = problem.formula, len(problem.places)
    assert isinstance(formula, Formula)
    upper = np.triu_indices(q)
    program = second_derivatives(formula, tuple(problem.places.tolist()))
    first = formula.program(problem.places.tolist())
    sums = torch.zeros((len(fits), len(upper[0])), dtype=torch.float64)
    for fit, rows in _slices(fits, len(program)):
        inputs, point = _at(problem, rows), theta[fit]
        prediction, *second = _outputs(program, inputs, point)
        curved, target = torch.stack(second, dim=-1), problem.target[rows]
        weight = prediction - target
        if problem.sigma is not None:
            weight = weight / problem.sigma[rows].square()
        if problem.loss.likelihood is not None:
            share = problem.loss.precision(prediction, target)
            bend = problem.loss.likelihood.variance_slope(prediction) * share
            slopes = torch.stack(_outputs(first, inputs, point)[1:], dim=-1)
            curved = curved - bend.unsqueeze(-1) * slopes[:, upper[0]] * slopes[:, upper[1]]
            weight = weight * share
        sums.index_add_(0, fit, curved * weight.unsqueeze(-1))
    found = np.zeros((len(fits), q, q))
    found[:, upper[0], upper[1]] = found[:, upper[1], upper[0]] = sums.numpy()
    return found


def _scatter(problem: Problem, fits: Groups, theta: Tensor, inverse: Floats) -> Floats:
    """Σ qᵢqᵢᵀzᵢ²/(1 − hᵢ)² of each fit, (fits, q, q); NaN where a leverage is 1."""
    q = len(problem.places)
    sums = torch.zeros((len(fits), q, q), dtype=torch.float64)
    for part in linearised(problem, fits, theta, inverse):
        left = part.left
        own = part.own * torch.where(left > LEVERAGE, part.z / left, torch.nan).unsqueeze(-1)
        sums.index_add_(0, part.fit, own.unsqueeze(-1) * own.unsqueeze(-2))
    found: Floats = sums.numpy()
    return found


class Linearised(NamedTuple):
    """Rows of fits, with the model linearised there; (k,) each, and (k, q)."""

    fit: Tensor
    row: Tensor
    prediction: Tensor
    z: Tensor
    """(prediction − target)/σ"""
    own: Tensor
    """The rows of Q."""

    @property
    def left(self) -> Tensor:
        """1 − h, h the leverage."""
        return 1 - self.own.square().sum(dim=-1)


def linearised(
    problem: Problem, fits: Groups, theta: Tensor, inverse: Floats
) -> Iterator[Linearised]:
    """All rows of fits at θ (fits, params), some at a time; `inverse` are the R⁻¹, (fits, q, q)."""
    formula, q = problem.formula, len(problem.places)
    assert isinstance(formula, Formula)
    program, back = formula.program(problem.places.tolist()), torch.from_numpy(inverse)
    for fit, rows in _slices(fits, len(program) + q * q):
        prediction, *slopes = _outputs(program, _at(problem, rows), theta[fit])
        target, jacobian = problem.target[rows], torch.stack(slopes, dim=-1)
        sigma = None if problem.sigma is None else problem.sigma[rows]
        z = problem.loss.residuals(prediction, target, sigma)
        if sigma is not None:
            jacobian = jacobian / sigma.unsqueeze(-1)
        if problem.loss.likelihood is not None:
            share = problem.loss.precision(prediction, target)
            jacobian = jacobian * share.sqrt().unsqueeze(-1)
        own = (jacobian.unsqueeze(1) @ back[fit]).squeeze(1)
        yield Linearised(fit, rows, prediction, z, own)


def inverses(figures: Figures, whole: Bools) -> Floats:
    """R⁻¹ of the fits that are `whole`, the unit matrix for others; (fits, q, q)."""
    q = figures.covariance.shape[-1]
    r = np.broadcast_to(np.eye(q), figures.covariance.shape).copy()
    r[whole] = np.triu(figures.factor[whole][:, :q, :q])
    found: Floats = np.linalg.inv(r)
    return found


def are_whole(figures: Figures) -> Bools:
    """Which of many fits have a noise and a Jacobian of full rank, (fits,)."""
    whole: Bools = np.isfinite(figures.noise) & ~figures.lost.any(axis=1)
    return whole & np.isfinite(figures.factor).all(axis=(1, 2))


def second_derivatives(formula: Formula, free: tuple[int, ...]) -> Program:
    """The program of f and of ∂²f/∂θᵢ∂θⱼ, i ≤ j, by the params at those positions."""
    if free not in formula.second_programs:
        formula.second_programs[free] = _second_derivatives(formula, free)
    return formula.second_programs[free]


def _second_derivatives(formula: Formula, free: tuple[int, ...]) -> Program:
    builder, outputs = Builder.of(formula.tape), formula.tape.outputs
    names = [formula.params[i] for i in free]
    second = []
    for place, i in enumerate(free):
        slopes = differentiate(builder, outputs[1 + i], names[place:])
        second += [slopes[name] for name in names[place:]]
    tape = builder.tape([outputs[0], *second])
    # Every output after the first counts as a slope; here the param of a slope is not used.
    return Program.of(tape, formula.params, formula.inputs, [0] * len(second))


def _slices(fits: Groups, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The fit and the row of each row of the fits, some at a time; `size` are the intermediate
    values of a row."""
    fit = torch.repeat_interleave(torch.arange(len(fits)), fits.sizes)
    first = torch.repeat_interleave(fits.spans[0] - fits.sizes.cumsum(0) + fits.sizes, fits.sizes)
    rows = first + torch.arange(len(fit))
    step = max(1, NUMBERS // max(1, size))
    return zip(torch.split(fit, step), torch.split(rows, step), strict=True)


def _at(problem: Problem, rows: Tensor) -> list[Tensor]:
    return [problem.columns[name][rows] for name in problem.formula.inputs]


def _outputs(program: Program, inputs: list[Tensor], theta: Tensor) -> list[Tensor]:
    """The outputs of a program at rows, each with its own θ (rows, params): (rows,) each."""
    columns = [column.unsqueeze(-1) for column in inputs]
    found = outputs_of(program.tensors, columns, theta)
    return [each.expand(len(theta), 1).squeeze(-1) for each in found]
