"""The kernel behind torch's dispatcher: `torch.ops.descent.…`.

On the CPU an operator is compiled code on views of its tensors, which share groups, or pieces of
long data, out to as many threads as torch has; on any other device it is plain torch
(`composite`). Neither threads nor the cut into calls changes a bit of what it gives.

A program is three tensors (see `program.Program.tensors`). Data are four: columns (inputs, rows),
target and sigma (rows,), all of one dtype (sigma is empty where it is 1 everywhere), and spans (2,
groups) int64 on the CPU: where each group's rows begin, and end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.library import Library

from service.engine.kernel import (
    composite,
    first_order,
    linear,
    marquardt,
    reduction,
    rows,
    sharing,
    statistics,
)
from service.engine.kernel.marquardt_state import EPOCH, unpack
from service.engine.kernel.sharing import extent, merged, pieces_of, share_out
from service.engine.kernel.singular import least_norm
from service.engine.kernel.types import Bools, Floats, Ints

SORTING = 10.0
"""What a row costs to put in order, in operations of a program."""
SAMPLE = 2**15
"""Rows of a long group by which what there is to explain is judged."""

_library: Any = Library("descent", "DEF")  # type: ignore[no-untyped-call]
_library.define("read(Tensor[] program, Tensor columns, Tensor theta) -> Tensor")
_library.define(
    "linearise(Tensor[] program, int loss, float delta, Tensor[] data, Tensor theta, Tensor width)"
    " -> (Tensor, Tensor, Tensor)"
)
_library.define("constant_losses(int loss, float delta, Tensor[] data) -> Tensor")
_library.define(
    "reduce(Tensor[] program, int loss, float delta, Tensor[] data, Tensor theta)"
    " -> (Tensor, Tensor, Tensor)"
)
_library.define(
    "assess(Tensor[] program, int loss, float delta, Tensor[] data, Tensor theta, Tensor limits,"
    " bool[] options) -> (Tensor, Tensor)"
)
_library.define(
    "solve(Tensor[] program, Tensor[] data, Tensor initial, int steps) -> (Tensor, Tensor)"
)
_library.define(
    "gradient(Tensor[] program, int loss, float delta, Tensor[] data, Tensor theta)"
    " -> (Tensor, Tensor)"
)
_library.define(
    "descend(Tensor[] program, int loss, float delta, Tensor[] data, Tensor[] rules, int epochs, "
    "int batch, bool stop, Tensor(a!)[] state, Tensor(b!)[] history, int after, Tensor rates, "
    "Tensor orders, int every) -> ()"
)
_library.define(
    "marquardt(Tensor[] program, int loss, float delta, Tensor[] data, Tensor[] rules, int epochs, "
    "Tensor initial, Tensor(a!)[] state, Tensor(b!)[] history, int steps, int every) -> ()"
)


def _views(tensors: Sequence[Tensor]) -> Any:
    return tuple([each.contiguous().numpy() for each in tensors])


# --- readings -------------------------------------------------------------------------------------


def _read(program: Sequence[Tensor], columns: Tensor, theta: Tensor) -> Tensor:
    codes, constants, layout = _views(program)
    points, count = len(theta), columns.shape[1]
    found = torch.empty(((len(layout) - 3) // 2 + 1, points, count), dtype=theta.dtype)
    inputs, at, into = _views((columns, theta, found))

    def part(first: int, until: int) -> None:
        end = min(until * sharing.PIECE, count)
        rows.read_points(codes, constants, layout, inputs, at, first * sharing.PIECE, end, into)

    share_out(part, -(-count // sharing.PIECE), float(points) * count * len(codes))
    return found


def _linearise(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    theta: Tensor, width: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    at, widths = _views((theta, width))
    found = _reduced(_views(program), loss, delta, _views(data), at, widths)
    sums, r, slopes = (torch.from_numpy(each) for each in found)
    return sums, r, slopes


def _reduced(
    program: Any, loss: int, delta: float, data: Any,
    theta: Floats, width: Floats,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Sums, R and slopes of each group; those of a long group's pieces are put together in order
    (Demmel et al., SIAM J. Sci. Comput. 34 (2012) A206)."""
    *columns, spans = data
    q, (of, pieces, counts) = (len(program[2]) - 3) // 2, pieces_of(spans)
    sums, r, slopes = (
        np.empty((len(of), 3)),
        np.empty((len(of), q + 1, q + 1)),
        np.empty((len(of), q)),
    )

    def part(first: int, until: int) -> None:
        rows.linearise_spans(
            *(
                *program,
                loss,
                delta,
                *columns,
                theta,
                width,
                of,
                pieces,
                first,
                until,
                sums,
                r,
                slopes,
            )
        )

    share_out(part, len(of), float(extent(spans)[1]) * len(program[0]))
    if counts is None:
        return sums, r, slopes
    starts = np.cumsum(counts) - counts
    slopes = np.add.reduceat(slopes, starts) if q else slopes[starts]
    return np.add.reduceat(sums, starts), merged(r, starts, counts), slopes


def _reduce(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    arrays, at = _views(program), theta.contiguous().numpy()
    *columns, spans = _views(data)
    q, (of, pieces, counts) = (len(arrays[2]) - 3) // 2, pieces_of(spans)
    totals, r, z = np.empty(len(of)), np.empty((len(of), q + 1, q + 1)), np.empty(len(data[1]))
    sums = np.empty((spans.shape[1], 4))

    def part(first: int, until: int) -> None:
        reduction.reduce_spans(
            *(*arrays, loss, delta, *columns, at, of, pieces, first, until, totals, r, z)
        )

    def targets(first: int, until: int) -> None:
        reduction.reduce_targets(*(*columns, spans, first, until, sums))

    size = float(extent(spans)[1])
    share_out(part, len(of), size * len(arrays[0]))
    share_out(targets, len(sums), size)
    if counts is not None:
        starts = np.cumsum(counts) - counts
        totals, r = np.add.reduceat(totals, starts), merged(r, starts, counts)
    sums[:, 0] = totals
    return torch.from_numpy(r), torch.from_numpy(sums), torch.from_numpy(z)


def _assess(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor,
    limits: Tensor, options: Sequence[bool],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    arrays, views, (at, bounds) = _views(program), _views(data), _views((theta, limits))
    spans, q = views[3], (len(arrays[2]) - 3) // 2
    longest, size = extent(spans)
    if longest > sharing.PIECE:
        return _assess_reduced(_reduce, program, loss, delta, data, theta, limits, options)
    table, z = np.empty((len(at), statistics.width(q))), np.empty(len(views[1]))
    asked = np.array(options)

    def part(first: int, until: int) -> None:
        statistics.assess(
            *(*arrays, loss, delta, *views, at, bounds, asked, first, until, table, z)
        )

    share_out(part, len(at), size * (len(arrays[0]) + SORTING))
    return torch.from_numpy(table), torch.from_numpy(z)


def _composite_assess(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor,
    limits: Tensor, options: Sequence[bool],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return _assess_reduced(composite.reduce, program, loss, delta, data, theta, limits, options)


def _assess_reduced(
    reduced: Callable[..., tuple[Tensor, Tensor, Tensor]], program: Sequence[Tensor], loss: int,
    delta: float, data: Sequence[Tensor], theta: Tensor, limits: Tensor, options: Sequence[bool],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    factors, sums, z = reduced(program, loss, delta, data, theta)
    free = program[2][3 + (len(program[2]) - 3) // 2 :]
    return conclude(factors, sums, z, data, theta, limits, free, options), z


def conclude(
    factors: Tensor, sums: Tensor, z: Tensor, data: Sequence[Tensor], theta: Tensor,
    limits: Tensor, free: Tensor, options: Sequence[bool],
) -> Tensor:  # fmt: skip
    """The table of `assess` for groups that were reduced: see `kernel.statistics.conclude`."""
    columns, target, _, spans = _views([each.cpu() for each in data])
    given = _views([each.cpu() for each in (factors, sums, z)])
    at, bounds, positions = _views([each.cpu() for each in (theta, limits, free)])
    table = np.empty((len(at), statistics.width(given[0].shape[1] - 1)))
    asked = np.array(options)

    def part(first: int, until: int) -> None:
        statistics.conclude(
            *(
                *given,
                columns,
                target,
                spans,
                at,
                bounds,
                positions,
                len(positions),
                asked,
                first,
                until,
                table,
            )
        )

    share_out(part, len(at), SORTING * extent(spans)[1])
    return torch.from_numpy(table)


def _constant_losses(loss: int, delta: float, data: Sequence[Tensor]) -> Tensor:
    found: Floats = rows.constant_losses(*(loss, delta, *_views(data), SAMPLE))
    return torch.from_numpy(found)


def _composite_constant_losses(loss: int, delta: float, data: Sequence[Tensor]) -> Tensor:
    return composite.constant_losses(loss, delta, data, SAMPLE)


# --- linear least squares -------------------------------------------------------------------------


def _solve(
    program: Sequence[Tensor], data: Sequence[Tensor], initial: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    arrays, views, start = _views(program), _views(data), initial.contiguous().numpy()
    *columns, spans = views
    longest, size = extent(spans)
    if longest > sharing.PIECE:

        def read(theta: Floats) -> tuple[Floats, Floats]:
            sums, r, _ = _reduced(arrays, 0, 1.0, (*columns, spans), theta, np.zeros(len(theta)))
            return sums[:, 0], r

        return _solved(read, arrays[2], views, start, steps)
    q = (len(arrays[2]) - 3) // 2
    table, r = (
        np.empty((len(start), linear.width(start.shape[1]))),
        np.empty((len(start), q + 1, q + 1)),
    )

    def part(first: int, until: int) -> None:
        linear.solve(*(*arrays, *views, start, steps, first, until, table, r))

    share_out(part, len(start), float(size) * len(arrays[0]) * (1 + steps))
    return torch.from_numpy(table), torch.from_numpy(r)


def _composite_solve(
    program: Sequence[Tensor], data: Sequence[Tensor], initial: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    def read(theta: Floats) -> tuple[Floats, Floats]:
        width = torch.zeros(len(theta), dtype=torch.float64)
        sums, r, _ = composite.linearise(program, 0, 1.0, data, torch.from_numpy(theta), width)
        return sums[:, 0].numpy(), r.numpy()

    layout, views = program[2].numpy(), _views([each.cpu() for each in data])
    return _solved(read, layout, views, initial.cpu().numpy(), steps)


def _solved(
    read: Callable[[Floats], tuple[Floats, Floats]], layout: Ints, data: Sequence[Any],
    initial: Floats, steps: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The same by readings of any kind: θ (groups, params) -> Σz² (groups,) and R."""
    rows, free = (data[3][1] - data[3][0]).astype(float), layout[3 + (len(layout) - 3) // 2 :]
    theta, first = initial.copy(), read(initial)
    last = first
    for _ in range(steps if len(free) else 0):
        theta[:, free] += least_norm(last[1], rows)
        theta = theta.astype(data[1].dtype).astype(float)
        last = read(theta)
    table = linear.fill(first, last, theta, rows, free)
    return torch.from_numpy(table), torch.from_numpy(last[1])


# --- first-order descent --------------------------------------------------------------------------


def _gradient(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor
) -> tuple[Tensor, Tensor]:
    """Of a long group on one thread: its sums are taken in the order of its rows."""
    arrays, views, at = _views(program), _views(data), theta.contiguous().numpy()
    many = views[3].shape[1]
    losses = torch.empty(many, dtype=torch.float64)
    gradients = torch.empty((many, (len(arrays[2]) - 3) // 2), dtype=theta.dtype)
    into = _views((losses, gradients))

    def part(first: int, until: int) -> None:
        first_order.measure(*(*arrays, loss, delta, *views, at, first, until, *into))

    share_out(part, many, float(extent(views[3])[1]) * len(arrays[0]))
    return losses, gradients


def _descend(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    rules: Sequence[Tensor], epochs: int, batch: int, stop: bool, state: Sequence[Tensor],
    history: Sequence[Tensor], after: int, rates: Tensor, orders: Tensor, every: int,
) -> None:  # fmt: skip
    arrays, views, (limits, options, tolerances) = _views(program), _views(data), _views(rules)
    own, kept, (steps, order) = _views(state), _views(history), _views((rates, orders))

    def part(first: int, until: int) -> None:
        arguments = (
            *arrays, loss, delta, *views, limits, options, tolerances, epochs, batch, stop, *own,
            *kept, after, steps, order, every, first, until,
        )  # fmt: skip
        first_order.fit(*arguments)

    size = float(extent(views[3])[1])
    share_out(part, views[3].shape[1], size * len(arrays[0]) * len(steps))


# --- Levenberg-Marquardt --------------------------------------------------------------------------


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
    """At most so many epochs of each of some groups, of `sizes` rows, by readings of any kind."""
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


def _marquardt(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    rules: Sequence[Tensor], epochs: int, initial: Tensor, state: Sequence[Tensor],
    history: Sequence[Tensor], steps: int, every: int,
) -> None:  # fmt: skip
    arrays, views = _views(program), _views(data)
    limits, linear, tolerances = _views(rules)
    start, (numbers, counts), (table, recorded) = initial.numpy(), _views(state), _views(history)
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
            return _reduced(arrays, loss, delta, (*columns, spans[:, at]), theta, width)

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


def _composite_marquardt(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    rules: Sequence[Tensor], epochs: int, initial: Tensor, state: Sequence[Tensor],
    history: Sequence[Tensor], steps: int, every: int,
) -> None:  # fmt: skip
    *columns, spans = data
    limits, linear, tolerances = _views(rules)
    (numbers, counts), (table, recorded) = _views(state), _views(history)
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


IMPLEMENTATIONS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {
    "read": (_read, composite.read),
    "linearise": (_linearise, composite.linearise),
    "constant_losses": (_constant_losses, _composite_constant_losses),
    "reduce": (_reduce, composite.reduce),
    "assess": (_assess, _composite_assess),
    "solve": (_solve, _composite_solve),
    "gradient": (_gradient, composite.gradient),
    "descend": (_descend, None),
    "marquardt": (_marquardt, _composite_marquardt),
}
"""Of each operator, what the dispatcher calls on the CPU, and what on any other device."""

for _name, (_function, _plain) in IMPLEMENTATIONS.items():
    _library.impl(_name, _function, "CPU")
    if _plain is not None:
        _library.impl(_name, _plain, "CompositeExplicitAutograd")

read = torch.ops.descent.read.default
"""f and its slopes at points: a program, columns (inputs, rows) and θ (points, params) -> (outputs,
points, rows)."""
linearise = torch.ops.descent.linearise.default
"""Groups at a θ each: a program, the loss's number and delta, data, θ (groups, params) and the
widths of rounded corners (groups,), both float64 -> Σρ, Σρ of the loss as it is and Σ|z| (groups,
3), R of [J z] (groups, q + 1, q + 1) and Σψ·∂z/∂θ (groups, q), float64 on the CPU."""
constant_losses = torch.ops.descent.constant_losses.default
"""The loss of each group's weighted mean, (groups,): see `rows.constant_loss`."""
reduce = torch.ops.descent.reduce.default
"""Groups at a θ each (groups, params), all of float64: R of QR [J | ψ] (groups, q + 1, q + 1), sums
(groups, 4; see `reduction`), and z (rows,), on the CPU."""
assess = torch.ops.descent.assess.default
"""Groups at a θ each (groups, params) within limits (2, params), all of float64: the table of their
statistics (groups, `statistics.width(q)`) and z (rows,), on the CPU. The options are those of
`statistics.OPTIONS`."""
solve = torch.ops.descent.solve.default
"""Linear least squares of groups, from params (groups, params), by so many steps: how they end
(groups, `linear.width(params, q)`; see `linear.Parts`) and R of [J z] there (groups, q + 1, q + 1),
float64 on the CPU."""
gradient = torch.ops.descent.gradient.default
"""Groups at a θ each (groups, params), of the data's dtype: their losses (groups,) and ∂loss/∂θ
over the free params (groups, q)."""
descend = torch.ops.descent.descend.default
"""Epochs of first-order descent of each group: see `first_order.fit`. On the CPU alone."""
marquardt_slice = torch.ops.descent.marquardt.default
"""At most `steps` epochs of Levenberg-Marquardt on each group: see `marquardt.fit`. rules are the
limits (2, params), which free params the prediction is jointly linear in, and the tolerances."""
