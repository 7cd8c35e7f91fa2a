"""The curve over its data, with its bands."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.render.figures.paper import Look, dressed, legend, named
from service.schemas.scenes import FitScene, Ribbon

_MANY = 200
_HUGE = 1e300


def draw(figure: Figure, scene: FitScene, look: Look) -> None:
    """Points, curve, confidence band in colour, prediction band by its edges."""
    axes = figure.add_subplot()
    if scene.log_x:
        axes.set_xscale("log")
    _band(axes, scene, scene.prediction, "new points", 0.10, look)
    _band(axes, scene, scene.confidence, "the curve", 0.28, look)
    curve = "prediction = target" if scene.against_prediction else "fit"
    axes.plot(scene.curve_x, scene.curve_y, color=look.curve, linewidth=2.2, label=curve, zorder=4)
    many = scene.data_x.size > _MANY
    if scene.sigma is not None and not many:
        axes.errorbar(
            scene.data_x,
            scene.data_y,
            yerr=scene.sigma,
            fmt="none",
            ecolor=look.points,
            elinewidth=1.0,
            capsize=2.0,
            alpha=0.55,
            zorder=5,
        )
    axes.plot(
        scene.data_x,
        scene.data_y,
        linestyle="none",
        marker="o",
        markersize=3.2 if many else 5.5,
        markerfacecolor=look.points,
        markeredgecolor=look.paper,
        markeredgewidth=0.0 if many else 0.8,
        alpha=0.55 if many else 1.0,
        label="data",
        gid="data",
        zorder=6,
    )
    _limits(axes, scene)
    named(axes, scene.x, scene.y)
    dressed(axes, look, log="x" if scene.log_x else "")
    legend(axes, look, loc="best")


def _band(
    axes: Axes, scene: FitScene, ribbon: Ribbon | None, of: str, alpha: float, look: Look
) -> None:
    if ribbon is not None:
        axes.fill_between(
            scene.curve_x,
            ribbon.lower,
            ribbon.upper,
            color=look.band,
            alpha=alpha,
            linewidth=0,
            label=f"{100 * ribbon.level:.10g} % band for {of}",
            zorder=2,
        )


def _limits(axes: Axes, scene: FitScene) -> None:
    """Limits of the data and the curve; a diverging band is not included."""
    values = np.concatenate([scene.data_y, scene.curve_y])
    values = values[np.abs(values) < _HUGE]
    if not values.size or values.min() == values.max():
        return
    low, high = values.min(), values.max()
    bottom, top = axes.get_ylim()
    room = 0.6 * (high - low)
    axes.set_ylim(max(bottom, low - room), min(top, high + room))
