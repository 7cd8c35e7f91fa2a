"""Where a first-order descent finds its gradients: over the data by torch, over a small problem by
numpy, or on the R factor that stands for a linear problem's data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol

import numpy as np
import torch
from torch import Tensor

from service.engine.compressed import Compressed
from service.engine.formula import Formula
from service.engine.gradients import Objective
from service.engine.long import LongObjective, is_long
from service.engine.optimizers.first_order import A, Floats
from service.engine.problem import GradientMethod, Options, Problem

Gradient = Callable[[A], tuple[float, A]]
"""θ (params,) -> loss, ∂loss/∂θ."""


class Ground(Protocol, Generic[A]):
    """Losses and gradients in one kind of array, and the way to tensors and back."""

    def gradient(self, theta: A) -> tuple[float, A]: ...
    def batches(self) -> Iterator[Gradient[A]]:
        """The gradient on each mini-batch of an epoch; nothing where the batch is all rows."""
        ...

    def clamped(self, theta: A) -> A:
        """The nearest params within their bounds; no rule moves a fixed one."""
        ...

    def array(self, tensor: Tensor) -> A: ...
    def tensor(self, array: A) -> Tensor: ...
    def stacked(self, arrays: Sequence[A]) -> Tensor: ...


class DataGround:
    """The data themselves, full-batch or in mini-batches, by torch."""

    def __init__(self, problem: Problem, options: Options, generator: torch.Generator) -> None:
        self._problem, self._method = problem, options.gradient
        self._objective = Objective(problem)
        self._bounded, self._pinned = problem.is_bounded, not all(problem.free)
        batch = options.batch_size
        self._batch = batch if batch is not None and batch < problem.rows else None
        self._generator = generator

    def gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        loss, gradient = self._objective.gradient(theta, self._method)
        return float(loss), gradient

    def batches(self) -> Iterator[Gradient[Tensor]]:
        if self._batch is None:
            return
        order = torch.randperm(self._problem.rows, generator=self._generator)
        for rows in torch.split(order, self._batch):
            part = self._objective.on(rows.to(self._problem.target.device))

            def gradient(theta: Tensor, part: Objective = part) -> tuple[float, Tensor]:
                loss, slope = part.gradient(theta, self._method)
                return float(loss), slope

            yield gradient

    def clamped(self, theta: Tensor) -> Tensor:
        if self._bounded:
            theta = torch.clamp(theta, self._problem.lower, self._problem.upper)
        if self._pinned:
            theta = torch.where(self._objective.free, theta, self._problem.initial)
        return theta

    def array(self, tensor: Tensor) -> Tensor:
        return tensor

    def tensor(self, array: Tensor) -> Tensor:
        return array

    def stacked(self, arrays: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(arrays)).double().cpu()


class SmallGround:
    """A small or a compressed problem, full-batch, by numpy."""

    def __init__(
        self, problem: Problem, gradient: Gradient[Floats], data: Compressed | None = None
    ) -> None:
        self.gradient = gradient
        self.data = data
        """What stands for the data of a linear problem."""
        self._lower, self._upper = problem.lower.cpu().numpy(), problem.upper.cpu().numpy()
        self._free, self._initial = np.array(problem.free), problem.initial.cpu().numpy()
        self._bounded, self._pinned = problem.is_bounded, not all(problem.free)

    def batches(self) -> Iterator[Gradient[Floats]]:
        return iter(())

    def clamped(self, theta: Floats) -> Floats:
        if self._bounded:
            theta = np.clip(theta, self._lower, self._upper)
        if self._pinned:
            theta = np.where(self._free, theta, self._initial)
        return theta

    def array(self, tensor: Tensor) -> Floats:
        values: Floats = tensor.numpy()
        return values

    def tensor(self, array: Floats) -> Tensor:
        return torch.from_numpy(np.array(array))

    def stacked(self, arrays: Sequence[Floats]) -> Tensor:
        return torch.from_numpy(np.stack(arrays))


class FarGround(SmallGround):
    """The same for a problem on another device: only its R factor is here."""

    def __init__(self, problem: Problem, data: Compressed) -> None:
        super().__init__(problem, data.gradient, data)
        self._device = problem.initial.device

    def array(self, tensor: Tensor) -> Floats:
        return super().array(tensor.cpu())

    def tensor(self, array: Floats) -> Tensor:
        return super().tensor(array).to(self._device)


def small_ground(problem: Problem, options: Options) -> SmallGround | None:
    """The short way to the gradient of a problem, if it has one."""
    target = problem.target
    if target.dtype != torch.float64:
        return None
    batched = options.batch_size is not None and options.batch_size < problem.rows
    if batched or options.gradient.method != "analytic":
        return None
    if not problem.loss.is_least_squares or not isinstance(problem.formula, Formula):
        return None
    if problem.is_linear and problem.free_params:
        data = Compressed.of(problem)
        if not data.is_finite:
            return None
        if target.device.type != "cpu":
            return FarGround(problem, data)
        return SmallGround(problem, data.gradient, data)
    if problem.small is not None:
        return SmallGround(problem, problem.small.gradient)
    return None


def reading(problem: Problem) -> Callable[[Tensor], tuple[float, Tensor]]:
    """θ -> the loss and ∂loss/∂θ, from the data themselves."""
    if problem.small is not None:
        small = problem.small

        def read_small(theta: Tensor) -> tuple[float, Tensor]:
            with np.errstate(all="ignore"):
                loss, gradient = small.gradient(theta.numpy())
            return loss, torch.from_numpy(gradient)

        return read_small
    if is_long(problem):
        long, free = LongObjective(problem), problem.free_index

        def read_long(theta: Tensor) -> tuple[float, Tensor]:
            loss, factor = long.linearise(theta[free].unsqueeze(0))
            r, c = factor[0, :-1, :-1], factor[0, :-1, -1]
            gradient = torch.zeros_like(theta)
            gradient[free] = 2 * (r.mT @ c) / problem.rows
            return float(loss), gradient

        return read_long
    objective, analytic = Objective(problem), GradientMethod()

    def read(theta: Tensor) -> tuple[float, Tensor]:
        loss, gradient = objective.gradient(theta, analytic)
        return float(loss), gradient

    return read
