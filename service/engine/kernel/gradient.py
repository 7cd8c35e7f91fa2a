"""The loss of rows of data and its gradient in one reading, block by block.

loss(θ) = mean ρ(z) with z = (f(x; θ) − y)/σ, and ∂loss/∂θ = Σ ψ(z)/n/σ · ∂f/∂θ. Each row's numbers
have the dtype of the data, as torch's have; sums over rows are float64, rounded once at the end. ρ
and ψ of the losses other than mse are computed in float64 and rounded for each row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from service.engine.kernel.compiled import allocating, compiled, compiled_sums, inlined
from service.engine.kernel.evaluation import BLOCK, read_params, read_rows
from service.engine.kernel.likelihoods import POISSON, deviances
from service.engine.kernel.likelihoods import pull as pull_of_deviance
from service.engine.kernel.losses import MSE, psi, rho
from service.engine.kernel.types import Floats, Ints


class GradientRoom(NamedTuple):
    """What one thread reads gradients in."""

    values: Floats
    """(entries, BLOCK): a block's values, in the data's dtype."""
    pull: Floats
    """(BLOCK,): of each row of a block z, then ψ(z)/n/σ."""
    sums: Floats
    """(q + 1,): the gradient so far, and Σψ(z)/n/σ."""
    seen: Ints
    """(1,): the first row of the block whose part that depends on columns alone is in `values`; −1
    where there is none. A caller that turns to other data sets −1."""
    columns: Floats
    """(inputs, BLOCK), the rows of a mini-batch gathered from the columns;"""
    target: Floats
    """(BLOCK,), from the target;"""
    sigma: Floats
    """(BLOCK,), from σ; empty where there is none."""


@allocating
def gradient_room(model: Any, data: Any) -> Any:
    """Room for one thread's gradients of that model."""
    like = data.target
    seen = np.empty(1, np.int64)
    seen[0] = -1
    return GradientRoom(
        np.empty((len(model.codes), BLOCK), like.dtype),
        np.empty(BLOCK, like.dtype),
        np.empty(len(model.free) + 1),
        seen,
        np.empty((len(data.columns), BLOCK), like.dtype),
        np.empty(BLOCK, like.dtype),
        np.empty(BLOCK if len(data.sigma) else 0, like.dtype),
    )


@inlined
def read_gradient(
    model: Any, data: Any, room: Any, theta: Floats, first: int, until: int, gradient: Floats
) -> float:
    """The loss of the rows from `first` to `until` at θ (params,); puts its gradient over the free
    params into `gradient` (q,)."""
    rows = until - first
    read_params(model.codes, model.constants, model.sections[0], theta, room.values)
    room.sums[:] = 0.0
    total = 0.0
    for at in range(first, until, BLOCK):
        count = min(BLOCK, until - at)
        total += _block(model, data.columns, data.target, data.sigma, at, count, rows, room)
    return _finish(model, room, total, rows, gradient)


@inlined
def read_batch(
    model: Any, data: Any, room: Any, theta: Floats, first: int, order: Ints, gradient: Floats
) -> float:
    """The same of a mini-batch: the rows at positions `order` (batch,) counted from `first`."""
    rows = len(order)
    read_params(model.codes, model.constants, model.sections[0], theta, room.values)
    room.sums[:] = 0.0
    total = 0.0
    for at in range(0, rows, BLOCK):
        count = min(BLOCK, rows - at)
        for i in range(count):
            row = first + order[at + i]
            for j in range(len(data.columns)):
                room.columns[j, i] = data.columns[j, row]
            room.target[i] = data.target[row]
            if len(data.sigma):
                room.sigma[i] = data.sigma[row]
        room.seen[0] = -1
        total += _block(model, room.columns, room.target, room.sigma, 0, count, rows, room)
    room.seen[0] = -1
    return _finish(model, room, total, rows, gradient)


@inlined
def _block(
    model: Any, columns: Floats, target: Floats, sigma: Floats, at: int, count: int, rows: int,
    room: Any,
) -> float:  # fmt: skip
    """Σρ of the block of `count` rows from `at` on; adds to the sums of the room."""
    codes, sections, values, pull = model.codes, model.sections, room.values, room.pull
    if room.seen[0] != at:
        read_rows(codes, sections[0], sections[1], columns, at, count, values)
        room.seen[0] = at
    read_rows(codes, sections[1], len(codes), columns, at, count, values)
    place = model.outputs[0]
    for i in range(count):
        pull[i] = values[place, i] - target[at + i]
    if len(sigma):
        for i in range(count):
            pull[i] /= sigma[at + i]
    if model.loss == MSE:
        total = _squares(pull, count, rows)
    elif model.loss >= POISSON:
        total = deviances(model.loss, values[place], target, sigma, at, count)
        pull_of_deviance(model.loss, values[place], target, at, count, pull, rows)
    else:
        total = _losses(model.loss, model.delta, pull, count, rows)
    if len(sigma):
        for i in range(count):
            pull[i] /= sigma[at + i]
    for j in range(len(model.free)):
        place = model.outputs[1 + j]
        if place >= sections[0]:
            room.sums[j] += _product(pull, values, place, count)
    room.sums[len(model.free)] += _sum(pull, count)
    return total


@compiled_sums
def _squares(pull: Floats, count: int, rows: int) -> float:
    """Σz², and ψ(z)/n in the place of z."""
    scale = pull.dtype.type(2.0 / rows)
    total = 0.0
    for i in range(count):
        z = pull[i]
        total += z * z
        pull[i] = z * scale
    return total


@compiled
def _losses(loss: int, delta: float, pull: Floats, count: int, rows: int) -> float:
    """Σρ(z), and ψ(z)/n in the place of z."""
    real = pull.dtype.type
    total = 0.0
    for i in range(count):
        z = np.float64(pull[i])
        total += real(rho(loss, z, delta))
        pull[i] = real(psi(loss, z, delta)) / real(rows)
    return total


@compiled_sums
def _sum(pull: Floats, count: int) -> float:
    total = 0.0
    for i in range(count):
        total += pull[i]
    return total


@compiled_sums
def _product(pull: Floats, values: Floats, place: int, count: int) -> float:
    total = 0.0
    for i in range(count):
        total += pull[i] * values[place, i]
    return total


@inlined
def _finish(model: Any, room: Any, total: float, rows: int, gradient: Floats) -> float:
    """Puts the gradient where it is wanted; the loss, rounded to the data's dtype. A slope that is
    the same in all rows is multiplied once, as torch does, which matters where it is infinite."""
    real = gradient.dtype.type
    q = len(model.free)
    for j in range(q):
        place = model.outputs[1 + j]
        if place < model.sections[0]:
            gradient[j] = real(room.sums[q]) * room.values[place, 0]
        else:
            gradient[j] = real(room.sums[j])
    return float(real(total / rows))
