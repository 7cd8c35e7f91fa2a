"""The path of the params over the loss surface."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from service.render.figures.paper import (
    Look,
    dressed,
    figure_text,
    legend,
    named,
    plain,
)
from service.schemas.columns import Numbers
from service.schemas.scenes import PathScene

LEVELS = 12
DEEPEST = 1e-3
"""The lowest contour, as a share of the highest: contours go by even steps of the logarithm of
what the loss is above its lowest."""
_FEW = 60


def draw(figure: Figure, scene: PathScene, look: Look) -> None:
    """Contours with the path on them; of one param, the loss with the path on it."""
    axes = figure.add_subplot()
    if len(scene.names) == 2:
        _surface(figure, axes, scene, look)
        _draw_path(axes, scene, scene.path, look)
        named(axes, scene.names[0], scene.names[1])
        dressed(axes, look, grid="")
    else:
        axes.plot(scene.axes[0], scene.surface, color=look.curve, linewidth=2.0, label="loss")
        heights = np.interp(scene.path[:, 0], scene.axes[0], scene.surface)
        _draw_path(axes, scene, np.column_stack([scene.path[:, 0], heights]), look)
        named(axes, scene.names[0], "loss")
        dressed(axes, look)
    axes.set_xlim(scene.axes[0][0], scene.axes[0][-1])
    if len(scene.names) == 2:
        axes.set_ylim(scene.axes[1][0], scene.axes[1][-1])
    legend(axes, look, loc="best")


def _surface(figure: Figure, axes: Axes, scene: PathScene, look: Look) -> None:
    heights = scene.surface.T
    finite = heights[np.isfinite(heights)]
    if not finite.size or finite.min() == finite.max():
        return
    low, high = float(finite.min()), float(finite.max())
    with np.errstate(over="ignore"):
        rises = (high - low) * np.geomspace(DEEPEST, 1.0, LEVELS)
    levels = np.unique(low + rises)
    if levels.size < 3 or not np.isfinite(levels).all():
        return
    x, y = scene.axes
    axes.contourf(
        x,
        y,
        np.where(np.isfinite(heights), heights, high),
        levels=np.concatenate([[low - (levels[0] - low)], levels]),
        cmap=LinearSegmentedColormap.from_list("hills", look.hills),
        norm=_Steps(levels),
        zorder=1,
    )
    lines = axes.contour(
        x, y, heights, levels=levels[:-1], colors=look.contours, linewidths=0.8, zorder=2
    )
    axes.clabel(
        lines,
        levels[1:-1:3],
        fmt=lambda value: figure_text(value, 3),
        fontsize=8.5,
        colors=look.ink,
    )


class _Steps(Normalize):
    """Each band between two contours is one step of the colours."""

    def __init__(self, levels: Numbers) -> None:
        super().__init__(float(levels[0]), float(levels[-1]))
        self._levels = levels

    def __call__(self, value: object, clip: bool | None = None) -> Any:
        places = np.searchsorted(self._levels, np.asarray(value), side="left")
        return np.ma.asarray(places / self._levels.size)


def _draw_path(axes: Axes, scene: PathScene, path: Numbers, look: Look) -> None:
    few = len(path) <= _FEW
    axes.plot(
        path[:, 0],
        path[:, 1],
        color=look.accent,
        linewidth=1.9,
        marker="o" if few else "",
        markersize=4.0,
        gid="path",
        label=f"epochs {scene.epochs[0]:,} to {scene.epochs[1]:,}",
        zorder=5,
    )
    _mark(axes, path[0], "o", "start", look.paper, look.accent)
    if scene.left is None:
        _mark(axes, path[-1], "s", "end", look.accent, look.paper)
    if scene.minimum is not None:
        height = scene.minimum
        if len(scene.names) == 1:
            height = np.array([height[0], np.interp(height[0], scene.axes[0], scene.surface)])
        _mark(axes, height, "*", "lowest loss", look.second, look.paper, 15)
    if scene.left is not None:
        where = ", ".join(
            f"{name} = {figure_text(value, 3)}"
            for name, value in zip(scene.names, scene.left.tolist(), strict=True)
        )
        axes.set_title(plain(f"the path leaves the plot for {where}"), color=look.accent)


def _mark(
    axes: Axes, at: Numbers, marker: str, label: str, face: str, edge: str, size: int = 9
) -> None:
    axes.plot(
        [at[0]],
        [at[1]],
        linestyle="none",
        marker=marker,
        markersize=size,
        markerfacecolor=face,
        markeredgecolor=edge,
        markeredgewidth=1.6 if marker == "o" else 1.0,
        label=label,
        zorder=7,
    )
