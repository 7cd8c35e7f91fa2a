"""How well a fit is determined, from the R factor of its Jacobian.

Sources: Seber and Wild, Nonlinear Regression (1989), ch. 2 and 5; Bates and Watts, Nonlinear
Regression Analysis (1988), 1.3 and 2.2; R's logLik.nls and AIC for the information criteria.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.engine.distributions import t_quantile
from service.engine.gradients import Objective
from service.engine.problem import Problem

LEVEL = 0.95
ROUNDING = 1e-12
"""Residuals this small, next to the target, are rounding: the fit is at its minimum."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of a fit with n rows and p free params; tensors are over the free params, float64.

    covariance = s²(JᵀJ)⁻¹ with J = ∂z/∂θ, z = residual/σ and s² = Σz²/(n − p), or s² = 1 where σ is
    absolute. What cannot be had is None, and `covariance_reason` says why.
    """

    free: tuple[str, ...]
    n: int
    degrees_of_freedom: int
    residual_std: float | None
    reduced_chi_squared: float | None
    r_squared: float | None
    adjusted_r_squared: float | None
    aic: float | None
    aicc: float | None
    bic: float | None
    covariance: Tensor | None
    covariance_reason: str | None
    deficient: tuple[str, ...]
    """The params that trade off against each other where the covariance cannot be had."""
    offset: float
    """Bates and Watts's relative offset: how far from the minimum, in units of its uncertainty."""
    condition: float
    """Of the Jacobian with columns of unit norm."""
    flat: tuple[bool, ...]
    """Which free params the predictions do not depend on, there."""
    held: tuple[bool, ...]
    """Which free params a bound keeps from a lower loss."""
    z: Tensor
    """The residuals over σ, (rows,) float64."""

    @property
    def stderr(self) -> Tensor | None:
        return None if self.covariance is None else self.covariance.diagonal().sqrt()

    @property
    def correlation(self) -> Tensor | None:
        stderr = self.stderr
        if stderr is None or self.covariance is None:
            return None
        spread = torch.where(stderr > 0, stderr, torch.ones_like(stderr))
        correlation = self.covariance / (spread * spread.unsqueeze(-1))
        correlation.fill_diagonal_(1.0)
        return correlation

    def t(self, level: float = LEVEL) -> float:
        """Half the width of a two-sided interval of that level, in standard errors."""
        return t_quantile(0.5 + level / 2, float(self.degrees_of_freedom))


def summarise(problem: Problem, theta: Tensor) -> Statistics:
    """The statistics of a problem at θ (params,)."""
    problem = problem.double()
    objective = Objective(problem)
    z, jacobian = objective.jacobian(theta.double())
    jacobian = jacobian[:, problem.free_index]
    n, p = jacobian.shape
    degrees = n - p
    total = float((z * z).sum())
    variance = total / degrees if degrees > 0 else None
    slope = problem.loss.slope(z)
    if total <= (ROUNDING * float(objective.target.norm())) ** 2:
        slope = torch.zeros_like(slope)
    held = torch.zeros(p, dtype=torch.bool)
    if problem.formula.has_standard_errors:
        shape = _Shape.of(jacobian, problem.free_params, slope)
        held = _held(problem, theta.double(), jacobian, slope)
        if bool(held.any()):
            unheld = _Shape.of(jacobian[:, ~held], problem.free_params, slope)
            shape = replace(shape, offset=unheld.offset)
    else:
        shape = _Shape(jacobian[:0], jacobian[0], 1.0, (), 0.0)
    if not problem.loss.is_smooth:
        shape = replace(shape, offset=0.0)
    elif total > 0 and not problem.loss.is_least_squares and float(slope.abs().max()) == 0.0:
        shape = replace(shape, offset=math.inf)
    covariance, reason = _covariance(problem, shape, variance)
    least_squares = problem.loss.is_least_squares and problem.formula.has_standard_errors
    r_squared = _r_squared(problem, total)
    aic = _aic(problem, total, n, p) if least_squares else None
    return Statistics(
        free=problem.free_params,
        n=n,
        degrees_of_freedom=degrees,
        residual_std=None if variance is None else math.sqrt(variance),
        reduced_chi_squared=variance,
        r_squared=r_squared,
        adjusted_r_squared=(
            None if r_squared is None or degrees <= 0 else 1 - (1 - r_squared) * (n - 1) / degrees
        ),
        aic=aic,
        aicc=None if aic is None or degrees <= 2 else aic + 2 * (p + 1) * (p + 2) / (n - p - 2),
        bic=None if aic is None else aic + (math.log(n) - 2) * (p + 1),
        covariance=covariance,
        covariance_reason=reason,
        deficient=shape.deficient,
        offset=shape.offset,
        condition=shape.condition,
        held=tuple(held.tolist()),
        z=z,
        flat=tuple(bool(column.abs().max() == 0) for column in jacobian.unbind(-1)),
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """The Jacobian's R factor with columns of unit norm, and what it tells."""

    r: Tensor
    scale: Tensor
    condition: float
    deficient: tuple[str, ...]
    offset: float

    @classmethod
    def of(cls, jacobian: Tensor, names: tuple[str, ...], slope: Tensor) -> _Shape:
        n, p = jacobian.shape
        finite = bool(torch.isfinite(jacobian).all()) and bool(torch.isfinite(slope).all())
        if not finite or p == 0:
            nothing = torch.zeros((p, p), dtype=torch.float64)
            return cls(nothing, torch.ones(p), math.inf if p else 1.0, (), math.inf if p else 0.0)
        norms = torch.linalg.vector_norm(jacobian, dim=0)
        scale = torch.where(norms > 0, norms, torch.ones_like(norms))
        q, r = torch.linalg.qr(jacobian / scale)
        u, singular, vh = torch.linalg.svd(r)
        largest = float(singular[0])
        floor = torch.finfo(torch.float64).eps * max(n, p) * largest
        short = singular <= floor
        short = torch.nn.functional.pad(short, (0, vh.shape[0] - len(short)), value=True)
        involved = (vh[short].abs() > 0.1).any(dim=0).tolist() if bool(short.any()) else [False] * p
        return cls(
            r,
            scale,
            largest / float(singular[-1]) if float(singular[-1]) > 0 and n >= p else math.inf,
            tuple(name for name, bad in zip(names, involved, strict=False) if bad),
            _offset(q @ u[:, : len(singular)][:, singular > floor], slope, n),
        )


def _offset(q: Tensor, slope: Tensor, n: int) -> float:
    """‖Qᵀz‖/√p over ‖z − QQᵀz‖/√(n − p) (Bates and Watts 2.10), with ψ(z)/2 for z."""
    total, p = float(slope.norm()), q.shape[-1]
    along = float((q.mT @ slope).norm())
    if p == 0 or n <= p or total == 0.0:
        return 0.0
    across = math.sqrt(max(total**2 - along**2, 0.0))
    if across <= 1e-14 * total:
        return math.inf
    return (along / math.sqrt(p)) / (across / math.sqrt(n - p))


def _held(problem: Problem, theta: Tensor, jacobian: Tensor, slope: Tensor) -> Tensor:
    """Which free params a bound keeps from a lower loss."""
    free = problem.free_index
    value, gradient = theta[free], jacobian.mT @ slope
    return ((value <= problem.lower[free]) & (gradient > 0)) | (
        (value >= problem.upper[free]) & (gradient < 0)
    )


def _covariance(
    problem: Problem, shape: _Shape, variance: float | None
) -> tuple[Tensor | None, str | None]:
    if not problem.loss.is_least_squares:
        return None, f"loss '{problem.loss.name}' has no covariance by this method; 'mse' has"
    if not problem.formula.has_standard_errors:
        return None, "the params of a network have no standard errors"
    if not problem.free_params:
        return None, "no param is free"
    if not math.isfinite(shape.condition) and not shape.deficient:
        return None, "the Jacobian at these params is not finite"
    if shape.deficient:
        names = ", ".join(shape.deficient)
        return None, f"the data do not tell these params apart: {names}"
    if variance is None and not problem.sigma_absolute:
        return None, "there are no more rows than free params, so nothing tells the noise"
    identity = torch.eye(len(shape.scale), dtype=torch.float64)
    inverse = torch.linalg.solve_triangular(shape.r, identity, upper=True)
    inverse = inverse / shape.scale.unsqueeze(-1)
    factor = 1.0 if problem.sigma_absolute else variance
    covariance = inverse @ inverse.mT * factor
    if not bool(torch.isfinite(covariance).all()):
        return None, "the covariance is beyond float64; scale the data or sigma"
    return (covariance + covariance.mT) / 2, None


def _r_squared(problem: Problem, total: float) -> float | None:
    """1 − Σz²/Σ((y − ȳ)/σ)², ȳ the weighted mean; None for a constant target."""
    weight = torch.ones_like(problem.target)
    if problem.sigma is not None:
        weight = weight / problem.sigma**2
    mean = (weight * problem.target).sum() / weight.sum()
    spread = float((weight * (problem.target - mean) ** 2).sum())
    return 1 - total / spread if spread > 0 else None


def _aic(problem: Problem, total: float, n: int, p: int) -> float:
    """−2·log-likelihood + 2(p + 1), Gaussian, σ² counted as a param; as R has it for nls."""
    if total <= 0.0:
        return -math.inf
    weights = 0.0
    if problem.sigma is not None:
        weights = float(-2 * torch.log(problem.sigma.double()).sum())
    return n * (math.log(2 * math.pi) + 1 - math.log(n) + math.log(total)) - weights + 2 * (p + 1)
