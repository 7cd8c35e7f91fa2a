"""Statistics of groups with one noise, which may share params.

With the R factor [R11 R12; 0 R22] of the groups (`solvers.arrow`), K = R11⁻¹R12, RSS over all rows
and df = N − Σ min(q, n_g) − r (N − G·q − r but for groups of fewer rows than q): s² = RSS/df,
Var(β) = s²(R22ᵀR22)⁻¹, Var(α_g) = s²R11⁻¹R11⁻ᵀ + K Var(β) Kᵀ, Cov(α_g, β) = −K Var(β).
They equal those of the dense problem. Groups without a finite loss are left out.
Source: Björck, Numerical Methods for Least Squares Problems, 2nd ed. (2024), 6.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from service.engine.formula import Formula
from service.engine.inference.distributions import t_quantile
from service.engine.inference.likelihood import saturated
from service.engine.kernel import composite, operators
from service.engine.kernel.statistics import ROUNDING
from service.engine.kernel.types import Bools, Floats
from service.engine.prior import extended
from service.engine.problem import Groups, Problem, Task
from service.engine.solvers.arrow import (
    Arrow,
    inverse_upper,
    merged,
    triangularise,
)

INVOLVED = 0.1
"""A param whose part in a direction without data is larger is not determined."""
NOTHING = 1e-12
"""A singular value of columns of unit norm that is rounding."""
COUPLED = 1e-8
"""A local param that follows a shared one by less than this part of a unit is independent of it."""


@dataclass(frozen=True, eq=False)
class Pooled:
    """Statistics of all rows of groups with q local and r shared free params. NaN where a value
    does not exist."""

    local: tuple[str, ...]
    shared: tuple[str, ...]
    n: int
    count: int
    """Number of params, r + Σ min(q, n_g)."""
    total: float
    """RSS"""
    variance: float
    r_squared: float
    aic: float
    noise: float
    """s, or 1 where σ is absolute; NaN without standard errors."""
    is_rounding: bool
    """Whether the residuals are only rounding errors of the target."""
    is_absolute: bool
    offset: float
    """The relative offset of Bates and Watts over all params: see `statistics.Figures`."""
    stderr: Floats
    """Of the shared params, (r,)."""
    covariance: Floats
    """(r, r)"""
    local_stderr: Floats
    """(groups, q)"""
    local_covariance: Floats
    """Of each group's params with each other and with the shared ones, (groups, q, q + r)."""
    lost: Bools
    """Which shared params are not identifiable, (r,)."""
    local_lost: Bools
    """Which local params are not identifiable, (groups, q)."""
    reason: str | None
    """Why there are no standard errors of the shared params."""
    deviance: float = math.nan
    """Of a likelihood, as in `statistics.Figures`."""
    log_likelihood: float = math.nan
    noise_params: int = 0
    """Params of the noise that were estimated besides its scale."""

    @property
    def degrees_of_freedom(self) -> int:
        return self.n - self.count

    @property
    def params(self) -> int:
        """k of the information criteria."""
        return self.count + (not self.is_absolute) + self.noise_params

    @property
    def aicc(self) -> float:
        k, n = self.params, self.n
        return self.aic + 2 * k * (k + 1) / (n - k - 1) if n > k + 1 else math.nan

    @property
    def bic(self) -> float:
        return self.aic + (math.log(self.n) - 2) * self.params if self.n else math.nan

    @property
    def adjusted_r_squared(self) -> float:
        degrees = self.degrees_of_freedom
        if degrees <= 0:
            return math.nan
        return 1 - (1 - self.r_squared) * (self.n - 1) / degrees

    @property
    def t_degrees(self) -> float:
        """The degrees of freedom of Student's t; infinite where σ is known."""
        return math.inf if self.is_absolute else float(self.degrees_of_freedom)

    def t(self, level: float) -> float:
        """Half the width of a two-sided interval of that level, in standard errors."""
        return t_quantile(0.5 + level / 2, self.t_degrees) if self.t_degrees > 0 else math.nan


@np.errstate(all="ignore")
def pool(task: Task, theta: Floats) -> Pooled:
    """The statistics of groups at θ (groups, params) of a task in float64."""
    problem, fits = task.problem, task.fits
    local, shared = task.local_places, task.shared_places
    q, names = len(local), problem.params
    order = [*local.tolist(), *shared.tolist()]
    program = problem.formula.program(order).tensors  # type: ignore[union-attr]
    counts = problem.loss.likelihood is not None
    number = problem.loss_number if counts else 0
    sums, factor = _linearised(problem, program, number, fits, theta)
    if problem.prior is not None:
        own = extended(problem, fits, task.shared)
        assert isinstance(own.problem.formula, Formula)
        longer = own.problem.formula.program(order).tensors
        factor = _linearised(own.problem, longer, number, own.fits, theta)[1]
    alive = np.isfinite(sums[:, 0]) & np.isfinite(factor).all(axis=(1, 2))
    alive &= np.isfinite(theta).all(axis=1)
    factor = np.where(alive[:, None, None], factor, 0.0)
    sizes = np.where(alive, fits.sizes.numpy(), 0)
    arrow, rest, pinned, shared_pinned, norms = _determined(factor, q, sizes)
    pinned &= alive[:, None]
    n = int(sizes.sum())
    total = float((factor[alive, :, -1] ** 2).sum() if counts else sums[alive, 0].sum())
    count = int(np.minimum(q, sizes).sum()) + len(shared)
    size, spread, logs = _of_target(task, alive)
    degrees, absolute = n - count, problem.sigma_absolute
    variance = total / degrees if degrees > 0 else math.nan
    found = Pooled(
        local=tuple(names[i] for i in local), shared=tuple(names[i] for i in shared),
        n=n, count=count, total=total, variance=variance,
        r_squared=1 - total / spread if spread > (ROUNDING * size) ** 2 else math.nan,
        aic=_aic(n, count, total, logs, absolute=absolute) + 2 * problem.noise_params,
        noise=1.0 if absolute else math.sqrt(variance),
        is_rounding=total <= (ROUNDING * size) ** 2, is_absolute=absolute,
        offset=_offset(arrow, count, degrees),
        stderr=np.full(len(shared), np.nan), covariance=np.full((len(shared),) * 2, np.nan),
        local_stderr=np.full((len(fits), q), np.nan),
        local_covariance=np.full((len(fits), q, len(order)), np.nan),
        lost=_involved(rest[None, :-1, :-1], shared_pinned[None], norms[:1, q:])[0],
        local_lost=_involved(factor[:, :q, :q], pinned, norms[:, :q]),
        reason=None, noise_params=problem.noise_params,
    )  # fmt: skip
    reason = _reason(task, found)
    if problem.prior is not None:
        found = replace(found, aic=math.nan)
    if not problem.loss.has_likelihood:
        return replace(found, noise=math.nan, aic=math.nan, reason=reason)
    if counts:
        found = _of_counts(task, found, alive, float(sums[alive, 0].sum()))
    return _with_errors(replace(found, reason=reason), arrow, alive)


def _linearised(
    problem: Problem, program: tuple[torch.Tensor, ...], number: int, fits: Groups, theta: Floats
) -> tuple[Floats, Floats]:
    """The sums and the R factors of groups: see `operators.linearise`."""
    found = operators.linearise(
        program, number, 1.0, problem.data(fits.spans), torch.from_numpy(theta),
        torch.zeros(len(fits), dtype=torch.float64),
    )  # fmt: skip
    return found[0].cpu().numpy(), found[1].cpu().numpy()


def _determined(
    factor: Floats, q: int, sizes: Floats
) -> tuple[Arrow, Floats, Bools, Bools, Floats]:
    """The arrow without the params that those before them determine, the shared part before it is
    reduced so, which local and which shared params these are, and the norms of the columns, those
    of shared params over all groups."""
    groups, width = len(factor), factor.shape[1]
    own = _norms(factor[:, :, :-1], axis=1)
    whole = _norms(own[:, q:], axis=0)
    norms = np.concatenate([own[:, :q], np.tile(whole, (groups, 1))], axis=1)
    epsilon = 4 * float(np.finfo(float).eps)
    pinned = np.zeros((groups, q), dtype=np.bool_)
    slack = epsilon * np.maximum(sizes, width)
    blocks = np.empty((width + q, width, groups))
    for _ in range(q + 1):
        blocks[width:], blocks[:width] = 0.0, np.moveaxis(factor, 0, -1)
        blocks[:, :q][:, pinned.T] = 0.0
        at = np.arange(q)
        blocks[width + at, at] = np.where(pinned, 1.0, 0.0).T
        triangularise(blocks, q)
        small = slack[:, None] * norms[:, :q] >= np.abs(blocks[at, at]).T
        first = small & ~pinned & (np.cumsum(small & ~pinned, axis=1) == 1)
        if not first.any():
            break
        pinned |= first
    rest = merged(blocks[q:, q:].copy())
    foot, out = _without_lost(rest, whole, epsilon * max(float(sizes.sum()), width))
    return Arrow(blocks[:q], foot), rest, pinned, out, norms


def _norms(values: Floats, axis: int) -> Floats:
    """The norms along an axis, without overflow or underflow of the squares."""
    most = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    unit = np.where(most > 0, most, 1.0)
    found: Floats = (unit * np.sqrt(((values / unit) ** 2).sum(axis=axis, keepdims=True))).squeeze(
        axis
    )
    return found


def _without_lost(rest: Floats, whole: Floats, slack: float) -> tuple[Floats, Bools]:
    """[R22 c2; 0 ρ] without the shared params that those before them determine, and which these
    are; the norms of the columns over all groups are `whole`."""
    r = len(whole)
    out, at, foot = np.zeros(r, dtype=np.bool_), np.arange(r), rest
    for _ in range(r):
        small = (np.abs(foot[at, at]) <= slack * whole) & ~out
        if not small.any():
            break
        out[int(np.argmax(small))] = True
        rows = np.zeros((2 * r + 1, r + 1, 1))
        rows[: r + 1, :, 0] = rest
        rows[:, :r][:, out] = 0.0
        rows[r + 1 + at, at, 0] = np.where(out, 1.0, 0.0)
        triangularise(rows, r + 1)
        foot = rows[: r + 1, :, 0]
    return foot, out


def _involved(upper: Floats, pinned: Bools, norms: Floats) -> Bools:
    """The params that have a part in a direction in which the predictions do not change: of
    factors (…, q, q) with columns of those norms before they were reduced, where any is pinned."""
    lost = pinned.copy()
    at = np.flatnonzero(pinned.any(axis=1))
    if len(at):
        unit = np.where(norms[at] > 0, norms[at], 1.0)
        _, values, right = np.linalg.svd(upper[at] / unit[:, None])
        none = values <= NOTHING
        lost[at] |= np.sqrt(((right * none[..., None]) ** 2).sum(axis=1)) > INVOLVED
    return lost


def _of_target(task: Task, alive: Bools) -> tuple[float, float, float]:
    """‖y/σ‖, Σ((y − ȳ)/σ)² and Σ ln σ over the rows of some groups."""
    problem = task.problem
    chosen = np.repeat(alive, task.fits.sizes.numpy())
    rows = torch.from_numpy(np.flatnonzero(chosen)).to(problem.target.device)
    if not len(rows):
        return math.nan, math.nan, math.nan
    y = problem.target[rows]
    sigma = torch.ones_like(y) if problem.sigma is None else problem.sigma[rows]
    size, spread, logs = (float(each) for each in composite.of_target(y, sigma))
    return size, spread, logs


def _offset(arrow: Arrow, count: int, degrees: int) -> float:
    if count <= 0 or degrees <= 0:
        return 0.0
    within = float((arrow.top[:, -1] ** 2).sum() + (arrow.foot[:-1, -1] ** 2).sum())
    beyond = float(arrow.foot[-1, -1] ** 2)
    if beyond == 0.0:
        return 0.0 if within == 0.0 else math.inf
    return math.sqrt(within / count / (beyond / degrees))


def _aic(n: int, k: int, total: float, logs: float, *, absolute: bool) -> float:
    if not n:
        return math.nan
    if absolute:
        return n * math.log(2 * math.pi) + total + 2 * logs + 2 * k
    log_total = math.log(total) if total > 0 else -math.inf
    return n * (math.log(2 * math.pi) + 1 - math.log(n) + log_total) + 2 * logs + 2 * (k + 1)


def _of_counts(task: Task, found: Pooled, alive: Bools, deviance: float) -> Pooled:
    """The statistics with those of a likelihood, and without those that only least squares has."""
    logs = math.nan
    if found.is_absolute:
        logs = float(saturated(task.problem, task.fits)[alive].sum()) - deviance / 2
    return replace(
        found, r_squared=math.nan, aic=2 * found.count - 2 * logs,
        deviance=deviance, log_likelihood=logs,
    )  # fmt: skip


def _reason(task: Task, found: Pooled) -> str | None:
    """Why the shared params have no standard errors; None if they have."""
    if not task.problem.loss.has_likelihood:
        return f"loss '{task.problem.loss.name}' has no covariance by this method; 'mse' has one"
    if not found.n:
        return "no group has a finite loss"
    if found.lost.any():
        lost = [name for name, gone in zip(found.shared, found.lost, strict=True) if gone]
        return f"no group determines {', '.join(lost)} (the Jacobian is rank deficient)"
    if found.degrees_of_freedom <= 0 and not found.is_absolute:
        return "there are no more rows than free params, so the noise cannot be estimated"
    return None


def _with_errors(found: Pooled, arrow: Arrow, alive: Bools) -> Pooled:
    """The statistics with standard errors and covariances."""
    q, r, noise = len(found.local), len(found.shared), found.noise
    kept = ~found.lost
    outer = inverse_upper(arrow.foot[:-1, :-1, None])[..., 0] * kept[:, None] * kept
    shared = (noise * outer) @ (noise * outer).T
    inner = inverse_upper(arrow.inner)
    follow = np.einsum("ikg,kjg->gij", inner, arrow.coupling)
    own = np.einsum("ikg,jkg->gij", noise * inner, noise * inner)
    across = -np.einsum("gik,kj->gij", follow, shared)
    own = own - np.einsum("gij,gkj->gik", across, follow)
    gone = found.local_lost | ~alive[:, None]
    if found.lost.any():
        unit = 1.0 / np.where(found.lost, np.abs(np.diag(arrow.foot)[:-1]), 1.0)
        gone |= (np.abs(follow[:, :, found.lost]) > COUPLED * unit[found.lost]).any(axis=2)
    covariance = np.concatenate([own, across], axis=2)
    covariance[gone] = np.nan
    covariance[:, :, :q][np.broadcast_to(gone[:, None], (len(gone), q, q))] = np.nan
    covariance[:, :, q:][:, :, found.lost] = np.nan
    local_stderr = np.sqrt(np.diagonal(covariance[:, :, :q], axis1=1, axis2=2))
    fine = found.reason is None
    return replace(
        found,
        covariance=shared if fine else np.full((r, r), np.nan),
        stderr=np.sqrt(np.diag(shared)) if fine else np.full(r, np.nan),
        local_covariance=covariance, local_stderr=local_stderr,
    )  # fmt: skip
