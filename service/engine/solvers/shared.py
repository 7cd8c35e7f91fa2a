"""Levenberg-Marquardt for groups that share some params: min Σ_g Σρ(z_g(α_g, β)).

Each epoch is one trial step of all params, by the arrow-shaped R factor (`solvers.arrow`), linear
in the number of groups. Damping: rows √λ_g·D_g of each group's local params and √λ·D of the shared
ones, D the norms of the Jacobian's columns. A group whose loss falls less than promised is damped
by itself, so that it does not shorten the steps of the others. A group without a finite loss at its
start is left out. Sources: those of `kernel.marquardt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from service.engine.kernel import operators
from service.engine.kernel.marquardt_trial import (
    FIRST_DAMPING,
    LEAST_DAMPING,
    LINGERING,
    MOST_DAMPING,
    ROUNDING,
    SHRINK,
    STRAIGHT,
)
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.problem import Task
from service.engine.result import Ends, Rows, StopReason
from service.engine.solvers.arrow import arrow_of, step_of
from service.engine.solvers.contract import Progress
from service.engine.solvers.marquardt import QUICK

POOR = 0.75
"""Part of the promised fall whose absence makes a group's step a bad one."""
NOTABLE = 1e-3
"""Part of the fall promised for all groups that is notable in one: less is not held against it."""
RISE = 4.0
"""Factor by which the damping of such a group rises."""
AT_REST = 1e-6
"""Relative step below which a group is at its minimum."""


@dataclass
class State:
    """The state of the fit: groups with q local and r shared free params of p."""

    theta: Floats
    """(groups, p)"""
    sums: Floats
    """Σρ of each group, (groups,)."""
    factor: Floats
    """R of [J_local | J_shared | z], (groups, q + r + 1, q + r + 1)."""
    first: Floats
    """Σρ at the start."""
    slope: Floats
    """The gradient of Σρ at the start, (groups, q + r)."""
    alive: Bools
    """The groups with a finite loss, which are fitted."""
    damping: Floats
    """λ of the local params of each group."""
    shared_damping: float
    moved: Floats
    """The relative length of the last step of each group."""
    growth: float = 2.0
    epoch: int = 0
    lingered: int = 0
    quietest: float = np.inf
    reason: StopReason | None = None


@dataclass(frozen=True)
class _Read:
    sums: Floats
    factor: Floats


class SharedMarquardt:
    """Levenberg-Marquardt on groups that share params."""

    def __init__(self, task: Task) -> None:
        problem, fits = task.problem, task.fits
        self._task, self._fits = task, fits
        self._local, self._shared = task.local_places, task.shared_places
        self._order: Ints = np.concatenate([self._local, self._shared])
        self._lower, self._upper = problem.limits.numpy()
        self._data = problem.data(fits.spans)
        self._program = problem.formula.program(self._order.tolist()).tensors  # type: ignore[union-attr]
        self._epsilon = float(torch.finfo(problem.target.dtype).eps)
        self._sizes: Floats = fits.sizes.double().numpy()
        rows = int(fits.sizes.sum())
        self.stride = max(1, QUICK // (max(rows, 8 * len(fits)) * problem.formula.operations))
        constant = operators.constant_losses(problem.loss_number, problem.loss.delta, self._data)
        self._constant: Floats = constant.numpy() * self._sizes

    def init(self) -> State:
        theta = self._fits.initial.double().numpy().copy()
        theta = np.clip(theta, self._lower, self._upper)
        read = self._read(theta, np.ones(len(theta), dtype=np.bool_))
        alive = np.isfinite(read.sums) & np.isfinite(read.factor).all(axis=(1, 2))
        factor = np.where(alive[:, None, None], read.factor, 0.0)
        sums = np.where(alive, read.sums, np.nan)
        damping = LEAST_DAMPING if self._task.problem.is_linear else FIRST_DAMPING[0]
        return State(
            theta, sums, factor, sums.copy(), _slopes(factor), alive,
            np.full(len(theta), damping), damping, np.full(len(theta), np.inf),
            reason=None if alive.any() else "diverged",
        )  # fmt: skip

    def step(self, state: State, epochs: int) -> tuple[State, Mapping[int, Rows]]:
        with np.errstate(all="ignore"):
            for _ in range(epochs):
                if state.reason is not None:
                    break
                if not len(self._order):
                    state = replace(state, reason="converged")
                    break
                state = self._try(state)
        return state, {}

    def progress(self, state: State) -> Progress:
        loss = self._loss(state.sums, state.alive)
        ended = 0 if state.reason is None else len(state.alive)
        return Progress(state.epoch, loss, loss, ended)

    def done(self, state: State) -> bool:
        return state.reason is not None

    def ends(self, state: State) -> Ends:
        tensor = torch.from_numpy
        count = len(state.theta)
        theta, loss = tensor(state.theta.copy()), tensor(state.sums / self._sizes)
        epochs = torch.full((count,), max(state.epoch, int(state.reason is not None)))
        gradient = np.zeros_like(state.theta)
        gradient[:, self._order] = 2.0 * state.slope / self._sizes[:, None]
        return Ends(
            theta=theta, loss=loss, epochs=epochs, reasons=tuple(self._reasons(state)),
            best=theta, best_loss=loss, best_epoch=epochs,
            first_loss=tensor(state.first / self._sizes), first_gradient=tensor(gradient),
            initial=self._fits.initial.double(),
        )  # fmt: skip

    def total(self, state: State) -> float:
        """Σρ over the groups that are fitted."""
        return float(state.sums[state.alive].sum())

    def _loss(self, sums: Floats, alive: Bools) -> float:
        rows = float(self._sizes[alive].sum())
        return float(sums[alive].sum()) / rows if rows else np.nan

    def _reasons(self, state: State) -> list[StopReason | None]:
        """Of a fit that reached its last epoch, the groups at rest have converged."""
        reasons: list[StopReason | None] = []
        for alive, moved in zip(state.alive.tolist(), state.moved.tolist(), strict=True):
            rests = state.reason in ("max_epochs", "stalled") and moved <= AT_REST
            reasons.append("diverged" if not alive else "converged" if rests else state.reason)
        return reasons

    def _read(self, theta: Floats, chosen: Bools) -> _Read:
        """Σρ and the R factor of the chosen groups at θ (groups, p); NaN for the others."""
        problem, at = self._task.problem, np.flatnonzero(chosen)
        *columns, spans = self._data
        width = len(self._order) + 1
        sums, factor = np.full(len(theta), np.nan), np.full((len(theta), width, width), np.nan)
        if len(at):
            found = operators.linearise(
                self._program, problem.loss_number, problem.loss.delta,
                (*columns, spans[:, torch.from_numpy(at)]), torch.from_numpy(theta[at]),
                torch.zeros(len(at), dtype=torch.float64),
            )  # fmt: skip
            sums[at], factor[at] = found[0][:, 0].cpu().numpy(), found[1].cpu().numpy()
        return _Read(sums, factor)

    def _try(self, state: State) -> State:
        """One trial step, taken if the loss falls."""
        factor, alive, q = state.factor, state.alive, len(self._local)
        norms = np.sqrt((factor[:, :-1, :-1] ** 2).sum(axis=1))
        norms = np.concatenate(
            [norms[:, :q], np.tile(np.sqrt((norms[:, q:] ** 2).sum(axis=0)), (len(norms), 1))],
            axis=1,
        )
        unit = np.where(norms > 0, norms, 1.0)
        slope = _slopes(factor)
        slope[:, q:] = slope[:, q:].sum(axis=0)
        held = self._held(state.theta, slope)
        roots = np.sqrt(state.damping)[:, None] * unit[:, :q]
        arrow = arrow_of(
            factor,
            q,
            held[:, :q] | ~alive[:, None],
            roots,
            held[0, q:],
            np.sqrt(state.shared_damping) * unit[0, q:],
        )
        theta = self._moved(state.theta, *step_of(arrow))
        steps = (theta - state.theta)[:, self._order]
        projected = np.einsum("gij,gj->gi", factor[:, :-1, :-1], steps)
        promised = -((projected + 2.0 * factor[:, :-1, -1]) * projected).sum(axis=1)
        sizes = np.sqrt(((unit * steps) ** 2).sum(axis=1))
        whole = np.sqrt(((unit * state.theta[:, self._order]) ** 2).sum(axis=1))
        moved = np.where(alive, sizes / np.maximum(whole, 1e-300), 0.0)
        slant = self._slant(state, slope, norms, held)
        read = self._read(theta, alive)
        return self._judged(state, theta, read, promised, moved, slant)

    def _held(self, theta: Floats, slope: Floats) -> Bools:
        """The params that a bound holds back, (groups, q + r)."""
        values, lower, upper = (
            theta[:, self._order], self._lower[self._order], self._upper[self._order],
        )  # fmt: skip
        held: Bools = ((values <= lower) & (slope > 0)) | ((values >= upper) & (slope < 0))
        return held

    def _moved(self, theta: Floats, local: Floats, shared: Floats) -> Floats:
        moved = theta.copy()
        moved[:, self._local] += local
        moved[:, self._shared] += shared
        moved = np.clip(moved, self._lower, self._upper)
        if self._epsilon > 1e-10:
            moved[:, self._order] = moved[:, self._order].astype(np.float32)
        return moved

    def _slant(self, state: State, slope: Floats, norms: Floats, held: Bools) -> float:
        """The largest cosine between the residuals and a column of the Jacobian."""
        total = np.sqrt(self.total(state))
        size = norms * total
        cosine = np.abs(slope) / np.where(size > 0, size, np.inf)
        return float(np.where(held | ~state.alive[:, None], 0.0, cosine).max(initial=0.0))

    def _judged(
        self, state: State, theta: Floats, read: _Read, promised: Floats, moved: Floats,
        slant: float,
    ) -> State:  # fmt: skip
        alive = state.alive
        fine = np.isfinite(read.sums) & np.isfinite(read.factor).all(axis=(1, 2))
        before, hope = self.total(state), float(promised[alive].sum())
        actual = np.where(fine & alive, state.sums - read.sums, -np.inf)
        fall = float(actual[alive].sum())
        constant = float(np.nansum(self._constant[alive]))
        scale = before if not before < constant < np.inf else np.sqrt(before * constant)
        rounding = ROUNDING * self._epsilon * scale
        negligible = abs(hope) <= rounding
        took = bool(fine[alive].all()) and (
            (fall > 0 and hope > 0) or (negligible and fall >= -rounding)
        )
        share = np.maximum(np.abs(promised), NOTABLE * abs(hope))
        bad = alive & (promised - actual > POOR * share + rounding)
        close = 1.0 - np.abs(actual - promised) / np.maximum(share, rounding)
        easier = np.clip(1.0 - (2.0 * close - 1.0) ** 3, SHRINK, 1.0)
        damping = np.where(bad, state.damping * RISE, state.damping * easier if took else 1.0)
        damping = damping if took else np.where(bad, damping, state.damping)
        ratio = 1.0 if negligible else fall / hope
        shared = state.shared_damping
        shared *= max(1.0 - (2.0 * ratio - 1.0) ** 3, SHRINK) if took else state.growth
        quiet = float(moved.max(initial=0.0))
        lingered, quietest = state.lingered + 1, state.quietest
        if not negligible:
            lingered = 0
        elif quiet < 0.5 * quietest:
            lingered, quietest = 0, quiet
        after = replace(
            state, damping=np.clip(damping, LEAST_DAMPING, MOST_DAMPING), moved=moved,
            shared_damping=max(shared, LEAST_DAMPING), epoch=state.epoch + 1,
            growth=2.0 if took else 2.0 * state.growth, lingered=lingered, quietest=quietest,
        )  # fmt: skip
        if took:
            kept = alive[:, None, None]
            after.theta, after.sums = theta, np.where(alive, read.sums, np.nan)
            after.factor = np.where(kept, read.factor, 0.0)
        after.reason = self._ending(after, before, hope, slant, took=took)
        return after

    def _ending(
        self, after: State, before: float, hope: float, slant: float, *, took: bool
    ) -> StopReason | None:
        asked = self._task.options.tolerance
        tolerance = max(asked.params, 4.0 * self._epsilon)
        small = float(after.moved.max(initial=0.0)) <= tolerance or after.lingered >= LINGERING
        now = self.total(after)
        if (small and slant <= STRAIGHT) or now == 0.0 or abs(hope) <= tolerance**2 * before:
            return "converged"
        if asked.loss and took and before - now <= asked.loss * before:
            return "converged"
        if asked.gradient:
            steepest = np.abs(_slopes(after.factor)).max(initial=0.0)
            if steepest <= asked.gradient * np.abs(after.slope).max(initial=0.0):
                return "converged"
        if not took and after.shared_damping > MOST_DAMPING:
            return "stalled"
        return "max_epochs" if after.epoch >= self._task.options.epochs else None


def _slopes(factor: Floats) -> Floats:
    """Jᵀz of each group, (groups, q + r)."""
    found: Floats = np.einsum("gij,gi->gj", factor[:, :, :-1], factor[:, :, -1])
    return found
