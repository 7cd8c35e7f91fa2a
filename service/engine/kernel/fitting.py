"""Fits, as the operators do them (see `operators`): a slice of the epochs of each group, groups
shared out to threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from service.engine.kernel import composite, first_order, marquardt, rows, sharing
from service.engine.kernel.marquardt_state import EPOCH, unpack
from service.engine.kernel.readings import SAMPLE, arrays_of, reduced
from service.engine.kernel.sharing import extent, share_out
from service.engine.kernel.types import Bools, Floats, Ints


def descend(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    rules: Sequence[Tensor], epochs: int, batch: int, stop: bool, state: Sequence[Tensor],
    history: Sequence[Tensor], after: int, rates: Tensor, orders: Tensor, every: int,
) -> None:  # fmt: skip
    """See `operators.descend`."""
    arrays, views, (limits, options, tolerances) = (
        arrays_of(program),
        arrays_of(data),
        arrays_of(rules),
    )
    own, kept, (steps, order) = arrays_of(state), arrays_of(history), arrays_of((rates, orders))

    def part(first: int, until: int) -> None:
        arguments = (
            *arrays, loss, delta, *views, limits, options, tolerances, epochs, batch, stop, *own,
            *kept, after, steps, order, every, first, until,
        )  # fmt: skip
        first_order.fit(*arguments)

    size = float(extent(views[3])[1])
    share_out(part, views[3].shape[1], size * len(arrays[0]) * len(steps))


class Machine(NamedTuple):
    """A Levenberg-Marquardt as arrays: see `marquardt.respond`."""

    limits: Floats
    free: Ints
    linear: Bools
    tolerances: Floats
    epochs: int
    cornered: bool
    initial: Floats
    constant_losses: Floats
    numbers: Floats
    counts: Ints
    table: Floats
    recorded: Ints


Readings = Callable[[Ints, Floats, Floats], tuple[Floats, Floats, Floats]]
"""Groups (k,), their θ (k, params) and widths (k,) -> sums (k, 3), R (k, q + 1, q + 1) and slopes
(k, q)."""


def drive(
    read: Readings, machine: Machine, groups: Ints, sizes: Floats, steps: int, every: int
) -> None:
    """At most `steps` epochs of each of some groups, of `sizes` rows, by readings of any kind."""
    q, params = len(machine.free), machine.initial.shape[1]
    state = unpack(machine.numbers, machine.counts, len(machine.initial), params, q)
    until = state.counts[groups, EPOCH] + steps
    found = np.empty((0, 3)), np.empty((0, q + 1, q + 1)), np.empty((0, q))
    while len(groups):
        many = len(groups)
        wanted, trial, widths = np.empty(many, dtype=bool), np.empty((many, params)), np.empty(many)
        marquardt.respond(*(*machine, groups, sizes, until, *found, every, wanted, trial, widths))
        groups, sizes, until = groups[wanted], sizes[wanted], until[wanted]
        if len(groups):
            found = read(groups, trial[wanted], widths[wanted])


def fit_marquardt(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    rules: Sequence[Tensor], epochs: int, initial: Tensor, state: Sequence[Tensor],
    history: Sequence[Tensor], steps: int, every: int,
) -> None:  # fmt: skip
    """See `operators.marquardt_slice`."""
    arrays, views = arrays_of(program), arrays_of(data)
    limits, linear, tolerances = arrays_of(rules)
    start, (numbers, counts), (table, recorded) = (
        initial.numpy(),
        arrays_of(state),
        arrays_of(history),
    )
    cornered = composite.is_cornered(loss)
    longest, size = extent(views[3])
    chosen = np.arange(views[3].shape[1])
    if longest > sharing.PIECE:
        sizes = views[3][1] - views[3][0]
        *columns, spans = views
        q = (len(arrays[2]) - 3) // 2
        constant: Floats = rows.constant_losses(*(loss, delta, *views, SAMPLE))
        machine = Machine(
            limits, arrays[2][3 + q :], linear, tolerances, epochs, cornered, start, constant,
            numbers, counts, table, recorded,
        )  # fmt: skip

        def read(at: Ints, theta: Floats, width: Floats) -> tuple[Floats, Floats, Floats]:
            return reduced(arrays, loss, delta, (*columns, spans[:, at]), theta, width)

        long = sizes > sharing.PIECE
        drive(read, machine, chosen[long], sizes[long].astype(float), steps, every)
        chosen = chosen[~long]

    def part(first: int, until: int) -> None:
        arguments = (
            *arrays, loss, delta, *views, limits, linear, tolerances, epochs, cornered, start,
            numbers, counts, table, recorded, chosen, first, until, steps, every, SAMPLE,
        )  # fmt: skip
        marquardt.fit(*arguments)

    share_out(part, len(chosen), float(size) * len(arrays[0]) * min(steps, 10))


def composite_marquardt(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    rules: Sequence[Tensor], epochs: int, initial: Tensor, state: Sequence[Tensor],
    history: Sequence[Tensor], steps: int, every: int,
) -> None:  # fmt: skip
    """See `operators.marquardt_slice`, in plain torch."""
    *columns, spans = data
    limits, linear, tolerances = arrays_of(rules)
    (numbers, counts), (table, recorded) = arrays_of(state), arrays_of(history)
    free = program[2][3 + (len(program[2]) - 3) // 2 :].numpy()
    constant = composite.constant_losses(loss, delta, data, SAMPLE).numpy()
    machine = Machine(
        limits, free, linear, tolerances, epochs, composite.is_cornered(loss), initial.numpy(),
        constant, numbers, counts, table, recorded,
    )  # fmt: skip

    def read(at: Ints, theta: Floats, width: Floats) -> tuple[Floats, Floats, Floats]:
        part = (*columns, spans[:, torch.from_numpy(at)])
        points, widths = torch.from_numpy(theta), torch.from_numpy(width)
        found = composite.linearise(program, loss, delta, part, points, widths)
        sums, r, slopes = (each.numpy() for each in found)
        return sums, r, slopes

    sizes = (spans[1] - spans[0]).double().numpy()
    drive(read, machine, np.arange(len(sizes)), sizes, steps, every)
