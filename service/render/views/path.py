"""The path of one or two params on the loss surface."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.errors import InvalidData, InvalidRequest, UnknownName, token
from service.fitting.plot_data import PlotData, evenly, select
from service.fitting.start import known_names
from service.fitting.ties import own_values
from service.render.canvas import Canvas
from service.render.cells import wrapped
from service.render.characters import NOTHING, canvas_of, with_axes
from service.render.digits import number
from service.render.scales import Scale, around
from service.render.scene import PlotInput, Scene
from service.schemas.columns import Numbers
from service.schemas.plot import PlotHistory, PlotRequest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from service.render.figure import Palette

GRID = 121
"""Grid values along each of two axes."""
LINE = 401
"""Grid values along a single axis."""
MOST_ROWS = 20_000
NEAR, FIRST = 8.0, 200.0
"""Largest width of the picture, in units of the distance from the start to the lowest loss, to
include the path; and to include its first step."""
ROOM = 0.12
MOST_STEPS = 2_000
_FEW = 60

Pair = Numbers
"""(names,)"""


@dataclass(frozen=True, slots=True, eq=False)
class PathScene(Scene):
    """The path of one or two params on the loss surface, with the other params constant."""

    names: tuple[str, ...]
    """One or two."""
    axes: tuple[Numbers, ...]
    """The grid values of each."""
    surface: Numbers
    """Losses, (first axis,) or (first axis, second axis)."""
    path: Numbers
    """(steps, names), from the start; all finite."""
    epochs: tuple[int, int]
    """Epochs of the first and the last point of the path."""
    left: Numbers | None
    """(names,) The point after which the path stays outside the picture."""
    minimum: Numbers | None
    """(names,) Where the loss is lowest."""

    def draw(self, figure: Figure, palette: Palette) -> None:
        """Contours with the path on them; of one param, the loss with the path on it."""
        from service.render.contours import contours
        from service.render.figure import legend, name_axes, style_axes

        axes = figure.add_subplot()
        if len(self.names) == 2:
            contours(axes, self.axes[0], self.axes[1], self.surface.T, palette)
            _draw_path(axes, self, self.path, palette)
            name_axes(axes, self.names[0], self.names[1])
            style_axes(axes, palette, grid="")
        else:
            axes.plot(self.axes[0], self.surface, color=palette.curve, linewidth=2.0, label="loss")
            heights = np.interp(self.path[:, 0], self.axes[0], self.surface)
            _draw_path(axes, self, np.column_stack([self.path[:, 0], heights]), palette)
            name_axes(axes, self.names[0], "loss")
            style_axes(axes, palette)
        axes.set_xlim(self.axes[0][0], self.axes[0][-1])
        if len(self.names) == 2:
            axes.set_ylim(self.axes[1][0], self.axes[1][-1])
        legend(axes, palette, loc="best")

    def characters(self, width: int, lines: int) -> list[str]:
        """The path on the shaded surface; of one param, on the loss."""
        ends = [Scale(float(axis[0]), float(axis[-1])) for axis in self.axes]
        if len(self.names) == 1:
            return _path_of_one(self, ends[0], width, lines)
        canvas = canvas_of(ends[0], ends[1], width, lines)
        assert canvas is not None
        canvas.shade(self.surface)
        canvas.curve(self.path[:, 0], self.path[:, 1])
        _waypoints(canvas, self, self.path, self.minimum)
        made = with_axes(canvas, self.names[0], self.names[1])
        legend = "S the start, E the end of the path, × the lowest loss; the darker the higher"
        return [*made, *wrapped(legend, width, "  "), *_left(self, width)]


def scene(given: PlotInput) -> PathScene:
    """The loss over one or two params, and the params of the history as a path on it."""
    request, history = given.request, given.request.history
    assert history is not None
    seen = select(request, MOST_ROWS, given.max_rows)
    names = _along(seen, history)
    path, epochs = _path(request, history, names)
    each = GRID if len(names) == 2 else LINE
    seen = seen.affordable(each ** len(names))
    lowest = seen.lowest(names)
    low, high = _window(request, names, path, lowest, seen)
    axes = tuple(np.linspace(a, b, each) for a, b in zip(low, high, strict=True))
    drawn, left = _cut(path, low, high)
    kept = [n for n in seen.formula.params if n not in names]
    notes = [*seen.notes]
    if kept:
        notes.append(
            "the other param is at its fitted value"
            if len(kept) == 1
            else f"the other {len(kept)} params are at their fitted values"
        )
    if seen.target.shape[0] < seen.rows:
        notes.append(f"the loss is computed from {seen.target.shape[0]:,} of {seen.rows:,} rows")
    return PathScene(
        title=seen.title,
        names=names,
        axes=axes,
        surface=seen.losses(names, axes),
        path=drawn,
        epochs=epochs,
        left=left,
        minimum=lowest,
        notes=tuple(notes),
    )


def _along(seen: PlotData, history: PlotHistory) -> tuple[str, ...]:
    """The requested params, else the two that changed most."""
    request, params = seen.request, seen.formula.params
    asked = request.along or list(request.axes or ())
    if asked:
        known_names(asked, params, "/along")
        for name in asked:
            if name not in history.params:
                raise UnknownName("param", name, history.params, pointer="/along")
        return tuple(dict.fromkeys(asked))
    gone = {}
    for name in params:
        column = np.array(history.params.get(name, ()), dtype=np.float64)
        begin = (request.start or {}).get(name)
        values = np.append(column, [] if begin is None else [begin])
        values = values[np.isfinite(values)]
        if values.size:
            gone[name] = float(values.max() / 2 - values.min() / 2)
    if not gone:
        raise InvalidRequest(
            "the view 'path' requires the `params` of the history", pointer="/history/params"
        )
    far = sorted(gone, key=lambda name: -gone[name])[:2]
    moved = [name for name in far if gone[name] > 0] or far[:1]
    return tuple(name for name in params if name in moved)


def _path(
    request: PlotRequest, history: PlotHistory, names: tuple[str, ...]
) -> tuple[Numbers, tuple[int, int]]:
    """The points before the first non-finite one, (steps, names), and the epochs of its ends."""
    columns = [history.params[name] for name in names]
    if any(len(column) != len(history.epoch) for column in columns):
        raise InvalidData("the columns of the history differ in length", pointer="/history")
    path = np.array(columns, dtype=np.float64).T.reshape(-1, len(names))
    first = history.epoch[0] if history.epoch else 0
    if request.start is not None and all(name in request.start for name in names):
        path = np.vstack([[request.start[name] for name in names], path])
        first = max(first - 1, 0)
    whole = np.isfinite(path).all(axis=1)
    count = int(whole.argmin()) if not whole.all() else len(path)
    if not count:
        raise InvalidData("the path has no finite point", pointer="/history/params")
    return path[:count], (first, first + count - 1 if not history.epoch else history.epoch[-1])


def _window(
    request: PlotRequest,
    names: tuple[str, ...],
    path: Numbers,
    lowest: Pair | None,
    seen: PlotData,
) -> tuple[Pair, Pair]:
    """The lower and upper corner of the picture, (names,) each."""
    values = own_values(request.params or {})
    ends = np.array([values[name] for name in names])
    anchors = np.vstack([path[:1], ends if lowest is None else lowest])
    low, high = anchors.min(axis=0), anchors.max(axis=0)
    reach = np.maximum(high - low, 1e-3 * np.abs(anchors).max(axis=0))
    reach = np.where(reach > 0, reach, 1.0)
    for step, point in enumerate(path[1:], start=1):
        wider = np.minimum(low, point), np.maximum(high, point)
        if ((wider[1] - wider[0]) > (FIRST if step == 1 else NEAR) * reach).any():
            if step > 1 and ((point < low) | (point > high)).any():
                break
            continue
        low, high = wider
    span = np.maximum(high - low, reach * 0.5)
    middle = low / 2 + high / 2
    low, high = middle - span * (0.5 + ROOM), middle + span * (0.5 + ROOM)
    for i, name in enumerate(names):
        if request.axes and name in request.axes:
            axis = request.axes[name]
            if not axis.min < axis.max:
                raise InvalidData("`min` must be below `max`", pointer=f"/axes/{token(name)}")
            low[i], high[i] = axis.min, axis.max
    if not np.isfinite(high - low).all():
        raise InvalidRequest("the params are too far apart to draw", pointer="/history/params")
    return low, high


def _cut(path: Numbers, low: Pair, high: Pair) -> tuple[Numbers, Pair | None]:
    """The path until it leaves the picture permanently, and the first point outside."""
    inside = ((path >= low) & (path <= high)).all(axis=1)
    last = int(np.flatnonzero(inside).max()) if inside.any() else 0
    if last == len(path) - 1:
        return _fewer(path), None
    outside = path[last + 1]
    before = path[last]
    # Far enough to be clipped by the frame, but not so far that the renderer overflows.
    far = float(np.max(np.abs(outside / 2 - before / 2) / (high - low))) * 2
    beyond = before + (outside - before) * min(1.0, 20.0 / far if math.isfinite(far) else 0.0)
    limit = 20.0 * (high - low)
    whole = np.clip(path[: last + 1], low - limit, high + limit)
    return np.vstack([_fewer(whole), beyond]), outside


def _fewer(path: Numbers) -> Numbers:
    return path[evenly(len(path), MOST_STEPS)]


def _draw_path(axes: Axes, scene: PathScene, path: Numbers, palette: Palette) -> None:
    from service.render.figure import figure_text, plain

    few = len(path) <= _FEW
    axes.plot(
        path[:, 0],
        path[:, 1],
        color=palette.accent,
        linewidth=1.9,
        marker="o" if few else "",
        markersize=4.0,
        gid="path",
        label=f"epochs {scene.epochs[0]:,} to {scene.epochs[1]:,}",
        zorder=5,
    )
    _mark(axes, path[0], "o", "start", palette.background, palette.accent)
    if scene.left is None:
        _mark(axes, path[-1], "s", "end", palette.accent, palette.background)
    if scene.minimum is not None:
        height = scene.minimum
        if len(scene.names) == 1:
            height = np.array([height[0], np.interp(height[0], scene.axes[0], scene.surface)])
        _mark(axes, height, "*", "lowest loss", palette.second, palette.background, 15)
    if scene.left is not None:
        where = ", ".join(
            f"{name} = {figure_text(value, 3)}"
            for name, value in zip(scene.names, scene.left.tolist(), strict=True)
        )
        axes.set_title(plain(f"the path leaves the plot for {where}"), color=palette.accent)


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


def _path_of_one(scene: PathScene, x: Scale, width: int, lines: int) -> list[str]:
    canvas = canvas_of(x, around([scene.surface], margin=0.04), width, lines)
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
    made = with_axes(canvas, scene.names[0], "loss")
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
