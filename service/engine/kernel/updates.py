"""The update rules of gradient descent and its kin, with torch.optim's names, options and
arithmetic: operation by operation, in the dtype of the params.

Each moves θ (P,) and its running sums (3, q) in place, by the gradient (q,) over the free params;
`free` (q,) are their positions, `done` says how many updates were made before.

Sources: torch.optim's documentation; Kingma and Ba, Adam (2015); Loshchilov and Hutter, Decoupled
weight decay (2019); Reddi et al., AMSGrad (2018); Hinton, RMSprop (2012); Duchi et al. (2011).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from service.engine.kernel.compiled import allocating, inlined
from service.engine.kernel.evaluation import larger
from service.engine.kernel.types import Floats, Ints

SGD, ADAM, RMSPROP, ADAGRAD = range(4)
KINDS: Mapping[str, int] = {
    "sgd": SGD, "adam": ADAM, "adamw": ADAM, "rmsprop": RMSPROP, "adagrad": ADAGRAD,
}  # fmt: skip
"""The update rules that are compiled, by the names of the optimizers."""


class Update(NamedTuple):
    """An update rule with its options; those that only others have are 0."""

    kind: int
    weight_decay: float
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    beta1: float = 0.0
    beta2: float = 0.0
    eps: float = 0.0
    amsgrad: bool = False
    decoupled: bool = False
    alpha: float = 0.0
    centered: bool = False
    lr_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    """What the first running sum begins with."""


def update_of(optimizer: str, settings: object) -> Update:
    """The update rule of an optimizer with its options set, which has the attributes of `Update`
    that it uses."""
    used = {
        name: float(getattr(settings, name))
        for name in Update._fields[1:]
        if hasattr(settings, name)
    }
    return Update(KINDS[optimizer], **used)  # type: ignore[arg-type]


@allocating
def update_from(options: Floats) -> Any:
    """The same from its numbers, in their order."""
    o = options
    return Update(
        int(o[0]), o[1], o[2], o[3], o[4] != 0.0, o[5], o[6], o[7], o[8] != 0.0, o[9] != 0.0,
        o[10], o[11] != 0.0, o[12], o[13],
    )  # fmt: skip


@inlined
def move(
    update: Any, theta: Floats, free: Ints, gradient: Floats, sums: Floats, done: int, rate: float
) -> None:
    """One update by whichever rule it is."""
    if update.kind == SGD:
        _sgd(update, theta, free, gradient, sums, done, rate)
    elif update.kind == ADAM:
        _adam(update, theta, free, gradient, sums, done, rate)
    elif update.kind == RMSPROP:
        _rmsprop(update, theta, free, gradient, sums, rate)
    else:
        _adagrad(update, theta, free, gradient, sums, done, rate)


@inlined
def _sgd(
    update: Any, theta: Floats, free: Ints, gradient: Floats, sums: Floats, done: int, rate: float
) -> None:
    """v' = momentum·v + (1 − dampening)·g; θ' = θ − rate·v'. With nesterov, g + momentum·v'."""
    real, velocity = theta.dtype.type, sums[0]
    decay, momentum = real(update.weight_decay), real(update.momentum)
    share, step_size = real(1.0 - update.dampening), real(rate)
    for j in range(len(free)):
        i = free[j]
        step = gradient[j]
        if update.weight_decay != 0.0:
            step += decay * theta[i]
        if update.momentum != 0.0:
            velocity[j] = momentum * velocity[j] + share * step if done > 0 else step
            step = step + momentum * velocity[j] if update.nesterov else velocity[j]
        theta[i] -= step_size * step


@inlined
def _adam(
    update: Any, theta: Floats, free: Ints, gradient: Floats, sums: Floats, done: int, rate: float
) -> None:
    """m' = β₁m + (1−β₁)g; v' = β₂v + (1−β₂)g²; θ' = θ − rate·m̂/(√v̂ + eps), bias-corrected.

    `decoupled` takes the weight decay off θ itself (AdamW) rather than adding it to g; `amsgrad`
    has the largest v' so far for v̂.
    """
    real, count = theta.dtype.type, done + 1.0
    mean, square, largest = sums[0], sums[1], sums[2]
    decay, kept = real(update.weight_decay), real(1.0 - rate * update.weight_decay)
    beta1, rest1 = real(update.beta1), real(1.0 - update.beta1)
    beta2, rest2 = real(update.beta2), real(1.0 - update.beta2)
    bias1 = real(1.0 - update.beta1**count)
    bias2 = real(math.sqrt(1.0 - update.beta2**count))
    eps, step_size = real(update.eps), real(rate)
    for j in range(len(free)):
        i = free[j]
        value, slope = theta[i], gradient[j]
        if update.weight_decay != 0.0:
            if update.decoupled:
                value *= kept
            else:
                slope += decay * value
        mean[j] = beta1 * mean[j] + rest1 * slope
        square[j] = beta2 * square[j] + rest2 * slope * slope
        spread = square[j]
        if update.amsgrad:
            largest[j] = larger(largest[j], spread)
            spread = largest[j]
        theta[i] = value - step_size * (mean[j] / bias1) / (math.sqrt(spread) / bias2 + eps)


@inlined
def _rmsprop(
    update: Any, theta: Floats, free: Ints, gradient: Floats, sums: Floats, rate: float
) -> None:
    """v' = αv + (1−α)g²; θ' = θ − rate·g/(√v' + eps); `centered` takes the mean off v'."""
    real = theta.dtype.type
    square, mean, velocity = sums[0], sums[1], sums[2]
    decay, momentum = real(update.weight_decay), real(update.momentum)
    alpha, rest = real(update.alpha), real(1.0 - update.alpha)
    eps, step_size = real(update.eps), real(rate)
    for j in range(len(free)):
        i = free[j]
        slope = gradient[j]
        if update.weight_decay != 0.0:
            slope += decay * theta[i]
        square[j] = alpha * square[j] + rest * slope * slope
        spread = square[j]
        if update.centered:
            mean[j] = alpha * mean[j] + rest * slope
            spread -= mean[j] * mean[j]
        step = slope / (math.sqrt(spread) + eps)
        if update.momentum != 0.0:
            velocity[j] = momentum * velocity[j] + step
            step = velocity[j]
        theta[i] -= step_size * step


@inlined
def _adagrad(
    update: Any, theta: Floats, free: Ints, gradient: Floats, sums: Floats, done: int, rate: float
) -> None:
    """s' = s + g²; θ' = θ − rate/(1 + t·lr_decay)·g/(√s' + eps)."""
    real, total = theta.dtype.type, sums[0]
    decay, eps = real(update.weight_decay), real(update.eps)
    step_size = real(rate / (1.0 + done * update.lr_decay))
    for j in range(len(free)):
        i = free[j]
        slope = gradient[j]
        if update.weight_decay != 0.0:
            slope += decay * theta[i]
        total[j] += slope * slope
        theta[i] -= step_size * (slope / (math.sqrt(total[j]) + eps))
