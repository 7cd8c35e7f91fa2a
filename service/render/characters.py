"""Scenes drawn in characters, within a number of columns."""

from __future__ import annotations

import numpy as np

from service.render.canvas import Canvas, framed, margin_of
from service.render.cells import visible, wrapped
from service.render.extremes import drawable
from service.render.scales import Scale
from service.render.scene import Quantity, Scene

LINES = 16
INDENT = 2
NOTHING = "  there is no finite number to draw"


def picture(scene: Scene, *, width: int = 80, lines: int = LINES) -> str:
    """The whole picture: its title, what it shows, its notes."""
    shown = drawable(scene)
    made = [*wrapped(shown.title, width), "", *body(shown, width=width, lines=lines)]
    for note in shown.notes:
        made += wrapped(note, width, "  ")
    return "\n".join(made) + "\n"


@np.errstate(all="ignore")
def body(scene: Scene, *, width: int = 80, lines: int = LINES) -> list[str]:
    """The lines of the picture alone."""
    return drawable(scene).characters(width, lines)


def canvas_of(x: Scale | None, y: Scale | None, width: int, lines: int) -> Canvas | None:
    """A canvas that is at most `width` columns wide with its axes; None without a finite number."""
    if x is None or y is None:
        return None
    return Canvas(max(width - INDENT - margin_of(y, lines), 2), lines, x, y)


def with_axes(canvas: Canvas, x: Quantity | str, y: Quantity | str) -> list[str]:
    """The canvas with its axes and their names."""
    return framed(canvas, visible(str(x)), visible(str(y)), INDENT)
