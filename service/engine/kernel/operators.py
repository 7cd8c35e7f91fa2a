"""The kernel behind torch's dispatcher: `torch.ops.descent.…`.

On the CPU an operator is compiled code on views of its tensors, which share groups, or pieces of
long data, out to as many threads as torch has; on any other device it is plain torch
(`composite`). Neither threads nor the cut into calls changes a bit of what it gives.

A program is five tensors (see `program.Program`, and `free`, the positions of the free params, of
which its outputs after the first are the slopes); data are five (see `rows.Data`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.library import Library

from service.engine.kernel import composite, marquardt, rows
from service.engine.kernel.factors import pad, triangularise
from service.engine.kernel.types import Floats, Ints

PIECE = 2**16
"""Rows that one thread reduces to an R factor; longer groups are cut into such pieces."""
WORTH = 2**16
"""Entries of programs × rows below which another thread costs more than it does."""

_library = Library("descent", "DEF")  # noqa: TOR901
_library.define("read(Tensor[] program, Tensor columns, Tensor theta) -> Tensor")
_library.define(
    "linearise(Tensor[] program, int loss, float delta, Tensor[] data, Tensor theta, Tensor width)"
    " -> (Tensor, Tensor, Tensor)"
)
_library.define(
    "marquardt(Tensor[] program, int loss, float delta, Tensor[] data, Tensor[] limits, "
    "float[] tolerances, int epochs, Tensor(a!) numbers, Tensor(b!) counts, Tensor(c!)[] history, "
    "Tensor groups, int steps, int every) -> ()"
)


def share_out(work: Callable[[int, int], None], count: int, cost: float) -> None:
    """Does `work(first, until)` for parts of `count` things, on several threads where that pays."""
    threads = min(torch.get_num_threads(), count) if cost > WORTH else 1
    if threads < 2:
        return work(0, count)
    bounds = np.linspace(0, count, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))


def _model(program: Sequence[Tensor], loss: int, delta: float) -> rows.Model:
    codes, constants, sections, outputs, free = (each.numpy() for each in program)
    return rows.Model(codes, constants, sections, outputs, free, loss, delta)


def _data(data: Sequence[Tensor]) -> rows.Data:
    return rows.Data(*(each.numpy() for each in data))


def _read(program: Sequence[Tensor], columns: Tensor, theta: Tensor) -> Tensor:
    model, inputs = _model(program, 0, 1.0), columns.numpy()
    points, count = len(theta), columns.shape[1]
    found = torch.empty((len(model.outputs), points, count), dtype=theta.dtype)
    at, into = theta.numpy(), found.numpy()
    pieces = -(-count // PIECE)

    def part(first: int, until: int) -> None:
        end = min(until * PIECE, count)
        rows.read_points(model, inputs, at, first * PIECE, end, into)

    share_out(part, pieces, float(points) * count * len(model.codes))
    return found


def _linearise(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    theta: Tensor, width: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    model, views = _model(program, loss, delta), _data(data)
    found = _reduced(model, views, theta.numpy(), width.numpy())
    sums, r, slopes = (torch.from_numpy(each) for each in found)
    return sums, r, slopes


def _reduced(
    model: rows.Model, data: rows.Data, theta: Floats, width: Floats
) -> tuple[Floats, Floats, Floats]:
    """Sums, R and slopes of each group; those of a long group's pieces are put together in order
    (Demmel et al., SIAM J. Sci. Comput. 34 (2012) A206)."""
    groups, q = len(data.first), len(model.free)
    counts = np.maximum(-(-(data.end - data.first) // PIECE), 1)
    of = np.repeat(np.arange(groups), counts)
    within = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = data.first[of] + within * PIECE
    spans = np.stack([begin, np.minimum(begin + PIECE, data.end[of])], axis=1)
    sums, r, slopes = _room_of(len(of), q)

    def part(first: int, until: int) -> None:
        rows.linearise_spans(model, data, theta, width, of, spans, first, until, sums, r, slopes)

    total = float((data.end - data.first).sum())
    share_out(part, len(of), total * len(model.codes))
    if len(of) == groups:
        return sums, r, slopes
    starts = np.cumsum(counts) - counts
    joined = np.add.reduceat(sums, starts), np.add.reduceat(slopes, starts) if q else slopes[starts]
    return joined[0], _merged(r, starts, counts, q), joined[1]


def _room_of(pieces: int, q: int) -> tuple[Floats, Floats, Floats]:
    return np.empty((pieces, 3)), np.empty((pieces, q + 1, q + 1)), np.empty((pieces, q))


def _merged(r: Floats, starts: Ints, counts: Ints, q: int) -> Floats:
    """One R of the R factors of each group's pieces."""
    found = np.empty((len(starts), q + 1, q + 1))
    for g, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
        tall = count * (q + 1)
        columns = np.zeros((q + 1, tall + 16))
        columns[:, :tall] = r[start : start + count].reshape(tall, q + 1).T
        triangularise(columns, q + 1, pad(columns, q + 1, tall), found[g])
    return found


def _marquardt(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    limits: Sequence[Tensor], tolerances: Sequence[float], epochs: int, numbers: Tensor, counts: Tensor,
    history: Sequence[Tensor], groups: Tensor, steps: int, every: int,
) -> None:  # fmt: skip
    model, views = _model(program, loss, delta), _data(data)
    rules = _rules(program, loss, limits, tolerances, epochs)
    own, flags = numbers.numpy(), counts.numpy()
    kept = marquardt.History(*(each.numpy() for each in history))
    chosen = groups.numpy()
    sizes = views.end[chosen] - views.first[chosen]
    if sizes.max(initial=0) > PIECE:
        long = sizes > PIECE
        drive(
            lambda at, theta, width: _reduced(model, _of(views, at), theta, width),
            rules, _state(rules, own, flags), kept, chosen[long], sizes[long].astype(float), steps, every,
        )  # fmt: skip
        chosen = chosen[~long]

    def part(first: int, until: int) -> None:
        marquardt.fit(model, views, rules, own, flags, kept, chosen, first, until, steps, every)

    share_out(part, len(chosen), float(sizes.sum()) * len(model.codes) * min(steps, 10))


def _of(data: rows.Data, groups: Ints) -> rows.Data:
    return data._replace(first=data.first[groups], end=data.end[groups])


def _state(rules: marquardt.Rules, numbers: Floats, counts: Ints) -> marquardt.State:
    params, q = len(rules.lower), len(rules.free)
    groups = len(counts) // marquardt.room_of_state(1, params, q)[1]
    state: marquardt.State = marquardt.unpack(numbers, counts, groups, params, q)
    return state


def _rules(
    program: Sequence[Tensor], loss: int, limits: Sequence[Tensor], tolerances: Sequence[float],
    epochs: int,
) -> marquardt.Rules:  # fmt: skip
    lower, upper, linear = (each.numpy() for each in limits)
    cornered = composite.NAMES[loss] in ("mae", "quantile")
    return marquardt.Rules(lower, upper, program[4].numpy(), linear, cornered, epochs, *tolerances)


Readings = Callable[[Ints, Floats, Floats], tuple[Floats, Floats, Floats]]
"""Groups (k,), their θ (k, params) and widths (k,) -> sums (k, 3), R (k, q + 1, q + 1) and slopes
(k, q): see `marquardt.respond`."""


def drive(
    read: Readings, rules: marquardt.Rules, state: marquardt.State, history: marquardt.History,
    groups: Ints, sizes: Floats, steps: int, every: int,
) -> None:  # fmt: skip
    """At most so many epochs of each of some groups, of `sizes` rows, by readings of any kind."""
    q = len(rules.free)
    limits = state.counts[groups, marquardt.EPOCH] + steps
    found = tuple(each[:0] for each in _room_of(1, q))
    found = (found[0], np.empty((0, q + 1, q + 1)), found[2])
    while len(groups):
        wanted = np.empty(len(groups), dtype=bool)
        marquardt.respond(rules, state, history, groups, sizes, limits, *found, every, wanted)
        groups, sizes, limits = groups[wanted], sizes[wanted], limits[wanted]
        if len(groups):
            width = state.ways[groups, state.counts[groups, marquardt.WAY], marquardt.WIDTH]
            found = read(groups, state.trial[groups], width)


def _composite_read(program: Sequence[Tensor], columns: Tensor, theta: Tensor) -> Tensor:
    return composite.read(*program[:4], columns, theta)


def _composite_linearise(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    theta: Tensor, width: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return composite.linearise(*program, loss, delta, *data, theta, width)


def _composite_marquardt(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    limits: Sequence[Tensor], tolerances: Sequence[float], epochs: int, numbers: Tensor, counts: Tensor,
    history: Sequence[Tensor], groups: Tensor, steps: int, every: int,
) -> None:  # fmt: skip
    columns, target, sigma, first, end = data

    def read(at: Ints, theta: Floats, width: Floats) -> tuple[Floats, Floats, Floats]:
        chosen = torch.from_numpy(at)
        part = (columns, target, sigma, first[chosen], end[chosen])
        points = torch.from_numpy(theta)
        found = composite.linearise(*program, loss, delta, *part, points, torch.from_numpy(width))
        sums, r, slopes = (each.numpy() for each in found)
        return sums, r, slopes

    sizes = (end - first)[groups].double().numpy()
    rules = _rules(program, loss, limits, tolerances, epochs)
    drive(
        read,
        rules,
        _state(rules, numbers.numpy(), counts.numpy()),
        marquardt.History(*(each.numpy() for each in history)),
        groups.numpy(), sizes, steps, every,
    )  # fmt: skip


for _name, _function, _plain in (
    ("read", _read, _composite_read),
    ("linearise", _linearise, _composite_linearise),
    ("marquardt", _marquardt, _composite_marquardt),
):
    _library.impl(_name, _function, "CPU")
    _library.impl(_name, _plain, "CompositeExplicitAutograd")
