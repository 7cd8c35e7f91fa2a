"""Log-likelihoods of counts, from their deviances.

ℓ = ℓ_saturated − deviance/2, ℓ_saturated that of a model whose means are the targets; with all
constants, so that models of other families can be compared. AIC = 2k − 2ℓ, k the free params.
Source: McCullagh and Nelder, Generalized Linear Models, 2nd ed. (1989), 2.3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.kernel.types import Floats
from service.engine.objectives.points import losses_of
from service.engine.problem import Groups, Problem


def deviances(problem: Problem, fits: Groups, theta: Tensor) -> Floats:
    """The deviance of each fit at θ (fits, params), (fits,)."""
    found: Floats = (losses_of(problem, fits, theta) * fits.sizes).numpy()
    return found


def saturated(problem: Problem, fits: Groups) -> Floats:
    """The log-likelihood of each fit's rows if the means were the targets, (fits,)."""
    likelihood = problem.loss.likelihood
    assert likelihood is not None
    y = problem.target.double().cpu()
    sigma = torch.ones_like(y) if problem.sigma is None else problem.sigma.double().cpu()
    weight = 1 / sigma.square()
    each = likelihood.saturated((y * weight).round(), weight)
    fit = torch.repeat_interleave(torch.arange(len(fits)), fits.sizes)
    first = torch.repeat_interleave(fits.spans[0] - fits.sizes.cumsum(0) + fits.sizes, fits.sizes)
    sums = torch.zeros(len(fits), dtype=torch.float64)
    found: Floats = sums.index_add_(0, fit, each[first + torch.arange(len(fit))]).numpy()
    return found
