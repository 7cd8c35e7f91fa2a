"""The curves of several groups in one picture, each in a panel, on the same axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from service.errors import InvalidData
from service.fitting.from_groups import GroupPlot
from service.render.canvas import side_by_side
from service.render.cells import clipped
from service.render.scene import PlotInput, Scene
from service.render.views import fit
from service.render.views.fit import FitScene
from service.schemas.plot import PlotRequest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from service.render.figure import Palette

WIDTH, HEIGHT, MARGIN = 190, 130, 90
"""Pixels of a panel, and of the title and the names."""
CHARACTERS, LINES, ROWS = 40, 8, 4
"""Columns and lines of a panel in characters, and how many are below each other."""
MOST = 100
_SHAPE = 1.618
"""Width by height that a panel should have."""
_ALIKE = 0.1
"""Panels have one y axis if the typical height of their data is at least so much of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One group: its key, and its curve."""

    label: str
    verdict: str
    scene: FitScene


@dataclass(frozen=True, slots=True, eq=False)
class PanelsScene(Scene):
    """The curves of groups, from left to right and downwards."""

    columns: int
    panels: tuple[Panel, ...]
    shares_y: bool

    def draw(self, figure: Figure, palette: Palette) -> None:
        """A panel a group; the names of the axes once."""
        from matplotlib.figure import SubFigure

        from service.render.figure import plain

        rows = -(-len(self.panels) // self.columns)
        inner = cast(SubFigure, figure.subfigures())
        inner.patch.set_alpha(0.0)
        grid = inner.subplots(
            rows, self.columns, sharex=True, sharey=self.shares_y, squeeze=False
        ).ravel()
        for panel, axes in zip(self.panels, grid, strict=False):
            panel.scene.draw_on(axes, palette, small=True)
            good = panel.verdict == "trustworthy"
            axes.set_title(
                plain(clipped(_named(panel), 30)),
                fontsize=8.5,
                pad=3,
                color=palette.quiet if good else palette.accent,
            )
            axes.tick_params(labelsize=8.5)
            if not self.shares_y:
                fit.limit(axes, [panel.scene])
        if self.shares_y:
            fit.limit(grid[0], [panel.scene for panel in self.panels])
        for axes in grid[len(self.panels) :]:
            axes.set_visible(False)
        for axes in grid[max(len(self.panels) - self.columns, 0) : len(self.panels)]:
            axes.tick_params(labelbottom=True)
        first = self.panels[0].scene
        inner.supxlabel(plain(clipped(str(first.x), 80)), fontsize=10.5)
        inner.supylabel(plain(clipped(str(first.y), 44)), fontsize=10.5)

    def characters(self, width: int, lines: int) -> list[str]:
        """Panels beside and below each other."""
        made: list[str] = []
        own = (width + 3) // self.columns - 3
        for start in range(0, len(self.panels), self.columns):
            blocks = [
                [
                    clipped(_named(panel), own),
                    *self._drawn(panel, own, min(lines, LINES)),
                ]
                for panel in self.panels[start : start + self.columns]
            ]
            made += [*side_by_side(blocks), ""]
        return made

    def _drawn(self, panel: Panel, width: int, lines: int) -> list[str]:
        scenes = [each.scene for each in self.panels] if self.shares_y else [panel.scene]
        return panel.scene.beside(scenes, width, lines)


def _named(panel: Panel) -> str:
    good = panel.verdict == "trustworthy"
    return panel.label if good else f"{panel.label} · {panel.verdict}"


def room(asked: PlotRequest) -> tuple[int, int]:
    """How many panels there is room for in a picture, beside and below each other."""
    if asked.format == "txt":
        return max(asked.columns // CHARACTERS, 1), ROWS
    across = max(asked.width // WIDTH, 1)
    return across, max(min((asked.height - MARGIN) // HEIGHT, MOST // across), 1)


def scene(
    asked: PlotRequest, groups: Sequence[GroupPlot], of: int, title: str, max_rows: int
) -> PanelsScene:
    """The curves of groups; `of` is the number of all. Raises InvalidRequest."""
    found = list(_drawn(groups, max_rows))
    if not found:
        raise InvalidData("no group has a row without missing values", pointer="/data")
    panels = _on_same_axes(found, max_rows)
    across, down = room(asked)
    if asked.format != "txt":
        across = _columns(len(panels), across, down, asked.width / max(asked.height - MARGIN, 1))
    notes = [] if len(groups) == of else [
        f"{len(groups):,} of {of:,} groups, the first; a larger picture has more, `group` any one"
    ]  # fmt: skip
    if len(panels) < len(groups):
        notes.append(f"{len(groups) - len(panels):,} groups have nothing to draw")
    own = {note for panel in panels for note in panel.scene.notes if "axis" in note}
    return PanelsScene(
        title=title,
        columns=across,
        panels=tuple(panels),
        shares_y=_alike(panels),
        notes=(*notes, *sorted(own)),
    )


def _columns(count: int, across: int, down: int, ratio: float) -> int:
    """Of the numbers of columns that there is room for, the one whose panels are nearest to a
    golden rectangle; `ratio` is the width of all by their height."""
    fitting = [n for n in range(1, across + 1) if -(-count // n) <= down]
    shape = {n: math.log(ratio * -(-count // n) / n / _SHAPE) for n in fitting}
    return min(fitting, key=lambda n: abs(shape[n]), default=across)


def _drawn(groups: Sequence[GroupPlot], max_rows: int) -> Iterator[tuple[GroupPlot, FitScene]]:
    for group in groups:
        try:
            yield group, _curve(group, max_rows)
        except InvalidData:  # each of its rows has a missing value
            continue


def _curve(group: GroupPlot, max_rows: int) -> FitScene:
    """The curve of one group; only its data, where it could not be fitted."""
    made = fit.scene(PlotInput(group.request, max_rows=max_rows))
    if group.is_fitted:
        return made
    return replace(made, curve_y=np.full(made.curve_y.shape, np.nan), confidence=None)


def _on_same_axes(found: Sequence[tuple[GroupPlot, FitScene]], max_rows: int) -> list[Panel]:
    """Each logarithmic axis is so in all panels or in none, with 0 at one place."""
    log = {
        "x_axis": all(made.log_x for _, made in found),
        "y_axis": all(made.log_y for _, made in found),
    }
    panels = []
    for group, made in found:
        if (made.log_x, made.log_y) != tuple(log.values()):
            same = {name: "log" if is_log else "linear" for name, is_log in log.items()}
            again = group.request.model_copy(update=same)
            made = _curve(replace(group, request=again), max_rows)
        panels.append(Panel(group.label, group.verdict, made))
    zeros = [p.scene.zero for p in panels if p.scene.zero is not None]
    if not zeros:
        return panels
    return [replace(p, scene=p.scene.with_zero(min(zeros))) for p in panels]


def _alike(panels: Sequence[Panel]) -> bool:
    """Whether one y axis shows all panels well."""
    ends = []
    for panel in panels:
        y = panel.scene.data_y[np.isfinite(panel.scene.data_y)]
        y = np.log(y[y > 0]) if panel.scene.log_y else y
        if y.size:
            ends.append((float(y.min()), float(y.max())))
    if not ends:
        return True
    with np.errstate(over="ignore"):
        heights = np.array([high / 2 - low / 2 for low, high in ends])
        whole = max(high for _, high in ends) / 2 - min(low for low, _ in ends) / 2
    return bool(np.median(heights) >= _ALIKE * whole)
