"""Losses of one residual and their derivatives: the cost and the influence of an outlier."""

from __future__ import annotations

from matplotlib.figure import Figure

from service.render.figures.paper import BLUE, PURPLE, SKY, Look, dressed, legend, named, plain
from service.schemas.scenes import LossesScene

_LINES = ("-", (0, (6, 2)), (0, (2, 2)))


def draw(figure: Figure, scene: LossesScene, look: Look) -> None:
    """The losses at the left, their derivatives at the right."""
    left, right = figure.subplots(1, 2)
    colours = (SKY if look.curve == SKY else BLUE, look.accent, PURPLE)
    for (name, formula), colour, line in zip(scene.formulas.items(), colours, _LINES, strict=False):
        style = {"color": colour, "linestyle": line, "linewidth": 2.2}
        label = plain(f"{name}: {formula}" if len(formula) < 24 else name)
        left.plot(scene.residual, scene.values[name], label=label, gid=f"loss-{name}", **style)
        right.plot(scene.residual, scene.slopes[name], gid=f"slope-{name}", **style)
    left.set_title("loss", color=look.quiet)
    right.set_title("influence", color=look.quiet)
    named(left, "residual r", "loss")
    named(right, "residual r", "derivative by r")
    for axes in (left, right):
        axes.axvline(0.0, color=look.quiet, linewidth=0.8, zorder=1)
        dressed(axes, look)
    right.axhline(0.0, color=look.quiet, linewidth=0.8, zorder=1)
    legend(left, look, loc="upper center")
