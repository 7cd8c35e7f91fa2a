"""The loss by epoch, with a logarithmic axis."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from service.render.figures.paper import Look, dressed, figure_text, legend, named, plain
from service.schemas.scenes import LossScene

_FEW = 40
_MOST = 2_000


def draw(figure: Figure, scene: LossScene, look: Look) -> None:
    """Draws the loss, its best, and the epoch from which it was not finite."""
    axes = figure.add_subplot()
    axes.set_yscale("log")
    if not (np.isfinite(scene.loss) & (scene.loss > 0)).any():
        axes.set_ylim(0.1, 10)
    few = np.count_nonzero(np.isfinite(scene.loss)) <= _FEW
    axes.plot(
        scene.epoch,
        scene.loss,
        color=look.curve,
        linewidth=2.0,
        marker="o" if few else "",
        markersize=4.5,
        label="loss",
        gid="loss",
        zorder=3,
    )
    if scene.best is not None and scene.best[1] > 0:
        axes.plot(
            [scene.best[0]],
            [scene.best[1]],
            linestyle="none",
            marker="D",
            markersize=8,
            markerfacecolor=look.second,
            markeredgecolor=look.paper,
            label=f"best: {figure_text(scene.best[1])}",
            zorder=5,
        )
    if scene.lost is not None:
        axes.axvline(
            scene.lost,
            color=look.accent,
            linewidth=1.8,
            linestyle=(0, (4, 3)),
            label=f"not finite from epoch {scene.lost:,.0f} on",
        )
    if scene.verdict is not None:
        axes.set_title(plain(scene.verdict), color=look.accent)
    named(axes, "epoch", "loss")
    dressed(axes, look, log="y", whole="x")
    legend(axes, look, loc="best")
