"""Starts from the data by variable projection over a grid.

Given its few nonlinear params, a family is linear in the rest, which least squares then finds at
once. So a start is the best of a grid of the nonlinear ones, whose best places are then searched on
an ever finer grid. Coordinates are without units: a family first maps x to a frame.
Source: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_ROWS = 512
"""Longer data are reduced to this number of means."""
MOST_ELEMENTS = 2**21
"""Groups × candidates × rows that are computed at once."""
NEAR = 0.125
"""Maximum distance between centres, in ranges of x."""
BEST = 4
BLOCKS = 24
"""Candidates that are refined: the best `BEST` of the grid, and the best of each of `BLOCKS` parts
of it."""
ROUNDS = 8
"""Number of halvings of the grid's step."""
EARLY = 3
LEFT = 10
"""After the first `EARLY` halvings the best `LEFT` candidates are refined further."""
DEPENDENT = 1e-7
"""Relative norm after orthogonalization below which a column depends linearly on the previous
ones."""

Basis = Callable[..., Sequence[Tensor]]
"""v (groups, 1, rows) and each coordinate (groups, candidates, 1) -> the columns that the
prediction is linear in, (groups, 1, rows) or, as the last must be, (groups, candidates, rows)."""
Allowed = Callable[[Tensor], Tensor]
"""Coefficients (groups, candidates, columns) -> which of the candidates are admissible."""


@dataclass(frozen=True, slots=True)
class Frame:
    """x as v = (x − low)/width, y as y/size; v and y (groups, rows), the others (groups,)."""

    v: Tensor
    y: Tensor
    low: Tensor
    width: Tensor
    size: Tensor


@dataclass(frozen=True, slots=True)
class Grid:
    """Candidates and the distance to their neighbours, both (candidates, dims) or (groups, …)."""

    at: Tensor
    step: Tensor


@dataclass(frozen=True, slots=True)
class Found:
    """The best candidate: at (groups, dims), coefficients (groups, columns), for y/size."""

    at: Tensor
    coefficients: Tensor


def span_frame(x: Tensor, y: Tensor) -> Frame:
    """v from 0 to 1 over the range of x."""
    low, high = x.amin(dim=-1), x.amax(dim=-1)
    return _frame(x, y, low, _or_one(high - low, x))


def ratio_frame(x: Tensor, y: Tensor) -> Frame:
    """v = x/max|x|, for families in which x = 0 has a meaning."""
    return _frame(x, y, torch.zeros_like(x[..., 0]), _or_one(x.abs().amax(dim=-1), x))


def log_frame(x: Tensor, y: Tensor) -> Frame:
    """v from 0 to 1 over the range of log(x), and far below 0 where x ≤ 0."""
    far = 1e4
    logs = torch.where(x > 0, x, torch.nan).log()
    low = torch.where(x > 0, logs, torch.inf).amin(dim=-1)
    high = torch.where(x > 0, logs, -torch.inf).amax(dim=-1)
    low = torch.where(torch.isfinite(low), low, torch.zeros_like(low))
    width = torch.where(high > low, high - low, torch.ones_like(low))
    return _frame(torch.where(x > 0, logs, (low - far * width).unsqueeze(-1)), y, low, width)


def _frame(x: Tensor, y: Tensor, low: Tensor, width: Tensor) -> Frame:
    v = (x - low.unsqueeze(-1)) / width.unsqueeze(-1)
    size = _or_one(y.abs().amax(dim=-1), torch.ones_like(y))
    v, order = v.sort(dim=-1, stable=True)
    return Frame(v, (y / size.unsqueeze(-1)).gather(-1, order), low, width, size)


def _or_one(length: Tensor, x: Tensor) -> Tensor:
    """A length, or the size of x where that is 0, or 1."""
    size = x.abs().amax(dim=-1)
    size = torch.where((size > 0) & torch.isfinite(size), size, torch.ones_like(size))
    return torch.where((length > 0) & torch.isfinite(length), length, size)


def thinned(frame: Frame) -> tuple[Tensor, Tensor]:
    """v and y, in at most `MOST_ROWS` means over neighbours in v."""
    rows = frame.v.shape[-1]
    if rows <= MOST_ROWS:
        return frame.v, frame.y
    edges = torch.linspace(0, rows, MOST_ROWS + 1, device=frame.v.device).round().long()
    counts = edges.diff().to(frame.v.dtype)

    def means(values: Tensor) -> Tensor:
        sums = torch.nn.functional.pad(values.cumsum(dim=-1), (1, 0))
        return sums[..., edges].diff(dim=-1) / counts

    return means(frame.v), means(frame.y)


def span(low: float, high: float, count: int) -> tuple[Tensor, float]:
    """Evenly spaced values from low to high, and their spacing."""
    return torch.linspace(low, high, count, dtype=torch.float64), (high - low) / (count - 1)


def product(*axes: tuple[Tensor, float]) -> Grid:
    """The Cartesian product of the axes."""
    at = torch.cartesian_prod(*(places for places, _ in axes)).reshape(-1, len(axes))
    return Grid(at, torch.tensor([step for _, step in axes], dtype=torch.float64).expand_as(at))


def centres(scales: tuple[Tensor, float], low: float, high: float, reach: float) -> Grid:
    """Centres in [low, high] for each width e^scale, spaced by a width, but at most by `NEAR`.

    Outside the data, which are in [0, 1], they extend by at most `reach` widths.
    """
    at, steps = [], []
    for scale in scales[0].tolist():
        width = math.exp(scale)
        first, last = max(low, -reach * width), min(high, 1 + reach * width)
        count = math.ceil((last - first) / min(NEAR, width)) + 1
        places, apart = span(first, last, count)
        at.append(torch.stack([places, torch.full_like(places, scale)], dim=-1))
        steps.append(torch.tensor([apart, scales[1]], dtype=places.dtype).expand(count, 2))
    return Grid(torch.cat(at), torch.cat(steps))


def both_ways(grid: Grid) -> Grid:
    """The grid twice, with a sign as its last coordinate, which is not refined."""
    ones = torch.ones(len(grid.at), 1, dtype=grid.at.dtype)
    return Grid(
        torch.cat([torch.cat([grid.at, sign * ones], dim=-1) for sign in (1.0, -1.0)]),
        torch.cat([grid.step, 0.0 * ones], dim=-1).repeat(2, 1),
    )


def with_axis(grid: Grid, places: Tensor, step: float) -> Grid:
    """The grid with one more axis."""
    count = len(places)
    last = places.repeat_interleave(len(grid.at)).unsqueeze(-1)
    return Grid(
        torch.cat([grid.at.repeat(count, 1), last], dim=-1),
        torch.cat([grid.step.repeat(count, 1), torch.full_like(last, step)], dim=-1),
    )


def bounded_exp(exponent: Tensor) -> Tensor:
    """exp, bounded so that its square does not overflow."""
    return exponent.clamp(-700.0, 350.0).exp()


def search(basis: Basis, v: Tensor, y: Tensor, grid: Grid, allowed: Allowed | None = None) -> Found:
    """The refined candidate with the least sum of squares, and its coefficients."""
    groups = len(v)
    whole = (part.to(v.device) for part in (grid.at, grid.step))
    at, step = (part.expand(groups, *part.shape[-2:]) for part in whole)
    size = max(1, MOST_ELEMENTS // (at.shape[1] * v.shape[-1]))
    parts = [
        _search(basis, v[some], y[some], at[some], step[some], allowed)
        for some in (slice(i, i + size) for i in range(0, groups, size))
    ]
    return Found(
        torch.cat([part.at for part in parts]), torch.cat([part.coefficients for part in parts])
    )


def _search(
    basis: Basis, v: Tensor, y: Tensor, at: Tensor, step: Tensor, allowed: Allowed | None
) -> Found:
    rss, _ = _evaluate(basis, v, y, at, allowed)
    kept = _kept(rss).unsqueeze(-1)
    at, step = (part.take_along_dim(kept, dim=1) for part in (at, step))
    shifts = _shifts(step)
    for done in range(1, ROUNDS + 1):
        step = step / 2
        trial = at.unsqueeze(2) + shifts * step.unsqueeze(2)
        rss, _ = _evaluate(basis, v, y, trial.flatten(1, 2), allowed)
        least = rss.reshape(trial.shape[:3]).min(dim=-1)
        at = trial.take_along_dim(least.indices[..., None, None], dim=2).squeeze(2)
        if done == EARLY:
            kept = least.values.topk(min(LEFT, at.shape[1]), largest=False).indices.unsqueeze(-1)
            at, step = (part.take_along_dim(kept, dim=1) for part in (at, step))
    rss, coefficients = _evaluate(basis, v, y, at, allowed)
    best = rss.argmin(dim=-1)[:, None, None]
    return Found(
        at.take_along_dim(best, dim=1).squeeze(1),
        coefficients.take_along_dim(best, dim=1).squeeze(1),
    )


def _shifts(step: Tensor) -> Tensor:
    """All combinations of no step, a step back or a step forward in each dimension that has steps:
    (moves, dims)."""
    moves = [
        torch.tensor([0.0, -1.0, 1.0] if bool((axis > 0).any()) else [0.0])
        for axis in step.unbind(-1)
    ]
    return torch.cartesian_prod(*moves).reshape(-1, len(moves)).to(step)


def _kept(rss: Tensor) -> Tensor:
    """The candidates to refine: the best `BEST`, and the best of each part of the grid."""
    best = rss.topk(min(BEST, rss.shape[-1]), dim=-1, largest=False).indices
    length = math.ceil(rss.shape[-1] / BLOCKS)
    starts = range(0, rss.shape[-1], length)
    parts = [rss[:, i : i + length].argmin(dim=-1, keepdim=True) + i for i in starts]
    return torch.cat([best, *parts], dim=-1)


def _evaluate(
    basis: Basis, v: Tensor, y: Tensor, at: Tensor, allowed: Allowed | None
) -> tuple[Tensor, Tensor]:
    rss, coefficients = project(basis(v.unsqueeze(1), *at.unsqueeze(-1).unbind(-2)), y.unsqueeze(1))
    if allowed is not None:
        rss = torch.where(allowed(coefficients), rss, torch.inf)
    return rss.nan_to_num(nan=torch.inf, posinf=torch.inf), coefficients


def project(columns: Sequence[Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares of y on a few columns (…, rows): RSS (…) and coefficients (…, columns).

    The shapes may broadcast; the last column has them all.

    By modified Gram-Schmidt (Björck, BIT 7 (1967) 1); a column that depends on those before it
    counts nothing.
    """
    rest = y
    units: list[Tensor] = []
    triangle: list[list[Tensor]] = []
    heights: list[Tensor] = []
    for column in columns:
        largest = column.abs().amax(dim=-1)
        unit = column / torch.where(largest > 0, largest, 1.0).unsqueeze(-1)
        first = unit.square().sum(dim=-1).sqrt()
        above = []
        for earlier in units:
            above.append((earlier * unit).sum(dim=-1))
            unit = unit - above[-1].unsqueeze(-1) * earlier
        norm = unit.square().sum(dim=-1).sqrt()
        counts = norm > DEPENDENT * first
        inverse = torch.where(counts, 1 / norm, 0.0)
        unit = unit * inverse.unsqueeze(-1)
        height = (unit * rest).sum(dim=-1)
        rest = rest - height.unsqueeze(-1) * unit
        units.append(unit)
        triangle.append([*above, inverse, largest])
        heights.append(height)
    return rest.square().sum(dim=-1), _back(triangle, heights)


def _back(triangle: Sequence[Sequence[Tensor]], heights: Sequence[Tensor]) -> Tensor:
    """Back-substitution."""
    answers: dict[int, Tensor] = {}
    for i in reversed(range(len(heights))):
        height = heights[i]
        for j, answer in answers.items():
            height = height - triangle[j][i] * answer
        answers[i] = height * triangle[i][-2]
    scales = [torch.where(column[-1] > 0, column[-1], 1.0) for column in triangle]
    return torch.stack([answers[i] / scales[i] for i in range(len(heights))], dim=-1)


def params(*columns: Tensor) -> Tensor:
    """θ (groups, params) from its columns (groups,), with non-finite values replaced."""
    return torch.stack(columns, dim=-1).nan_to_num(nan=1.0, posinf=1e300, neginf=-1e300)
