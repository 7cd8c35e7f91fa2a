"""A throw-away view: the observations in increasing order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.fitting.plot_data import MOST_POINTS, select
from service.render.characters import NOTHING, canvas_of, with_axes
from service.render.scales import around
from service.render.scene import PlotInput, Scene
from service.schemas.columns import Numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from service.render.figure import Palette


@dataclass(frozen=True, slots=True, eq=False)
class SortedScene(Scene):
    """The observations in increasing order."""

    target: str
    values: Numbers

    def draw(self, figure: Figure, palette: Palette) -> None:
        """The observations by rank."""
        from service.render.figure import name_axes, style_axes

        axes = figure.add_subplot()
        axes.plot(self.values, color=palette.curve, gid="sorted")
        name_axes(axes, "rank", self.target)
        style_axes(axes, palette)

    def characters(self, width: int, lines: int) -> list[str]:
        """The observations by rank."""
        ranks = np.arange(float(self.values.size))
        canvas = canvas_of(around([ranks]), around([self.values]), width, lines)
        if canvas is None:
            return [NOTHING]
        canvas.curve(ranks, self.values)
        return with_axes(canvas, "rank", self.target)


def scene(given: PlotInput) -> SortedScene:
    """The observations of the selected rows."""
    chosen = select(given.request, MOST_POINTS, given.max_rows)
    values = np.sort(chosen.target.numpy())
    return SortedScene(chosen.title, chosen.formula.target, values, notes=chosen.notes)
