"""Hessians of the loss, and the learning rates for which gradient descent is stable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from service.catalogue.optimizers.sgd import Sgd
from service.catalogue.schedules import Constant
from service.engine.fit_options import GradientMethod, Options
from service.engine.kernel import operators
from service.engine.kernel.types import Floats
from service.engine.objectives.objective import Objective
from service.engine.prior import extended
from service.engine.problem import Groups, Problem

ANALYTIC = GradientMethod("analytic")


def curvatures(problem: Problem, fits: Groups, theta: Floats, factors: Floats) -> Floats:
    """The eigenvalues of each fit's Hessian ∂²loss/∂θ² at θ (fits, params), over the free params,
    ascending, (fits, free); NaN where it is not finite.

    For a linear prediction and mse the Hessian is 2JᵀJ/n everywhere, and its eigenvalues follow
    from the singular values of R (`factors`, (fits, free + 1, free + 1)).
    """
    with_prior = extended(problem, fits)
    problem, fits = with_prior.problem, with_prior.fits
    if problem.loss.is_least_squares and problem.is_linear:
        r = factors[:, :-1, :-1]
        found = np.full(r.shape[:2], np.nan)
        finite = np.isfinite(r).all(axis=(1, 2))
        singular = np.linalg.svd(r[finite], compute_uv=False)
        found[finite] = (2 * singular * singular / fits.sizes.numpy()[finite, None])[:, ::-1]
        return found
    matrices = hessians(problem, fits, theta)
    found = np.full(matrices.shape[:2], np.nan)
    finite = np.isfinite(matrices).all(axis=(1, 2))
    found[finite] = np.linalg.eigvalsh(matrices[finite])
    return found


def hessians(problem: Problem, fits: Groups, theta: Floats) -> Floats:
    """∂²loss/∂θ² of each fit at θ (fits, params), over the free params, (fits, free, free): central
    differences of the analytic gradient, symmetrised."""
    gradients = _gradients(problem.double(), fits)
    step = float(np.finfo(np.float64).eps) ** (1 / 3)
    columns = []
    for i in problem.places:
        above, below = theta.copy(), theta.copy()
        delta = step * np.maximum(1.0, np.abs(theta[:, i]))
        above[:, i] += delta
        below[:, i] -= delta
        columns.append((gradients(above) - gradients(below)) / (2 * delta[:, None]))
    matrices = np.stack(columns, axis=-1)
    symmetric: Floats = (matrices + matrices.transpose(0, 2, 1)) / 2
    return symmetric


def _gradients(problem: Problem, fits: Groups) -> Callable[[Floats], Floats]:
    """θ (fits, params) -> ∂loss/∂θ of each fit over the free params, (fits, free)."""
    target, free = problem.target, problem.places
    if problem.has_program:
        model = (problem.program, problem.loss_number, problem.loss.delta)
        data = problem.data(fits.spans)

        def of_formula(theta: Floats) -> Floats:
            found: Tensor = operators.gradient(*model, data, torch.from_numpy(theta).to(target))[1]
            gradients: Floats = found.cpu().numpy()
            return gradients

        return of_formula
    spans = fits.spans.T.tolist()
    objectives = [Objective(problem.on(slice(*span), problem.initial)) for span in spans]

    def of_network(theta: Floats) -> Floats:
        points = torch.from_numpy(theta).to(target)
        pairs = zip(objectives, points, strict=True)
        found = torch.stack([each.gradient(at, ANALYTIC)[1] for each, at in pairs])
        gradients: Floats = found.cpu().numpy()[:, free]
        return gradients

    return of_network


def learning_rate_limit(options: Options, largest: Any) -> Any:
    """The largest stable rate of full-batch gradient descent, given the largest eigenvalue of the
    Hessian, or of several Hessians; NaN where unknown.

    2/λ; 2(1+β)/λ with momentum β; 2(1+β)/((1+2β)λ) with Nesterov's. Unknown for mini-batches,
    schedules, dampening and the Adam family. Source: Polyak (1964); O'Donoghue and Candès (2015).
    """
    rule = options.settings
    if not isinstance(rule, Sgd) or options.batch_size is not None or rule.dampening:
        return largest * np.nan
    if not isinstance(options.schedule, Constant):
        return largest * np.nan
    curvature, beta = largest + rule.weight_decay, rule.momentum
    bound = 2 * (1 + beta) / np.where((curvature > 0) & (curvature < np.inf), curvature, np.nan)
    return bound / (1 + 2 * beta) if rule.nesterov else bound
