"""Rows read at given params, as the operators do it (see `operators`).

On the CPU by compiled code on views of the tensors, for groups that are shared out to threads, long
ones in pieces that are put together in order; on other devices in plain torch, where that is more
than one of `composite`'s functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from service.engine.kernel import (
    composite,
    first_order,
    linear,
    reduction,
    rows,
    sharing,
    statistics,
)
from service.engine.kernel.sharing import extent, merged, pieces_of, share_out
from service.engine.kernel.singular import least_norm
from service.engine.kernel.types import Floats, Ints

SORTING = 10.0
"""What a row costs to put in order, in operations of a program."""
SAMPLE = 2**15
"""Rows of a long group by which what there is to explain is judged."""


def arrays_of(tensors: Sequence[Tensor]) -> Any:
    """Views of tensors on the CPU."""
    return tuple([each.contiguous().numpy() for each in tensors])


def read(program: Sequence[Tensor], columns: Tensor, theta: Tensor) -> Tensor:
    """See `operators.read`."""
    codes, constants, layout = arrays_of(program)
    points, count = len(theta), columns.shape[1]
    found = torch.empty(((len(layout) - 3) // 2 + 1, points, count), dtype=theta.dtype)
    inputs, at, into = arrays_of((columns, theta, found))

    def part(first: int, until: int) -> None:
        end = min(until * sharing.PIECE, count)
        rows.read_points(codes, constants, layout, inputs, at, first * sharing.PIECE, end, into)

    share_out(part, -(-count // sharing.PIECE), float(points) * count * len(codes))
    return found


def losses(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], points: Tensor
) -> Tensor:
    """See `operators.losses`."""
    arrays, views, thetas = arrays_of(program), arrays_of(data), points.contiguous().numpy()
    found, exact = np.empty(len(thetas)), composite.is_cornered(loss)

    def part(first: int, until: int) -> None:
        rows.losses_at(*(*arrays, loss, delta, *views, exact, thetas, first, until, found))

    share_out(part, len(thetas), float(len(thetas)) * len(views[1]) * len(arrays[0]))
    return torch.from_numpy(found)


def composite_losses(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], points: Tensor
) -> Tensor:
    """See `operators.losses`, in plain torch."""
    columns, target, sigma = data
    spans = torch.tensor([[0], [len(target)]]).repeat(1, len(points))
    width = torch.full((len(points),), rows.MEASURE, dtype=torch.float64)
    sums, _, _ = composite.linearise(
        program, loss, delta, (columns, target, sigma, spans), points, width
    )
    return sums[:, int(composite.is_cornered(loss))] / len(target)


def linearise(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    theta: Tensor, width: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """See `operators.linearise`."""
    at, widths = arrays_of((theta, width))
    found = reduced(arrays_of(program), loss, delta, arrays_of(data), at, widths)
    sums, r, slopes = (torch.from_numpy(each) for each in found)
    return sums, r, slopes


def reduced(
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


def reduce(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """See `operators.reduce`."""
    arrays, at = arrays_of(program), theta.contiguous().numpy()
    *columns, spans = arrays_of(data)
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


def assess(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor,
    limits: Tensor, options: Sequence[bool],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """See `operators.assess`."""
    arrays, views, (at, bounds) = arrays_of(program), arrays_of(data), arrays_of((theta, limits))
    spans, q = views[3], (len(arrays[2]) - 3) // 2
    longest, size = extent(spans)
    if longest > sharing.PIECE:
        return _assess_reduced(reduce, program, loss, delta, data, theta, limits, options)
    table, z = np.empty((len(at), statistics.width(q))), np.empty(len(views[1]))
    asked = np.array(options)

    def part(first: int, until: int) -> None:
        statistics.assess(
            *(*arrays, loss, delta, *views, at, bounds, asked, first, until, table, z)
        )

    share_out(part, len(at), size * (len(arrays[0]) + SORTING))
    return torch.from_numpy(table), torch.from_numpy(z)


def composite_assess(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor,
    limits: Tensor, options: Sequence[bool],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """See `operators.assess`, in plain torch."""
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
    columns, target, _, spans = arrays_of([each.cpu() for each in data])
    given = arrays_of([each.cpu() for each in (factors, sums, z)])
    at, bounds, positions = arrays_of([each.cpu() for each in (theta, limits, free)])
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


def constant_losses(loss: int, delta: float, data: Sequence[Tensor]) -> Tensor:
    """See `operators.constant_losses`."""
    found: Floats = rows.constant_losses(*(loss, delta, *arrays_of(data), SAMPLE))
    return torch.from_numpy(found)


def composite_constant_losses(loss: int, delta: float, data: Sequence[Tensor]) -> Tensor:
    """See `operators.constant_losses`, in plain torch."""
    return composite.constant_losses(loss, delta, data, SAMPLE)


def solve(
    program: Sequence[Tensor], data: Sequence[Tensor], initial: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """See `operators.solve`."""
    arrays, views, start = arrays_of(program), arrays_of(data), initial.contiguous().numpy()
    *columns, spans = views
    longest, size = extent(spans)
    if longest > sharing.PIECE:

        def read(theta: Floats) -> tuple[Floats, Floats]:
            sums, r, _ = reduced(arrays, 0, 1.0, (*columns, spans), theta, np.zeros(len(theta)))
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


def composite_solve(
    program: Sequence[Tensor], data: Sequence[Tensor], initial: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """See `operators.solve`, in plain torch."""

    def read(theta: Floats) -> tuple[Floats, Floats]:
        width = torch.zeros(len(theta), dtype=torch.float64)
        sums, r, _ = composite.linearise(program, 0, 1.0, data, torch.from_numpy(theta), width)
        return sums[:, 0].numpy(), r.numpy()

    layout, views = program[2].numpy(), arrays_of([each.cpu() for each in data])
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


def gradient(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor
) -> tuple[Tensor, Tensor]:
    """Of a long group on one thread: its sums are taken in the order of its rows."""
    arrays, views, at = arrays_of(program), arrays_of(data), theta.contiguous().numpy()
    many = views[3].shape[1]
    losses = torch.empty(many, dtype=torch.float64)
    gradients = torch.empty((many, (len(arrays[2]) - 3) // 2), dtype=theta.dtype)
    into = arrays_of((losses, gradients))

    def part(first: int, until: int) -> None:
        first_order.measure(*(*arrays, loss, delta, *views, at, first, until, *into))

    share_out(part, many, float(extent(views[3])[1]) * len(arrays[0]))
    return losses, gradients
