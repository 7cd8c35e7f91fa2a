"""Residuals against the prediction, and against normal quantiles (Q-Q plot)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.render.figures.paper import Look, dressed, named
from service.schemas.columns import Numbers
from service.schemas.scenes import ResidualsScene

_MANY = 200


def draw(figure: Figure, scene: ResidualsScene, look: Look) -> None:
    """Against the prediction, and a Q-Q plot beside it on the same scale."""
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    left.axhline(0.0, color=look.curve, linewidth=1.8, zorder=3)
    _points(left, scene.at, scene.residuals, look, "residuals")
    left.set_title("against the prediction", color=look.quiet)
    named(left, scene.prediction, scene.residual)
    offset, slope = scene.line
    ends = np.array([scene.normal.min(), scene.normal.max()])
    right.plot(ends, offset + slope * ends, color=look.curve, linewidth=1.8, zorder=3)
    _points(right, scene.normal, scene.ordered, look, "quantiles")
    right.set_title("against normal quantiles", color=look.quiet)
    right.set_xlabel("standard normal quantile")
    for axes in (left, right):
        dressed(axes, look)
    reach = float(np.abs(scene.residuals).max(initial=0.0)) or 1.0
    left.set_ylim(-1.12 * reach, 1.12 * reach)


def _points(axes: Axes, x: Numbers, y: Numbers, look: Look, gid: str) -> None:
    many = x.size > _MANY
    axes.plot(
        x,
        y,
        linestyle="none",
        marker="o",
        markersize=3.0 if many else 5.5,
        markerfacecolor=look.points,
        markeredgecolor=look.paper,
        markeredgewidth=0.0 if many else 0.8,
        alpha=0.55 if many else 1.0,
        gid=gid,
        zorder=5,
    )
