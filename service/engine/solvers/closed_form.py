"""Gradient descent on a linear problem in closed form.

With mean squared error the descent is linear: in the basis of R's right singular vectors each
component of θ − θ* has its own factor, z_k = (1 − ηλ)^k z₀ with λ = 2s²/n, and
loss_k = (ρ² + ‖(1 − ηλ)^k u₀‖²)/n, u₀ = Uᵀ(R₁θ₀ − c). Every epoch is computed from epoch 0, so no
error accumulates, and a component that the data do not determine (s = 0) stays constant.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.catalogue.optimizers.sgd import Sgd
from service.engine.problem import Task
from service.engine.result import Best, Rows, StopReason, joined
from service.engine.solvers.compressed import Compressed, reading
from service.engine.solvers.single import At, SingleFit
from service.engine.stopping import EXPLOSION

BLOCK = 8192
"""Epochs that are computed together."""
HUGE = 1e250
"""While the params are below this, no sum over the rows overflows."""

Floats = npt.NDArray[np.float64]


class ClosedForm(SingleFit):
    """Plain full-batch gradient descent at a constant rate on a linear least-squares problem.

    Internal arrays are (free, k): those of a component are contiguous, and the order of a sum over
    the components does not depend on the number of epochs.
    """

    stride = BLOCK

    def __init__(self, task: Task, data: Compressed) -> None:
        super().__init__(task)
        problem, settings = task.problem, task.options.settings
        assert isinstance(settings, Sgd)
        self._reading = reading(problem)
        self._data = data
        u, self._s, self._vt = np.linalg.svd(data.r)
        self._start: Floats = problem.initial.cpu().numpy()
        self._u0 = u.T.dot(data.r.dot(self._start[data.free]) - data.c)
        self._moving = (self._s > 0) & (self._u0 != 0)
        with np.errstate(all="ignore"):
            self._decay = -settings.learning_rate * 2 * self._s**2 / data.rows
            slow = np.abs(self._decay) < 0.5
            self._log = np.where(
                slow, np.log1p(np.where(slow, self._decay, 0.0)), np.log(np.abs(1 + self._decay))
            )
        self._slow = slow

    def loss_at(self, theta: Tensor) -> float:
        return self._reading(theta)[0]

    def init(self) -> At:
        theta = self.task.problem.initial
        first, gradient = self._reading(theta)
        return At(0, theta, None, math.nan, first, gradient, Best(1, first, theta))

    def slice(self, at: At, epochs: int) -> tuple[At, Rows]:
        parts = []
        while epochs > 0 and at.reason is None:
            count = min(epochs, BLOCK)
            with np.errstate(all="ignore"):
                at, rows = self._block(at, count)
            parts.append(rows)
            epochs -= count
        return at, joined(parts, len(self.task.problem.params))

    # --- any epochs at once: k (k,) -> arrays (free, k) or (k, params) ---------------------------

    def _losses(self, k: Floats) -> Floats:
        """(ρ² + ‖(1 − ηλ)^k u₀‖²)/n: (k,)."""
        some = self._u0 != 0
        parts = self._sizes(k, self._log[some])
        parts *= self._u0[some, None]
        parts *= parts
        losses: Floats = (np.add.reduce(parts, axis=0) + self._data.rho2) / self._data.rows
        return losses

    def _sizes(self, k: Floats, log: Floats) -> Floats:
        """|1 − ηλ|^k."""
        exponent = np.multiply(log[:, None], k)
        if not np.isfinite(log).all():
            exponent[:, k == 0] = 0.0
        sizes: Floats = np.exp(exponent, exponent)
        return sizes

    def _factors(self, k: Floats) -> Floats:
        """(1 − ηλ)^k."""
        sizes = self._sizes(k, self._log)
        turning = 1 + self._decay < 0
        if turning.any():
            sizes[turning] *= 1 - 2 * np.remainder(k, 2)
        return sizes

    def _params(self, k: Floats) -> Floats:
        """θ_k = θ₀ + V((f − 1)/s·u₀), (k, params); constant where s = 0."""
        less_one = self._factors(k) - 1
        slow = self._slow
        if slow.any():
            less_one[slow] = np.expm1(self._log[slow, None] * k)
        theta = np.repeat(self._start[None, :], len(k), axis=0)
        moved = less_one[self._moving] / self._s[self._moving, None] * self._u0[self._moving, None]
        theta[:, self._data.free] += self._turned(moved, self._moving)
        if not np.abs(theta).max(initial=0.0) < HUGE:
            self._overflow(theta, k)
        return theta

    def _overflow(self, theta: Floats, k: Floats) -> None:
        """Makes params non-finite where the iteration would: it sums a gradient over the rows
        before taking the mean, and after one sum has overflowed, everything is NaN."""
        gradient = self._gradients(k - 1)
        reached = np.isfinite(gradient) | (k < 1)[:, None]
        theta[~reached] = -gradient[~reached]
        before = np.isfinite(self._gradients(k - 2)).all(axis=1) | (k < 2)
        theta[~before] = np.nan

    def _gradients(self, k: Floats) -> Floats:
        """2·V(f·s·u₀)/n, (k, params)."""
        parts = self._factors(k)[self._moving] * (self._u0 * self._s)[self._moving, None]
        gradient = np.zeros((len(k), self._data.params))
        gradient[:, self._data.free] = 2 * self._turned(parts, self._moving) / self._data.rows
        return gradient

    def _turned(self, parts: Floats, which: npt.NDArray[np.bool_]) -> Floats:
        """V·parts, as (k, free)."""
        turned: Floats = np.add.reduce(parts[:, :, None] * self._vt[which][:, None, :], axis=0)
        return turned

    # --- a block ---------------------------------------------------------------------------------

    def _block(self, before: At, count: int) -> tuple[At, Rows]:
        """The next `count` epochs, up to the one that ends the run."""
        k = np.arange(before.epoch, before.epoch + count, dtype=np.float64)
        losses = self._losses(k)
        last, reason = self._ending(before, losses, k)
        end = before.epoch + 1 + last
        epochs = self._recorded_epochs(before.epoch + 1, end, ended=reason is not None)
        at = epochs.astype(np.float64)
        rows = Rows.of(
            torch.from_numpy(epochs),
            torch.from_numpy(losses[epochs - before.epoch - 1]),
            torch.from_numpy(self._params(at)),
            torch.from_numpy(self._gradients(at - 1)),
        )
        after = replace(
            before,
            epoch=end,
            theta=self._there(self._params(np.array([float(end)]))[0]),
            loss=float(losses[last]),
            best=self._best(before.best, losses[: last + 1], before.epoch),
            reason=reason,
        )
        return after, rows

    def _recorded_epochs(self, first: int, last: int, *, ended: bool) -> npt.NDArray[np.int64]:
        every = self.task.options.record_every
        epochs = np.arange(-(-first // every) * every, last + 1, every, dtype=np.int64)
        ends = [1] if first == 1 and every > 1 else []
        if ended and last % every and last != 1:
            return np.concatenate([ends, epochs, [last]]).astype(np.int64)
        return np.concatenate([ends, epochs]).astype(np.int64) if ends else epochs

    def _best(self, best: Best, losses: Floats, done: int) -> Best:
        i = int(losses.argmin())
        if not math.isfinite(losses[i]):
            losses = np.where(np.isfinite(losses), losses, np.inf)
            i = int(losses.argmin())
        if not losses[i] < best.loss:
            return best
        theta = self._params(np.array([float(done + i)]))[0]
        return Best(done + i + 1, float(losses[i]), self._there(theta))

    def _there(self, theta: Floats) -> Tensor:
        """Params on the device of the problem."""
        return torch.from_numpy(theta).to(self.task.problem.initial.device)

    def _ending(self, at: At, losses: Floats, k: Floats) -> tuple[int, StopReason | None]:
        """The block's last epoch, counted from 0, and why the run ends there, if it does."""
        options = self.task.options
        limit = EXPLOSION * max(at.first_loss, 5e-324)
        last = len(losses) - 1
        reason: StopReason | None = None
        wrong = ~(losses <= min(limit, sys.float_info.max))
        if options.on_divergence == "stop" and wrong.any():
            last, reason = int(wrong.argmax()), "diverged"
        if options.tolerance.any:
            settled = self._settled(at, losses, k) & ~wrong
            if settled[: last + 1].any():
                last, reason = int(settled.argmax()), "converged"
        if reason is None and at.epoch + len(losses) == self.task.options.epochs:
            reason = "max_epochs"
        return last, reason

    def _settled(self, at: At, losses: Floats, k: Floats) -> npt.NDArray[np.bool_]:
        """Which epochs meet an enabled tolerance."""
        tolerance = self.task.options.tolerance
        settled = np.zeros(len(losses), dtype=bool)
        if tolerance.loss:
            before = np.concatenate([[at.loss], losses[:-1]])
            settled |= np.abs(before - losses) <= tolerance.loss * np.abs(before)
        if tolerance.params:
            theta = self._params(np.append(k, k[-1] + 1))
            moved = np.linalg.norm(np.diff(theta, axis=0), axis=1)
            settled |= moved <= tolerance.params * np.linalg.norm(theta[:-1], axis=1)
        if tolerance.gradient:
            first = float(at.first_gradient.abs().max())
            sizes = np.abs(self._gradients(k)).max(axis=1)
            settled |= sizes <= tolerance.gradient * first
        return settled
