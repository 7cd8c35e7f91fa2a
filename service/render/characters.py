"""Scenes drawn in characters, within a number of columns."""

from __future__ import annotations

import numpy as np

from service.render.canvas import Canvas, framed, margin_of, side_by_side
from service.render.cells import visible, wrapped
from service.render.digits import number
from service.render.extremes import drawable
from service.render.scales import Scale, around
from service.schemas.columns import Numbers
from service.schemas.scenes import (
    FitScene,
    LossesScene,
    LossScene,
    PathScene,
    Quantity,
    ResidualsScene,
    Scene,
)

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
    scene = drawable(scene)
    if isinstance(scene, FitScene):
        return _fit(scene, width, lines)
    if isinstance(scene, LossScene):
        return _loss(scene, width, lines)
    if isinstance(scene, ResidualsScene):
        return _residuals(scene, width, lines)
    if isinstance(scene, PathScene):
        return _path(scene, width, lines)
    return _losses(scene, width, lines)


def _canvas(x: Scale | None, y: Scale | None, width: int, lines: int) -> Canvas | None:
    if x is None or y is None:
        return None
    return Canvas(max(width - INDENT - margin_of(y, lines), 2), lines, x, y)


def _framed(canvas: Canvas, x: Quantity | str, y: Quantity | str) -> list[str]:
    return framed(canvas, visible(str(x)), visible(str(y)), INDENT)


def _fit(scene: FitScene, width: int, lines: int) -> list[str]:
    x = around([scene.data_x, scene.curve_x], log=scene.log_x, margin=0.02)
    canvas = _canvas(x, around([scene.data_y, scene.curve_y], margin=0.04), width, lines)
    if canvas is None:
        return [NOTHING]
    canvas.curve(scene.curve_x, scene.curve_y)
    canvas.marks(scene.data_x, scene.data_y)
    return _framed(canvas, scene.x, scene.y)


def _loss(scene: LossScene, width: int, lines: int) -> list[str]:
    y = around([scene.loss], log=True, margin=0.03)
    canvas = _canvas(around([scene.epoch]), y, width, lines)
    if canvas is None:
        return [NOTHING]
    canvas.curve(scene.epoch, scene.loss)
    if len(scene.epoch) <= 30:
        canvas.marks(scene.epoch, scene.loss)
    if scene.best is not None:
        canvas.marks(np.array(scene.best[:1]), np.array(scene.best[1:]), "◆")
    made = _framed(canvas, "epoch", "loss, logarithmic")
    if scene.best is not None:
        made += wrapped(f"◆ the best, {number(scene.best[1], 4)}", width, "  ")
    if scene.verdict is not None:
        made += wrapped(scene.verdict, width, "  ")
    if scene.lost is not None:
        made += wrapped(f"not finite from epoch {scene.lost:,.0f} on", width, "  ")
    return made


def _residuals(scene: ResidualsScene, width: int, lines: int) -> list[str]:
    y = around([scene.residuals], margin=0.04)
    half = (width - 3) // 2
    left = _canvas(around([scene.at], margin=0.02), y, half, lines)
    right = _canvas(around([scene.normal], margin=0.02), y, half, lines)
    if left is None or right is None:
        return [NOTHING]
    zero = left.x.values(2)
    left.curve(zero, np.zeros(2))
    left.marks(scene.at, scene.residuals)
    ends, (offset, slope) = right.x.values(2), scene.line
    right.curve(ends, offset + slope * ends)
    right.marks(scene.normal, scene.ordered)
    return side_by_side(
        [
            _framed(left, scene.prediction, scene.residual),
            _framed(right, "normal quantile", scene.residual),
        ]
    )


_SHADES = " ·:-=+*%#"


def _path(scene: PathScene, width: int, lines: int) -> list[str]:
    ends = [Scale(float(axis[0]), float(axis[-1])) for axis in scene.axes]
    if len(scene.names) == 1:
        return _path_of_one(scene, ends[0], width, lines)
    canvas = _canvas(ends[0], ends[1], width, lines)
    assert canvas is not None
    _shade(canvas, scene.surface)
    canvas.curve(scene.path[:, 0], scene.path[:, 1])
    _waypoints(canvas, scene, scene.path, scene.minimum)
    made = _framed(canvas, scene.names[0], scene.names[1])
    legend = "S the start, E the end of the path, × the lowest loss; the darker the higher"
    return [*made, *wrapped(legend, width, "  "), *_left(scene, width)]


def _path_of_one(scene: PathScene, x: Scale, width: int, lines: int) -> list[str]:
    canvas = _canvas(x, around([scene.surface], margin=0.04), width, lines)
    if canvas is None:
        return [NOTHING]
    canvas.curve(scene.axes[0], scene.surface)
    heights = np.interp(scene.path[:, 0], scene.axes[0], scene.surface)
    canvas.marks(scene.path[:, 0], heights)
    lowest = None
    if scene.minimum is not None:
        height = np.interp(scene.minimum, scene.axes[0], scene.surface)
        lowest = np.array([scene.minimum[0], height[0]])
    _waypoints(canvas, scene, np.column_stack([scene.path[:, 0], heights]), lowest)
    made = _framed(canvas, scene.names[0], "loss")
    legend = "S the start, E the end of the path, × the lowest loss"
    return [*made, *wrapped(legend, width, "  "), *_left(scene, width)]


def _waypoints(canvas: Canvas, scene: PathScene, path: Numbers, lowest: Numbers | None) -> None:
    if lowest is not None:
        canvas.marks(lowest[:1], lowest[1:], "×")
    if len(path):
        if scene.left is None:
            canvas.marks(path[-1:, 0], path[-1:, 1], "E")
        canvas.marks(path[:1, 0], path[:1, 1], "S")


def _left(scene: PathScene, width: int) -> list[str]:
    if scene.left is None:
        return []
    where = ", ".join(
        f"{name} = {number(value, 3)}"
        for name, value in zip(scene.names, scene.left.tolist(), strict=True)
    )
    return wrapped(f"it leaves the plot for {where}", width, "  ")


def _shade(canvas: Canvas, surface: Numbers) -> None:
    """The surface as shades, even steps of the logarithm of what is above its lowest."""
    rows = np.linspace(0, surface.shape[0] - 1, canvas.columns).astype(int)
    columns = np.linspace(0, surface.shape[1] - 1, canvas.lines).astype(int)
    losses = surface[np.ix_(rows, columns)]
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return
    low, high = float(finite.min()), float(finite.max())
    with np.errstate(all="ignore"):
        height = 1 + np.log10((losses - low) / (high - low)) / 3
    for i in range(canvas.columns):
        for j in range(canvas.lines):
            level = height[i, j] if np.isfinite(losses[i, j]) else 1.0
            shade = _SHADES[int(np.clip(np.nan_to_num(level), 0, 0.999) * len(_SHADES))]
            if shade != " ":
                canvas.shade(i, canvas.lines - 1 - j, shade)


def _losses(scene: LossesScene, width: int, lines: int) -> list[str]:
    made: list[str] = []
    half = (width - 3) // 2
    for name, formula in scene.formulas.items():
        blocks = []
        for values, what in ((scene.values[name], name), (scene.slopes[name], f"d {name} / dr")):
            canvas = _canvas(
                around([scene.residual]), around([values], margin=0.04), half, max(lines // 2, 6)
            )
            if canvas is None:
                return [NOTHING]
            canvas.curve(scene.residual, values)
            blocks.append(_framed(canvas, "residual r", what))
        made += [*wrapped(f"{name} = {formula}", width, "  "), *side_by_side(blocks), ""]
    return made[:-1]
