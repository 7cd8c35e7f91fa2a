"""Pictures by matplotlib, one view a file. Imported where a picture is drawn, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from service.render.extremes import drawable
from service.render.figures import fit, loss, losses, path, residuals
from service.render.figures.paper import Look, Paper, printed
from service.schemas.scenes import (
    FitScene,
    LossesScene,
    LossScene,
    PathScene,
    ResidualsScene,
    Scene,
)

Draw = Callable[[Figure, Any, Look], None]

FIGURES: Mapping[type[Scene], Draw] = {
    FitScene: fit.draw,
    LossScene: loss.draw,
    ResidualsScene: residuals.draw,
    PathScene: path.draw,
    LossesScene: losses.draw,
}
"""How each scene is drawn."""


def drawn(scene: Scene, paper: Paper) -> bytes:
    """The picture as an SVG or a PNG: the same bytes for the same scene."""
    shown = drawable(scene)
    return printed(lambda figure, look: FIGURES[type(shown)](figure, shown, look), shown, paper)
