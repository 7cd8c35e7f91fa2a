"""Losses of one residual and their derivatives: the cost and the influence of an outlier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.catalogue.losses import LOSSES
from service.fitting.plot_data import loss_curves
from service.render.canvas import side_by_side
from service.render.cells import wrapped
from service.render.characters import NOTHING, canvas_of, with_axes
from service.render.scales import around
from service.render.scene import PlotInput, Scene
from service.schemas.columns import Numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from service.render.figure import Palette

BESIDE = 3.0
"""Losses are shown for residuals from −3 to 3."""
PLACES = 201
"""Points along either half of a curve."""
_LINES = ("-", (0, (6, 2)), (0, (2, 2)))


@dataclass(frozen=True, slots=True, eq=False)
class LossesScene(Scene):
    """Losses as functions of the residual, and their derivatives."""

    residual: Numbers
    values: Mapping[str, Numbers]
    """ρ(r), by loss."""
    slopes: Mapping[str, Numbers]
    """ρ'(r), by loss."""
    formulas: Mapping[str, str]

    def draw(self, figure: Figure, palette: Palette) -> None:
        """The losses at the left, their derivatives at the right."""
        from service.render.figure import BLUE, PURPLE, SKY, legend, name_axes, plain, style_axes

        left, right = figure.subplots(1, 2)
        colours = (SKY if palette.curve == SKY else BLUE, palette.accent, PURPLE)
        for (name, formula), colour, line in zip(
            self.formulas.items(), colours, _LINES, strict=False
        ):
            style = {"color": colour, "linestyle": line, "linewidth": 2.2}
            label = plain(f"{name}: {formula}" if len(formula) < 24 else name)
            left.plot(self.residual, self.values[name], label=label, gid=f"loss-{name}", **style)
            right.plot(self.residual, self.slopes[name], gid=f"slope-{name}", **style)
        left.set_title("loss", color=palette.quiet)
        right.set_title("influence", color=palette.quiet)
        name_axes(left, "residual r", "loss")
        name_axes(right, "residual r", "derivative by r")
        for axes in (left, right):
            axes.axvline(0.0, color=palette.quiet, linewidth=0.8, zorder=1)
            style_axes(axes, palette)
        right.axhline(0.0, color=palette.quiet, linewidth=0.8, zorder=1)
        legend(left, palette, loc="upper center")

    def characters(self, width: int, lines: int) -> list[str]:
        """Each loss, with its derivative beside it."""
        made: list[str] = []
        half = (width - 3) // 2
        for name, formula in self.formulas.items():
            blocks = []
            for values, what in ((self.values[name], name), (self.slopes[name], f"d {name} / dr")):
                canvas = canvas_of(
                    around([self.residual]), around([values], margin=0.04), half, max(lines // 2, 6)
                )
                if canvas is None:
                    return [NOTHING]
                canvas.curve(self.residual, values)
                blocks.append(with_axes(canvas, "residual r", what))
            made += [*wrapped(f"{name} = {formula}", width, "  "), *side_by_side(blocks), ""]
        return made[:-1]


def scene(given: PlotInput) -> LossesScene:
    """The requested losses as functions of the residual, and their derivatives."""
    half = np.linspace(0.0, BESIDE, PLACES)
    residual = np.concatenate([-half[:0:-1], half])
    names = tuple(dict.fromkeys(given.request.losses))
    curves = {name: loss_curves(name, residual) for name in names}
    return LossesScene(
        title=" and ".join(names) if given.request.title is None else given.request.title,
        residual=residual,
        values={name: values for name, (values, _) in curves.items()},
        slopes={name: slopes for name, (_, slopes) in curves.items()},
        formulas={name: _of_one(LOSSES[name].formula) for name in names},
    )


def _of_one(formula: str) -> str:
    """The formula of the loss of a single residual."""
    return formula.removeprefix("mean(").removesuffix(")")
