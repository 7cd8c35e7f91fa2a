"""First-order optimizers, with the names, options and arithmetic of torch.optim.

Each is a pure rule: (θ, gradient, state, rate) -> (θ', state'), all of shape (params,), on torch
tensors or on numpy arrays alike. A state can be stopped, moved and resumed bit for bit.
Sources: torch.optim's documentation; Kingma and Ba, Adam (2015); Loshchilov and Hutter, Decoupled
weight decay (2019); Reddi et al., AMSGrad (2018); Hinton, RMSprop (2012); Duchi et al. (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.engine.schedules import Constant, Schedule

Floats = npt.NDArray[np.float64]
A = TypeVar("A", Tensor, Floats)
"""The type of params: a tensor or an array."""


class State(NamedTuple, Generic[A]):
    """The state of an update rule: updates done so far, and running sums of the shape of θ."""

    done: int
    sums: tuple[A, ...]


class FirstOrder(Protocol):
    """The protocol of update rules."""

    @property
    def learning_rate(self) -> float: ...
    @property
    def schedule(self) -> Schedule: ...
    def start(self, theta: A) -> State[A]: ...
    def update(self, theta: A, gradient: A, state: State[A], rate: float) -> tuple[A, State[A]]: ...


@dataclass(frozen=True, slots=True)
class Sgd:
    """v' = momentum·v + (1 − dampening)·g; θ' = θ − rate·v'. With nesterov, g + momentum·v'."""

    learning_rate: float = 1e-3
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: Schedule = Constant()

    def start(self, theta: A) -> State[A]:
        return State(0, (theta * 0,))

    def update(self, theta: A, gradient: A, state: State[A], rate: float) -> tuple[A, State[A]]:
        if self.weight_decay:
            gradient = gradient + self.weight_decay * theta
        if not self.momentum:
            return theta - rate * gradient, state
        velocity = gradient
        if state.done:
            velocity = self.momentum * state.sums[0] + (1 - self.dampening) * gradient
        step = gradient + self.momentum * velocity if self.nesterov else velocity
        return theta - rate * step, State(state.done + 1, (velocity,))


@dataclass(frozen=True, slots=True)
class Adam:
    """m' = β₁m + (1−β₁)g; v' = β₂v + (1−β₂)g²; θ' = θ − rate·m̂/(√v̂ + eps), bias-corrected.

    `decoupled` subtracts the weight decay from θ (AdamW) rather than adding it to g.
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False
    decoupled: bool = False
    schedule: Schedule = Constant()

    def start(self, theta: A) -> State[A]:
        return State(0, (theta * 0, theta * 0, theta * 0))

    def update(self, theta: A, gradient: A, state: State[A], rate: float) -> tuple[A, State[A]]:
        count, (mean, square, largest) = state.done + 1, state.sums
        if self.weight_decay and self.decoupled:
            theta = theta * (1 - rate * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient + self.weight_decay * theta
        mean = self.beta1 * mean + (1 - self.beta1) * gradient
        square = self.beta2 * square + (1 - self.beta2) * gradient * gradient
        if self.amsgrad:
            largest = larger(largest, square)
        spread = (largest if self.amsgrad else square) ** 0.5 / (1 - self.beta2**count) ** 0.5
        step = mean / (1 - self.beta1**count)
        moved = theta - rate * step / (spread + self.eps)
        return moved, State(count, (mean, square, largest))


@dataclass(frozen=True, slots=True)
class Rmsprop:
    """v' = αv + (1−α)g²; θ' = θ − rate·g/(√v' + eps); `centered` subtracts the mean from v'."""

    learning_rate: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False
    schedule: Schedule = Constant()

    def start(self, theta: A) -> State[A]:
        return State(0, (theta * 0, theta * 0, theta * 0))

    def update(self, theta: A, gradient: A, state: State[A], rate: float) -> tuple[A, State[A]]:
        square, mean, velocity = state.sums
        if self.weight_decay:
            gradient = gradient + self.weight_decay * theta
        square = self.alpha * square + (1 - self.alpha) * gradient * gradient
        spread = square
        if self.centered:
            mean = self.alpha * mean + (1 - self.alpha) * gradient
            spread = square - mean * mean
        step = gradient / (spread**0.5 + self.eps)
        if self.momentum:
            velocity = self.momentum * velocity + step
            step = velocity
        return theta - rate * step, State(state.done + 1, (square, mean, velocity))


@dataclass(frozen=True, slots=True)
class Adagrad:
    """s' = s + g²; θ' = θ − rate/(1 + t·lr_decay)·g/(√s' + eps)."""

    learning_rate: float = 1e-2
    lr_decay: float = 0.0
    eps: float = 1e-10
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    schedule: Schedule = Constant()

    def start(self, theta: A) -> State[A]:
        return State(0, (theta * 0 + self.initial_accumulator_value,))

    def update(self, theta: A, gradient: A, state: State[A], rate: float) -> tuple[A, State[A]]:
        count, (total,) = state
        if self.weight_decay:
            gradient = gradient + self.weight_decay * theta
        total = total + gradient * gradient
        step = gradient / (total**0.5 + self.eps)
        return theta - rate / (1 + count * self.lr_decay) * step, State(count + 1, (total,))


def larger(a: A, b: A) -> A:
    """The larger of two, element by element."""
    if isinstance(a, Tensor):
        return torch.maximum(a, b)
    return np.maximum(a, b)
