"""Residuals against the prediction, and against normal quantiles (Q-Q plot)."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from service.errors import InvalidRequest
from service.fitting.plot_data import MOST_POINTS, drawn_of, evenly, sampled, select
from service.render.canvas import side_by_side
from service.render.characters import NOTHING, canvas_of, with_axes
from service.render.scales import around
from service.render.scene import PlotInput, Quantity, Scene, quantity
from service.schemas.columns import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from service.render.figure import Palette

MOST_ROWS = 100_000
"""Maximum rows whose residuals are computed."""
MOST_FAR = 50
"""The rows with the largest residuals that are drawn in addition to the others."""
_MANY = 200


@dataclass(frozen=True, slots=True, eq=False)
class ResidualsScene(Scene):
    """Residuals against the prediction, and against the quantiles of a normal distribution."""

    prediction: Quantity
    residual: Quantity
    at: Numbers
    """(shown,) predictions."""
    residuals: Numbers
    normal: Numbers
    """(quantiles,) of the standard normal distribution."""
    ordered: Numbers
    """(quantiles,) of the residuals."""
    line: tuple[float, float]
    """Offset and slope of the line through the quartiles."""

    def draw(self, figure: Figure, palette: Palette) -> None:
        """Against the prediction, and a Q-Q plot beside it on the same scale."""
        from service.render.figure import name_axes, style_axes

        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        left.axhline(0.0, color=palette.curve, linewidth=1.8, zorder=3)
        _points(left, self.at, self.residuals, palette, "residuals")
        left.set_title("against the prediction", color=palette.quiet)
        name_axes(left, self.prediction, self.residual)
        offset, slope = self.line
        ends = np.array([self.normal.min(), self.normal.max()])
        right.plot(ends, offset + slope * ends, color=palette.curve, linewidth=1.8, zorder=3)
        _points(right, self.normal, self.ordered, palette, "quantiles")
        right.set_title("against normal quantiles", color=palette.quiet)
        right.set_xlabel("standard normal quantile")
        for axes in (left, right):
            style_axes(axes, palette)
        reach = float(np.abs(self.residuals).max(initial=0.0)) or 1.0
        left.set_ylim(-1.12 * reach, 1.12 * reach)

    def characters(self, width: int, lines: int) -> list[str]:
        """Against the prediction, and the normal quantile plot beside it."""
        y = around([self.residuals], margin=0.04)
        half = (width - 3) // 2
        left = canvas_of(around([self.at], margin=0.02), y, half, lines)
        right = canvas_of(around([self.normal], margin=0.02), y, half, lines)
        if left is None or right is None:
            return [NOTHING]
        zero = left.x.values(2)
        left.curve(zero, np.zeros(2))
        left.marks(self.at, self.residuals)
        ends, (offset, slope) = right.x.values(2), self.line
        right.curve(ends, offset + slope * ends)
        right.marks(self.normal, self.ordered)
        return side_by_side(
            [
                with_axes(left, self.prediction, self.residual),
                with_axes(right, "normal quantile", self.residual),
            ]
        )


def scene(given: PlotInput) -> ResidualsScene:
    """Residuals against the prediction, and against normal quantiles at (i − 3/8)/(n + 1/4) (Blom,
    Statistical Estimates and Transformed Beta-Variables, 1958)."""
    seen = select(given.request, MOST_ROWS, given.max_rows)
    at = seen.predict()
    with np.errstate(over="ignore"):
        residuals = at - seen.target.numpy()
    target = seen.formula.target
    unit = predicted_unit = quantity(target, given.request.units).unit
    if seen.sigma is not None:
        residuals, unit = residuals / seen.sigma.numpy(), None
    kept = np.flatnonzero(np.isfinite(residuals) & np.isfinite(at))
    if not kept.size:
        raise InvalidRequest("no prediction is finite at these params", pointer="/params")
    at, residuals = at[kept], residuals[kept]
    drawn = _thinned(residuals)
    few = drawn_of(drawn.size, seen.rows)
    ranks = _ranks(residuals.size)
    ordered = np.sort(residuals)
    share = (ranks + 1 - 0.375) / (residuals.size + 0.25)
    return ResidualsScene(
        title=seen.title,
        prediction=Quantity(f"prediction of {target}", predicted_unit),
        residual=Quantity("residual / σ" if seen.sigma is not None else "residual", unit),
        at=at[drawn],
        residuals=residuals[drawn],
        normal=np.array([NormalDist().inv_cdf(p) for p in share.tolist()]),
        ordered=ordered[ranks],
        line=_through_quartiles(residuals),
        notes=(*seen.notes, *(f"{n}, including the largest residuals" for n in few)),
    )


def _thinned(residuals: Numbers) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The rows to draw: a sample, and those with the largest residuals."""
    if residuals.size <= MOST_POINTS:
        return np.arange(residuals.size)
    far = np.argpartition(np.abs(residuals), -MOST_FAR)[-MOST_FAR:]
    return np.union1d(sampled(residuals.size, MOST_POINTS - MOST_FAR), far)


def _ranks(count: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The ranks to draw: evenly chosen ones, and both tails."""
    tail = min(MOST_FAR, count)
    tails = np.concatenate([np.arange(tail), np.arange(count - tail, count)])
    return np.union1d(evenly(count, MOST_POINTS - 2 * MOST_FAR), tails)


def _through_quartiles(residuals: Numbers) -> tuple[float, float]:
    """Offset and slope of the line through the quartiles in a normal quantile plot."""
    low, high = np.quantile(residuals, [0.25, 0.75]).tolist()
    slope = (high / 2 - low / 2) / NormalDist().inv_cdf(0.75)
    return low / 2 + high / 2, slope


def _points(axes: Axes, x: Numbers, y: Numbers, palette: Palette, gid: str) -> None:
    many = x.size > _MANY
    axes.plot(
        x,
        y,
        linestyle="none",
        marker="o",
        markersize=3.0 if many else 5.5,
        markerfacecolor=palette.points,
        markeredgecolor=palette.background,
        markeredgewidth=0.0 if many else 0.8,
        alpha=0.55 if many else 1.0,
        gid=gid,
        zorder=5,
    )
