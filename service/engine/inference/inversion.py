"""Unknowns from a standard curve: the x at which f(x, θ̂) equals the mean of some readings.

With ȳ the mean of the readings, v its variance about the curve, C the covariance of θ̂ and
g = ∂f/∂θ: the standard error of x̂ is √(v + gᵀCg)/|f′(x̂)|, and the inversion interval is the part
around x̂ of {x: (ȳ − f(x))² ≤ t²(v + g(x)ᵀCg(x))}, Fieller's interval where f is a line.

Sources: Greenwell and Schubert Kabban, R Journal 6/1 (2014) 90-100; Seber and Wild, Nonlinear
Regression (1989), 5.8; Draper and Smith, Applied Regression Analysis, 3rd ed., 3.2, for the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from service.engine.inference.roots import Function, find_roots
from service.engine.inference.standard_curves import Grid, Range, Readings, StandardCurves, within
from service.engine.kernel.types import Bools, Floats, Ints

Kind = Literal["inversion", "wald", "none"]
OK, BELOW, ABOVE, EXTRAPOLATED, NOT_MONOTONE, UNBOUNDED, NO_CURVE = range(7)
"""Statuses. Below and above: the reading is beyond the low or the high end of the curve, by x."""

AT_ONCE = 2**18
"""Points at which curves are evaluated at once, and"""
PAIRS = 2**20
"""pairs of a reading and a point that are compared at once."""
AGREEMENT = 1e-6
"""Maximum |f(x̂) − ȳ|, relative to the curve's range; it is larger where the curve jumps."""
BRACKETS = 4.0 * 3.0 ** np.arange(0, 13)
"""Half widths of the brackets of a root, in standard errors."""
ROUNDING = 1e-12
"""The same relative to |ȳ|."""


@dataclass(frozen=True, eq=False)
class Unknowns:
    """x̂ of each sample with its interval, (samples,); NaN where there is none."""

    estimate: Floats
    stderr: Floats
    lower: Floats
    upper: Floats
    status: Ints
    is_open: Bools
    """(2, samples): whether the interval has no lower, or no upper end."""
    in_pieces: Bools
    """Whether the set of the interval has another piece, so that neither end is given."""
    roots: Floats
    """All x of the samples that have several, (roots,),"""
    owner: Ints
    """and the samples to which they belong."""

    @classmethod
    def none(cls, samples: int) -> Unknowns:
        """Nothing found yet."""
        estimate, stderr, lower, upper = np.full((4, samples), np.nan)
        flags = np.zeros((3, samples), dtype=np.bool_)
        status, nobody = np.full(samples, OK), np.empty(0, dtype=np.int64)
        return cls(estimate, stderr, lower, upper, status, flags[:2], flags[2], np.empty(0), nobody)


def invert(
    curves: StandardCurves, readings: Readings, known: Range, searched: Range, kind: Kind
) -> Unknowns:
    """The unknowns of readings. known: the range of x that the curves were fitted to; searched:
    that in which roots are looked for."""
    samples = len(readings.mean)
    grid = Grid.of(known, searched)
    shared = len(curves.theta) == 1 and not readings.others
    size = len(grid.x)
    step = max(1, PAIRS // size if shared else AT_ONCE // size)
    whole = Unknowns.none(samples)
    parts = [(whole.roots, whole.owner)]
    for start in range(0, samples, step):
        rows = slice(start, min(start + step, samples))
        with np.errstate(all="ignore"):
            found = _Part(curves, readings.part(rows), grid).unknowns(kind)
        for name in ("estimate", "stderr", "lower", "upper", "status", "is_open", "in_pieces"):
            getattr(whole, name)[..., rows] = getattr(found, name)
        parts.append((found.roots, found.owner + start))
    roots, owner = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Unknowns(
        whole.estimate, whole.stderr, whole.lower, whole.upper,
        whole.status, whole.is_open, whole.in_pieces, roots, owner,
    )  # fmt: skip


def nearest(
    curves: StandardCurves, readings: Readings, around: Floats, spread: Floats, searched: Range
) -> Floats:
    """For each reading, the root of its curve that a bracket which grows about `around` meets
    first, within `searched`; NaN if there is none. `spread` is about a standard error of it."""
    low, high = searched
    wide = np.where(np.isfinite(spread) & (spread > 0), spread, (high - low) / 50)
    root = np.full(len(around), np.nan)

    def excess(x: Floats, i: Ints) -> Floats:
        own = {name: column[i] for name, column in readings.others.items()}
        found: Floats = curves.read(curves.program, x, readings.curve[i], own)[0]
        return found - readings.mean[i]

    left = np.flatnonzero(np.isfinite(around))
    a, b = around.copy(), around.copy()
    fa, fb = np.full(len(around), np.nan), np.full(len(around), np.nan)
    for half in BRACKETS:
        if not len(left):
            break
        a[left] = np.maximum(around[left] - half * wide[left], low)
        b[left] = np.minimum(around[left] + half * wide[left], high)
        fa[left], fb[left] = excess(a[left], left), excess(b[left], left)
        met = np.sign(fa[left]) * np.sign(fb[left]) <= 0
        i = left[met]
        root[i] = find_roots(
            partial(_of, excess, i), a[i], fa[i], b[i], fb[i], 1e-30 * (high - low)
        ).best
        left = left[~met & ((a[left] > low) | (b[left] < high))]
    return root


class _Part:
    """Some samples on a grid. A *cell* is a curve at values of the other inputs; arrays (cells,
    points) have the values on its grid, to which its extrema are added."""

    def __init__(self, curves: StandardCurves, readings: Readings, grid: Grid) -> None:
        self.curves, self.readings, self.grid = curves, readings, grid
        columns = [readings.curve.astype(np.float64), *readings.others.values()]
        if len(columns) == 1:
            cells, first, self.cell = np.unique(
                columns[0], return_index=True, return_inverse=True
            )  # fmt: skip
        else:
            cells, first, self.cell = np.unique(
                np.column_stack(columns), axis=0, return_index=True, return_inverse=True
            )
        self.cell = self.cell.reshape(-1)
        self.cells = len(cells)
        self.curve = readings.curve[first]
        self.others = {name: column[first] for name, column in readings.others.items()}
        self.smallest = 1e-30 * grid.width
        x = np.tile(grid.x, (self.cells, 1))
        f, slope, variance = self._evaluate(x)
        more = self._extrema(x, slope)
        if more.shape[1]:
            added = (more, *self._evaluate(more))
            x, f, slope, variance = (
                np.concatenate(each, axis=1)
                for each in zip((x, f, slope, variance), added, strict=True)
            )
            order = np.argsort(x, axis=1)
            x, f, variance = (np.take_along_axis(each, order, axis=1) for each in (x, f, variance))
        self.x, self.f, self.variance = x, f, variance

    def _evaluate(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """f, ∂f/∂x and gᵀCg at points of the cells, (cells, points) each."""
        cell = np.repeat(np.arange(self.cells), x.shape[1])
        found = self._outputs(x.ravel(), cell)
        variance = self.curves.variance(found, self.curve[cell])
        return (
            found[0].reshape(x.shape), found[1].reshape(x.shape), variance.reshape(x.shape)
        )  # fmt: skip

    def _outputs(self, x: Floats, cell: Ints) -> Floats:
        others = {name: column[cell] for name, column in self.others.items()}
        return self.curves.read(self.curves.program, x, self.curve[cell], others)

    def _extrema(self, x: Floats, slope: Floats) -> Floats:
        """The extrema between points of the grid, (cells, most), padded with its last point."""
        sign = np.where(within(x, self.grid.searched), np.sign(slope), np.nan)
        cell, at = np.nonzero(sign[:, :-1] * sign[:, 1:] == -1)
        found = find_roots(
            lambda each, i: self._outputs(each, cell[i])[1],
            x[cell, at], slope[cell, at], x[cell, at + 1], slope[cell, at + 1], self.smallest,
        ).best  # fmt: skip
        counts = np.bincount(cell, minlength=self.cells)
        more = np.full((self.cells, counts.max(initial=0)), x[0, -1])
        more[cell, np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)] = found
        return more

    def unknowns(self, kind: Kind) -> Unknowns:
        """What is found for the samples."""
        readings, grid = self.readings, self.grid
        owner, root, flat = self._roots()
        known = within(root, grid.known)
        samples = len(readings.mean)
        inside = np.bincount(owner[known], minlength=samples)
        kept = known | (inside[owner] == 0)
        owner, root = owner[kept], root[kept]
        count = np.bincount(owner, minlength=samples)
        found = Unknowns.none(samples)
        several = (count > 1) | (flat & (count > 0))
        single = ~several[owner]
        found.estimate[owner[single]] = root[single]
        failed = np.isnan(self.curves.theta.sum(axis=1))
        status = np.where(inside == 0, EXTRAPOLATED, OK)
        status = np.where(several, NOT_MONOTONE, status)
        status = np.where(count == 0, self._side(), status)
        status = np.where(failed[readings.curve], NO_CURVE, status)
        at = np.flatnonzero((count == 1) & ~several)
        if len(at):
            self._add_errors(found, at)
            if kind == "wald":
                half = self.curves.t[readings.curve[at]] * found.stderr[at]
                found.lower[at] = found.estimate[at] - half
                found.upper[at] = found.estimate[at] + half
            elif kind == "inversion":
                has_errors = np.isfinite(self.variance).sum(axis=1) > 0
                self._add_intervals(found, at[has_errors[self.cell[at]]])
        is_unbounded = found.is_open.any(axis=0) | found.in_pieces
        found.status[:] = np.where(is_unbounded & (status == OK), UNBOUNDED, status)
        listed = several[owner]
        return Unknowns(
            found.estimate, found.stderr, found.lower, found.upper, found.status,
            found.is_open, found.in_pieces, root[listed], owner[listed],
        )  # fmt: skip

    def _roots(self) -> tuple[Ints, Floats, Bools]:
        """The samples that have a root in the range searched, and their roots, in order; and
        the samples that are met by a whole run of points."""
        x, mean = self.x, self.readings.mean
        window = within(x, self.grid.searched)
        h = self._on_grid(np.where(window, self.f, np.nan), self.cell) - mean[:, None]
        above, below = h > 0, h < 0
        crosses = above[:, :-1] & below[:, 1:]
        crosses |= below[:, :-1] & above[:, 1:]
        owner, at = np.nonzero(crosses)
        cell = self.cell[owner]
        found = find_roots(
            lambda each, i: self._outputs(each, cell[i])[0] - mean[owner[i]],
            x[cell, at], h[owner, at], x[cell, at + 1], h[owner, at + 1], self.smallest,
        ).best  # fmt: skip
        gap = np.abs(self._outputs(found, cell)[0] - mean[owner])
        usable = window & np.isfinite(self.f)
        most, least = (
            extreme(np.where(usable, self.f, fill), axis=1)
            for extreme, fill in ((np.max, -np.inf), (np.min, np.inf))
        )
        size = np.maximum(most - least, 0.0)
        is_root = gap <= np.maximum(AGREEMENT * size[cell], ROUNDING * np.abs(mean[owner]))
        owner, found = owner[is_root], found[is_root]
        # Of a run of points at which f is exactly the mean, the ends are listed, and those of its
        # part in the range of the calibrators.
        zero = np.pad(h == 0, ((0, 0), (1, 1)))
        apart = self._on_grid(x[:, 1:] > x[:, :-1], self.cell)
        flat = (zero[:, 1:-2] & zero[:, 2:-1] & apart).any(axis=1)
        enters = np.diff(within(x, self.grid.known), axis=1, prepend=False, append=False)
        edge = self._on_grid(enters[:, :-1] | enters[:, 1:], self.cell)
        own, at = np.nonzero(zero[:, 1:-1] & (edge | ~(zero[:, :-2] & zero[:, 2:])))
        owner = np.concatenate([owner, own])
        root = np.concatenate([found, x[self.cell[own], at]])
        own, at = self._just_beyond(h, size, owner)
        owner = np.concatenate([owner, own])
        root = np.concatenate([root, x[self.cell[own], at]])
        order = np.lexsort((root, owner))
        owner, root = owner[order], root[order]
        again = np.zeros(len(root), dtype=np.bool_)
        again[1:] = (owner[1:] == owner[:-1]) & (root[1:] == root[:-1])
        return owner[~again], root[~again], flat

    def _just_beyond(self, h: Floats, size: Floats, owner: Ints) -> tuple[Ints, Ints]:
        """The samples without roots whose readings are beyond an end of the curve by no more than
        rounding, and the points at that end."""
        none = np.flatnonzero(np.bincount(owner, minlength=len(h)) == 0)
        rounding = ROUNDING * np.maximum(size[self.cell[none]], np.abs(self.readings.mean[none]))
        nearest = np.where(np.isnan(h[none]), np.inf, np.abs(h[none]))
        at = nearest.argmin(axis=1)
        ends = nearest[np.arange(len(none)), at] <= rounding
        return none[ends], at[ends]

    def _side(self) -> Ints:
        """For readings that the curve does not reach: the end of x at which it is nearer."""
        usable = within(self.x, self.grid.searched) & ~np.isnan(self.f)
        first = np.argmax(usable, axis=1)
        last = usable.shape[1] - 1 - np.argmax(usable[:, ::-1], axis=1)
        rows, mean = np.arange(self.cells), self.readings.mean
        low, high = (np.abs(self.f[rows, at][self.cell] - mean) for at in (first, last))
        return np.where(low < high, BELOW, ABOVE)

    def _add_errors(self, found: Unknowns, at: Ints) -> None:
        """The standard errors of the samples `at`."""
        outputs = self._outputs(found.estimate[at], self.cell[at])
        variance = self.curves.variance(outputs, self.readings.curve[at])
        error = np.sqrt(self.readings.variance[at] + variance) / np.abs(
            outputs[1] * self.curves.unit
        )
        found.stderr[at] = np.where(np.isfinite(error), error, np.nan)

    def _on_grid(self, values: Floats, cell: Ints) -> Floats:
        """Values on the grids of cells, (len(cell), points), or (1, points) for a single cell."""
        return values if self.cells == 1 else values[cell]

    def _add_intervals(self, found: Unknowns, at: Ints) -> None:
        """The inversion intervals of the samples `at`."""
        readings, cell = self.readings, self.cell[at]
        mean, noise, estimate = readings.mean[at], readings.variance[at], found.estimate[at]
        scale = self.curves.t[readings.curve[at]] ** 2

        def excess(x: Floats, i: Ints) -> Floats:
            """Above 0 outside the interval, and where the curve is not defined."""
            outputs = self._outputs(x, cell[i])
            variance = self.curves.variance(outputs, self.curve[cell[i]])
            value = (mean[i] - outputs[0]) ** 2 - scale[i] * (noise[i] + variance)
            return np.where(np.isnan(value), np.inf, value)

        x = self._on_grid(self.x, cell)
        gap = mean[:, None] - self._on_grid(self.f, cell)
        gap *= gap
        limit = noise[:, None] + self._on_grid(self.variance, cell)
        limit *= scale[:, None]
        outside = ~(gap <= limit)
        points = np.arange(outside.shape[1])
        is_left = x <= estimate[:, None]
        before, after = outside & is_left, outside & ~is_left
        left = np.where(before.any(axis=1), points[-1] - before[:, ::-1].argmax(axis=1), -1)
        right = np.where(after.any(axis=1), after.argmax(axis=1), len(points))
        place = is_left.sum(axis=1)
        ends = []
        for side, outer, inner in ((0, left, left + 1), (1, right, right - 1)):
            is_open = (outer < 0) | (outer == len(points))
            found.is_open[side, at] = is_open
            end, i = np.full(len(at), np.nan), np.flatnonzero(~is_open)
            # The nearest point of the grid that is inside, where it is on this side of x̂.
            is_beyond = inner[i] < place[i] if side == 0 else inner[i] >= place[i]
            nearest = self.x[cell[i], np.minimum(inner[i], points[-1])]
            start, stop = np.where(is_beyond, nearest, estimate[i]), self.x[cell[i], outer[i]]
            end[i] = find_roots(
                partial(_of, excess, i),
                start, np.minimum(excess(start, i), 0.0), stop, excess(stop, i), self.smallest,
            ).inner  # fmt: skip
            ends.append(end)
        own = (points > left[:, None]) & (points < right[:, None])
        within_both = within(x, self.grid.known) & within(x, self.grid.searched)
        looked_at = np.broadcast_to(within_both, outside.shape).copy()
        opened = found.is_open[0, at] | found.is_open[1, at]
        looked_at[:, [0, -1]] |= opened[:, None]
        found.in_pieces[at] = (~outside & ~own & looked_at).any(axis=1)
        for name, end in zip(("lower", "upper"), ends, strict=True):
            getattr(found, name)[at] = np.where(found.in_pieces[at], np.nan, end)


def _of(function: Function, which: Ints, x: Floats, i: Ints) -> Floats:
    """The function at the indices `which[i]`."""
    return function(x, which[i])
