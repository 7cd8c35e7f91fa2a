"""Contours of a surface; imports matplotlib, only to draw a figure."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize

from service.render.figure import Palette, figure_text
from service.schemas.columns import Numbers

LEVELS = 12
DEEPEST = 1e-3
"""The lowest contour, as a share of the highest: contours go by even steps of the logarithm of
what the heights are above the lowest."""


def contours(axes: Axes, x: Numbers, y: Numbers, heights: Numbers, palette: Palette) -> None:
    """Filled contours of heights (y, x), with some of them labelled; nothing if they are flat."""
    finite = heights[np.isfinite(heights)]
    if not finite.size or finite.min() == finite.max():
        return
    low, high = float(finite.min()), float(finite.max())
    with np.errstate(over="ignore"):
        rises = (high - low) * np.geomspace(DEEPEST, 1.0, LEVELS)
    levels = np.unique(low + rises)
    if levels.size < 3 or not np.isfinite(levels).all():
        return
    axes.contourf(
        x,
        y,
        np.where(np.isfinite(heights), heights, high),
        levels=np.concatenate([[low - (levels[0] - low)], levels]),
        cmap=LinearSegmentedColormap.from_list("surface", palette.surface),
        norm=_Steps(levels),
        zorder=1,
    )
    lines = axes.contour(
        x, y, heights, levels=levels[:-1], colors=palette.contours, linewidths=0.8, zorder=2
    )
    axes.clabel(
        lines,
        levels[1:-1:3],
        fmt=lambda value: figure_text(value, 3),
        fontsize=8.5,
        colors=palette.ink,
    )


class _Steps(Normalize):
    """Each band between two contours is one step of the colours."""

    def __init__(self, levels: Numbers) -> None:
        super().__init__(float(levels[0]), float(levels[-1]))
        self._levels = levels

    def __call__(self, value: object, clip: bool | None = None) -> Any:
        places = np.searchsorted(self._levels, np.asarray(value), side="left")
        return np.ma.asarray(places / self._levels.size)
