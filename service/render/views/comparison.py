"""Compared models: their curves over the data, and their weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from service import fitting
from service.fitting import ComparedPlot
from service.render.cells import clipped, left
from service.render.characters import NOTHING, canvas_of, with_axes
from service.render.scales import around
from service.render.scene import PlotInput, Quantity, Scene
from service.render.views import fit
from service.render.views.fit import FitScene
from service.schemas.columns import Numbers
from service.schemas.plot import PlotRequest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from service.render.figure import Palette

MOST_BARS = 12
_BAR = 20
"""Characters of a weight of 1."""
_NAME = 22
_LEAST = 0.001
"""Smallest weight that is written as a number."""
_DASHES: Any = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 2)))


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The curve of a model, or of a hypothesis in one group, by their places among these."""

    model: int
    group: int | None
    """None where it is that of all groups."""
    x: Numbers
    y: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """The rows of one group; with several inputs, over the predictions of one model."""

    name: str
    color: int | None
    """The place of what they belong to; None where they belong to every curve."""
    x: Numbers
    y: Numbers


@dataclass(frozen=True, slots=True)
class Weight:
    """A model of the ranking."""

    label: str
    weight: float | None
    color: int | None


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonScene(Scene):
    """Curves over the data, and weights as bars. Models have colours; where curves of groups are
    compared the groups have them, and hypotheses have dashes."""

    base: FitScene
    """The axes, with the data of every curve."""
    models: tuple[str, ...]
    groups: tuple[str, ...]
    curves: tuple[Curve, ...]
    points: tuple[Points, ...]
    weights: tuple[Weight, ...]
    criterion: str

    def draw(self, figure: Figure, palette: Palette) -> None:
        """The curves at the left, the weights at the right."""
        from service.render.figure import mark_zero, name_axes, style_axes

        bars = [each for each in self.weights if each.weight is not None][:MOST_BARS]
        if bars:
            main, side = figure.subplots(1, 2, width_ratios=(5, 2))
            self._draw_weights(side, bars, palette)
        else:
            main = figure.add_subplot()
        base = self.base
        if base.log_x:
            main.set_xscale("log")
        if base.log_y:
            main.set_yscale("log")
        self._draw_points(main, palette)
        self._draw_curves(main, palette)
        limits = [replace(base, curve_x=each.x, curve_y=each.y) for each in self.curves]
        fit.limit(main, limits or [base])
        style_axes(main, palette, log="x" * base.log_x + "y" * base.log_y)
        if base.zero is not None:
            mark_zero(main, base.zero, palette)
        name_axes(main, base.x, base.y)
        self._draw_legend(main, palette)

    def _draw_points(self, axes: Axes, palette: Palette) -> None:
        for each in self.points:
            color = palette.points if each.color is None else palette.series[each.color]
            axes.plot(
                each.x, each.y, linestyle="none", marker="o", markersize=5,
                markerfacecolor=color, markeredgecolor=palette.background, markeredgewidth=0.8,
                label=each.name, gid="data", zorder=6,
            )  # fmt: skip

    def _draw_curves(self, axes: Axes, palette: Palette) -> None:
        if self.base.against_prediction:
            axes.plot(
                self.base.curve_x, self.base.curve_y, color=palette.quiet, linewidth=1.2, zorder=4
            )
            return
        for each in self.curves:
            axes.plot(
                each.x, each.y, linestyle=_DASHES[each.model],
                color=self._color(each, palette),
                linewidth=2.4 if each.model == 0 else 1.6,
                alpha=1.0 if each.model == 0 else 0.85, zorder=5 - 0.1 * each.model,
            )  # fmt: skip

    def _color(self, curve: Curve, palette: Palette) -> str:
        place = curve.group if self.groups else curve.model
        return palette.quiet if place is None else palette.series[place]

    def _draw_legend(self, axes: Axes, palette: Palette) -> None:
        """The models by their lines, and the groups by their points."""
        from matplotlib.lines import Line2D

        from service.render.figure import plain

        drawn = sorted({each.model for each in self.curves})
        lines = [] if self.base.against_prediction else [
            Line2D(
                [], [], linestyle=_DASHES[i], linewidth=2.4 if i == 0 else 1.6,
                color=palette.quiet if self.groups else palette.series[i],
                label=plain(clipped(self.models[i], 30)),
            )
            for i in drawn
        ]  # fmt: skip
        marks = [
            Line2D(
                [], [], linestyle="none", marker="o", markersize=5,
                color=palette.points if each.color is None else palette.series[each.color],
                label=plain(clipped(each.name, 30)),
            )
            for each in self.points
        ]  # fmt: skip
        axes.legend(
            handles=[*marks, *lines], frameon=True, framealpha=0.85, edgecolor="none",
            facecolor=palette.background, labelcolor=palette.ink, borderpad=0.3,
            handlelength=2.6, loc="best",
        ).set_zorder(10)  # fmt: skip

    def _draw_weights(self, axes: Axes, bars: list[Weight], palette: Palette) -> None:
        from service.render.figure import plain, style_axes

        at = np.arange(len(bars))[::-1]
        colors = [palette.quiet if b.color is None else palette.series[b.color] for b in bars]
        axes.barh(at - 0.2, [each.weight or 0.0 for each in bars], height=0.26, color=colors)
        for place, each in zip(at.tolist(), bars, strict=True):
            texts = ((0.02, clipped(each.label, _NAME), "left"), (1.0, _weight(each), "right"))
            for x, text, side in texts:
                axes.text(x, place, plain(text), va="bottom", ha=side, fontsize=8.5)
        style_axes(axes, palette, grid="x", most=3)
        axes.set_title(f"weight by {self.criterion}" if self.criterion else "weight")
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(min(-0.6, len(bars) - 6.6), len(bars) - 0.4)
        axes.set_yticks([])

    def characters(self, width: int, lines: int) -> list[str]:
        """The first model's curves over the data, and the weights below."""
        base = self.base
        own = [each for each in self.curves if each.model == 0]
        xs = [*(each.x for each in own), *(each.x for each in self.points)]
        ys = [*(each.y for each in own), *(each.y for each in self.points)]
        x, y = (
            around(xs, log=base.log_x, margin=0.02),
            around(ys, log=base.log_y, margin=0.04),
        )
        canvas = canvas_of(x, y, width, lines)
        if canvas is None:
            return [NOTHING]
        for curve in own:
            canvas.curve(curve.x, curve.y)
        for points in self.points:
            canvas.marks(points.x, points.y)
        made = with_axes(canvas, base.x, base.y)
        bars = [each for each in self.weights if each.weight is not None][:MOST_BARS]
        if bars:
            made += ["", f"  the curve is that of {self.models[0]}; weights by {self.criterion}"]
        for each in bars:
            filled = round(_BAR * (each.weight or 0.0))
            name = left(clipped(each.label, _NAME), _NAME)
            made.append(f"  {name}  {'█' * filled:{_BAR}}  {_weight(each)}")
        return made


def _weight(of: Weight) -> str:
    weight = of.weight or 0.0
    return f"{weight:.3f}" if weight >= _LEAST else f"< {_LEAST}"


def scene(given: PlotInput) -> ComparisonScene:
    """The models of a plot request over its data."""
    plot = fitting.plot_of_models(given.request)
    return scene_of(plot, given.request, given.max_rows)


def scene_of(plot: ComparedPlot, asked: PlotRequest, max_rows: int) -> ComparisonScene:
    """The scene of a comparison, with every curve on the same axes. Raises InvalidRequest."""
    base = fit.scene(PlotInput(plot.whole, max_rows=max_rows))
    same = {
        "x_axis": "log" if base.log_x else "linear",
        "y_axis": "log" if base.log_y else "linear",
    }
    models = tuple(dict.fromkeys(each.label for each in plot.curves))
    groups = tuple(dict.fromkeys(each.group for each in plot.curves if each.group is not None))
    curves, points = list[Curve](), dict[str, Points]()
    for each in plot.curves:
        model = models.index(each.label)
        group = groups.index(each.group) if each.group is not None else None
        if base.against_prediction and groups and (model > 0 or group is None):
            continue  # a cloud for each group is what can be read
        made = fit.scene(PlotInput(each.request.model_copy(update=same), max_rows=max_rows))
        if base.zero is not None:
            made = made.with_zero(base.zero)
        curves.append(Curve(model, group, made.curve_x, made.curve_y))
        name, color = "data", None
        if groups:
            if each.group is None:
                continue
            name, color = each.group, group
        elif base.against_prediction:
            name, color = each.label, model
        points.setdefault(name, Points(name, color, made.data_x, made.data_y))
    weights = tuple(
        Weight(
            each.label, each.weight,
            models.index(each.label) if each.label in models and not groups else None,
        )
        for each in plot.weights
    )  # fmt: skip
    hidden = sum(each.weight is not None for each in plot.weights) - MOST_BARS
    return ComparisonScene(
        title=plot.title,
        base=_with_all(base, curves, tuple(points.values())),
        models=models,
        groups=groups,
        curves=tuple(curves),
        points=tuple(points.values()),
        weights=weights,
        criterion=plot.criterion,
        notes=(
            *plot.notes,
            *([f"{hidden:,} more weights are not drawn"] if hidden > 0 else []),
            *base.notes,
        ),
    )


def _with_all(base: FitScene, curves: list[Curve], points: tuple[Points, ...]) -> FitScene:
    """The axes' scene with every row; against predictions, with the line of equality over all."""
    x, y = (
        np.concatenate([each.x for each in points]),
        np.concatenate([each.y for each in points]),
    )
    if not base.against_prediction:
        return replace(base, data_x=x, data_y=y)
    both = np.concatenate([x, y])
    both = both[np.isfinite(both)]
    ends = np.array([both.min(), both.max()])
    named = Quantity(f"prediction of {base.y.name}", base.y.unit)
    return replace(base, x=named, data_x=x, data_y=y, curve_x=ends, curve_y=ends)
