"""Gradient descent on a linear problem, any epoch at once.

With mean squared error the descent is linear: in the basis of R's right singular vectors each part
of θ − θ* shrinks or grows by its own factor, z_k = (1 − ηλ)^k z₀ with λ = 2s²/n, and
loss_k = (ρ² + ‖(1 − ηλ)^k u₀‖²)/n, u₀ = Uᵀ(R₁θ₀ − c). Every epoch is reckoned from epoch 0, so no
error accumulates, and a direction in which the data say nothing (s = 0) stays where it was.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.engine.compressed import Compressed
from service.engine.gradients import Objective
from service.engine.optimizers.first_order import Sgd
from service.engine.problem import Task
from service.engine.result import Best, Rows, StopReason
from service.engine.run import Progress, Run
from service.engine.stopping import EXPLOSION

BLOCK = 8192
"""Epochs that are reckoned together."""

Floats = npt.NDArray[np.float64]


class ClosedForm(Run):
    """Plain full-batch gradient descent at a constant rate on a linear least-squares problem."""

    def __init__(self, task: Task, checkpoint: Progress | None = None) -> None:
        super().__init__(task)
        problem, settings = task.problem, task.options.settings
        assert isinstance(settings, Sgd)
        self._objective = Objective(problem)
        self._data = data = Compressed.of(problem)
        u, self._s, self._vt = np.linalg.svd(data.r)
        start = problem.initial.numpy()
        self._u0 = u.T @ (data.r @ start[data.free] - data.c)
        self._rate = settings.learning_rate
        with np.errstate(over="ignore"):
            self._decay = -self._rate * 2 * self._s**2 / data.rows
        self._progress = checkpoint or self._begin()

    def loss_at(self, theta: Tensor) -> float:
        return float(self._objective.loss(theta))

    def _begin(self) -> Progress:
        theta = self.task.problem.initial
        loss, gradient = self._objective.gradient(theta, self.task.options.gradient)
        first = float(loss)
        return Progress(0, theta, None, math.nan, first, gradient, Best(1, first, theta))

    def _epoch(self) -> None:
        self._block(1)

    def step(self, epochs: int) -> Rows:
        """Does that many epochs, or as many as are left; the rows recorded in them."""
        left = min(epochs, self.epochs - self.epoch)
        parts = []
        while left > 0 and not self.done:
            count = min(left, BLOCK)
            parts.append(self._block(count))
            left -= count
        return _joined(parts, len(self.task.problem.params))

    def _factors(self, k: Floats) -> tuple[Floats, Floats]:
        """(1 − ηλ)^k and (1 − ηλ)^k − 1 for each k and each direction, (k, free)."""
        base, k = 1 + self._decay, k[:, None]
        slow = np.abs(self._decay) < 0.5
        with np.errstate(all="ignore"):
            exponent = k * np.where(slow, np.log1p(np.where(slow, self._decay, 0.0)), 0.0)
            size = np.exp(k * np.log(np.abs(base)))
        size = np.where((base == 0) & (k == 0), 1.0, size)
        fast = np.where(base < 0, 1 - 2 * np.remainder(k, 2), 1.0) * size
        return np.where(slow, np.exp(exponent), fast), np.where(slow, np.expm1(exponent), fast - 1)

    def _params(self, less_one: Floats) -> Floats:
        """θ_k = θ₀ + V((f − 1)/s·u₀), (k, params); where s = 0 it does not move."""
        moving = (self._s > 0) & (self._u0 != 0)
        s = np.where(self._s > 0, self._s, 1.0)
        with np.errstate(all="ignore"):
            moved = self._turned(np.where(moving, less_one / s * self._u0, 0.0))
        theta = np.repeat(self.task.problem.initial.numpy()[None, :], len(less_one), axis=0)
        theta[:, self._data.free] += moved
        return theta

    def _turned(self, parts: Floats) -> Floats:
        """parts·Vᵀ, summed in an order that does not depend on how many rows there are."""
        turned: Floats = (parts[:, :, None] * self._vt[None, :, :]).sum(axis=1)
        return turned

    def _losses(self, factors: Floats) -> Floats:
        with np.errstate(all="ignore"):
            parts = np.where(self._u0 != 0, factors * self._u0, 0.0)
            losses: Floats = ((parts * parts).sum(axis=1) + self._data.rho2) / self._data.rows
        return losses

    def _gradients(self, factors: Floats) -> Floats:
        with np.errstate(all="ignore"):
            parts = np.where(self._u0 != 0, factors * self._u0 * self._s, 0.0)
            slopes = (2 / self._data.rows) * self._turned(parts)
        gradient = np.zeros((len(factors), self._data.params))
        gradient[:, self._data.free] = slopes
        return gradient

    def _block(self, count: int) -> Rows:
        """The next so many epochs, up to the one that ends the run."""
        before = self._progress
        k = np.arange(before.epoch, before.epoch + count + 1, dtype=np.float64)
        factors, less_one = self._factors(k)
        losses = self._losses(factors[:-1])
        last, reason = self._ending(losses, factors, less_one)
        epochs = before.epoch + 1 + np.arange(last + 1)
        chosen = self._recorded_rows(epochs, last, ended=reason is not None)
        theta = self._params(less_one[chosen + 1])
        end = self._params(less_one[last + 1 : last + 2])[0]
        best = self._best(before.best, losses[: last + 1], less_one, before.epoch)
        self._progress = replace(
            before,
            epoch=int(epochs[-1]),
            theta=torch.from_numpy(end),
            loss=float(losses[last]),
            best=best,
            stop_reason=reason,
        )
        return Rows(
            torch.from_numpy(epochs[chosen]),
            torch.from_numpy(losses[chosen]),
            torch.from_numpy(theta),
            torch.from_numpy(self._gradients(factors[chosen])),
        )

    def _recorded_rows(
        self, epochs: npt.NDArray[np.int64], last: int, *, ended: bool
    ) -> npt.NDArray[np.int64]:
        keep = (epochs % self.task.options.record_every == 0) | (epochs == 1)
        keep[last] |= ended
        return np.flatnonzero(keep)

    def _best(self, best: Best, losses: Floats, less_one: Floats, done: int) -> Best:
        finite = np.where(np.isfinite(losses), losses, np.inf)
        i = int(finite.argmin())
        if not finite[i] < best.loss:
            return best
        theta = self._params(less_one[i : i + 1])[0]
        return Best(done + i + 1, float(losses[i]), torch.from_numpy(theta))

    def _ending(
        self, losses: Floats, factors: Floats, less_one: Floats
    ) -> tuple[int, StopReason | None]:
        """The block's last epoch, counted from 0, and why the run ends there, if it does."""
        options, first = self.task.options, self._progress.first_loss
        wrong = ~np.isfinite(losses) | (losses > EXPLOSION * max(first, 5e-324))
        last = len(losses) - 1
        reason: StopReason | None = None
        if options.on_divergence == "stop" and wrong.any():
            last, reason = int(wrong.argmax()), "diverged"
        settled = self._settled(losses, factors, less_one) & ~wrong
        if settled[: last + 1].any():
            last, reason = int(settled.argmax()), "converged"
        if reason is None and self._progress.epoch + len(losses) == self.epochs:
            reason = "max_epochs"
        return last, reason

    def _settled(self, losses: Floats, factors: Floats, less_one: Floats) -> npt.NDArray[np.bool_]:
        """The epochs that meet a tolerance that is on."""
        tolerance = self.task.options.tolerance
        settled = np.zeros(len(losses), dtype=bool)
        if tolerance.loss:
            before = np.concatenate([[self._progress.loss], losses[:-1]])
            settled |= np.abs(before - losses) <= tolerance.loss * np.abs(before)
        if tolerance.params:
            theta = self._params(less_one)
            moved = np.linalg.norm(np.diff(theta, axis=0), axis=1)
            settled |= moved <= tolerance.params * np.linalg.norm(theta[:-1], axis=1)
        if tolerance.gradient:
            first = float(self._progress.first_gradient.abs().max())
            sizes = np.abs(self._gradients(factors[:-1])).max(axis=1)
            settled |= sizes <= tolerance.gradient * first
        return settled


def _joined(parts: list[Rows], width: int) -> Rows:
    if not parts:
        empty = torch.empty((0, width), dtype=torch.float64)
        return Rows(
            torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.float64), empty, empty
        )
    return Rows(
        torch.cat([part.epoch for part in parts]),
        torch.cat([part.loss for part in parts]),
        torch.cat([part.params for part in parts]),
        torch.cat([part.gradient for part in parts]),
    )
