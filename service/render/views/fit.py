"""The curve over its data, with its bands; with several inputs, the target against its
prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from service import fitting
from service.fitting.noise_at import needs_only
from service.fitting.plot_data import MOST_POINTS, PlotData, drawn_of, select
from service.render.axes import CUT, XAxis, is_log_y, x_axis
from service.render.characters import NOTHING, canvas_of, with_axes
from service.render.scales import around
from service.render.scene import PlotInput, Quantity, Scene, quantity
from service.schemas.columns import Numbers
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.names import BandKind
from service.schemas.options import BandOptions
from service.schemas.plot import PlotRequest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from service.render.figure import Palette

PLACES = 400
"""Points along a curve."""
_LOG_ROOM = 2.0
_MANY = 100
_HUGE = 1e300


@dataclass(frozen=True, slots=True, eq=False)
class Ribbon:
    """A band around a curve, at the curve's x values."""

    level: float
    lower: Numbers
    upper: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class FitScene(Scene):
    """The curve over its data; with more than one input, the target against its prediction."""

    x: Quantity
    y: Quantity
    data_x: Numbers
    """(shown,)"""
    data_y: Numbers
    sigma: Numbers | None
    """The standard deviation of each point, if known."""
    curve_x: Numbers
    """(places,)"""
    curve_y: Numbers
    confidence: Ribbon | None = None
    prediction: Ribbon | None = None
    sigma_x: Numbers | None = None
    """The standard deviation of the x of each point, if it has one."""
    log_x: bool = False
    log_y: bool = False
    zero: float | None = None
    """Where x = 0 is on a logarithmic axis, if it is."""
    against_prediction: bool = False

    def draw(self, figure: Figure, palette: Palette) -> None:
        """Points, curve, confidence band in colour, prediction band by its edges."""
        from service.render.figure import legend, name_axes

        axes = figure.add_subplot()
        self.draw_on(axes, palette)
        name_axes(axes, self.x, self.y)
        legend(axes, palette, loc="best")

    def draw_on(self, axes: Axes, palette: Palette, *, small: bool = False) -> None:
        """Draws it on one axes of a figure, without names; `small` for one of many."""
        from service.render.figure import mark_zero, style_axes

        if self.log_x:
            axes.set_xscale("log")
        if self.log_y:
            axes.set_yscale("log")
        _band(axes, self, self.prediction, "new points", 0.10, palette)
        _band(axes, self, self.confidence, "the curve", 0.28, palette)
        curve = "prediction = target" if self.against_prediction else "fit"
        axes.plot(
            self.curve_x,
            self.curve_y,
            color=palette.curve,
            linewidth=1.5 if small else 2.2,
            label=curve,
            zorder=4,
        )
        many = small or self.data_x.size > _MANY
        if (self.sigma is not None or self.sigma_x is not None) and not many:
            axes.errorbar(
                self.data_x,
                self.data_y,
                xerr=self.sigma_x,
                yerr=self.sigma,
                fmt="none",
                ecolor=palette.points,
                elinewidth=1.0,
                capsize=2.0,
                alpha=0.55,
                zorder=5,
            )
        axes.plot(
            self.data_x,
            self.data_y,
            linestyle="none",
            marker="o",
            markersize=3.2 if many else 5.5,
            markerfacecolor=palette.points,
            markeredgecolor=palette.background,
            markeredgewidth=0.0 if many else 0.8,
            alpha=0.55 if many else 1.0,
            label="data",
            gid="data",
            zorder=6,
        )
        if not small:
            limit(axes, [self])
        style_axes(axes, palette, log="x" * self.log_x + "y" * self.log_y, most=3 if small else 7)
        if self.zero is not None:
            mark_zero(axes, self.zero, palette)

    def with_zero(self, zero: float) -> FitScene:
        """The same with x = 0 at that place of a logarithmic axis."""
        if self.zero is None or not self.log_x:
            return self
        curve_x = self.curve_x.copy()
        curve_x[:CUT] *= zero / self.zero
        data_x = np.where(self.data_x == self.zero, zero, self.data_x)
        return replace(self, data_x=data_x, curve_x=curve_x, zero=zero)

    def characters(self, width: int, lines: int) -> list[str]:
        """The curve with the data on it."""
        return self.beside([self], width, lines)

    def beside(self, scenes: Sequence[FitScene], width: int, lines: int) -> list[str]:
        """The same with the y axis of several."""
        x = around([self.data_x, self.curve_x], log=self.log_x, margin=0.02)
        y = around(
            [column for scene in scenes for column in (scene.data_y, scene.curve_y)],
            log=self.log_y,
            margin=0.04,
        )
        canvas = canvas_of(x, y, width, lines)
        if canvas is None:
            return [NOTHING]
        canvas.curve(self.curve_x, self.curve_y)
        canvas.marks(self.data_x, self.data_y)
        return with_axes(canvas, self.x, self.y)


def scene(given: PlotInput) -> FitScene:
    """The curve over its data, with the bands that the request has the fields for; with several
    inputs, the target against its prediction."""
    request, units = given.request, given.request.units
    seen = select(request, MOST_POINTS, given.max_rows)
    target = seen.target.numpy()
    base = FitScene(
        title=seen.title,
        x=Quantity("row"),
        y=quantity(seen.formula.target, units),
        data_x=(seen.places + 1).astype(np.float64),
        data_y=target,
        sigma=None if seen.sigma is None else seen.sigma.numpy(),
        curve_x=np.empty(0),
        curve_y=np.empty(0),
        notes=(*seen.notes, *drawn_of(target.size, seen.rows)),
    )
    log_y = is_log_y(request.y_axis, target)
    if len(seen.formula.inputs) > 1:
        return _against_prediction(base, seen.predict(), log_y)
    name = next(iter(seen.formula.inputs), None)
    if name is not None:
        spread = seen.sigma_x.get(name)
        base = replace(
            base,
            x=quantity(name, units),
            data_x=seen.raw[name].numpy(),
            sigma_x=None if spread is None else spread.numpy(),
        )
    axis = x_axis(request.x_axis if name else "linear", base.data_x, is_dose=seen.is_dose)
    places = axis.places(PLACES)
    found = {kind: _predict(seen, name, places, kind) for kind in _kinds(request, name)}
    curve = next(iter(found.values()), None) or _predict(seen, name, places, None)
    where, along = axis.curve(places, np.asarray(curve.predictions))
    return replace(
        base,
        data_x=axis.drawn(base.data_x),
        curve_x=where,
        curve_y=along,
        confidence=_ribbon(found.get("confidence"), request.level, axis, places),
        prediction=_ribbon(found.get("prediction"), request.level, axis, places),
        log_x=axis.log,
        log_y=log_y,
        zero=axis.zero,
        notes=(*base.notes, *_left_out(axis, target if log_y else None)),
    )


def _left_out(axis: XAxis, target: Numbers | None) -> Iterator[str]:
    """Notes on what logarithmic axes cannot show; `target` if that is on one."""
    if axis.zero is not None:
        yield "x = 0 is at the left end of the logarithmic axis"
    hidden = 0 if target is None else int((target <= 0).sum())
    if hidden:
        yield f"{hidden:,} values of 0 or less are not on the logarithmic axis"


def _against_prediction(base: FitScene, predicted: Numbers, log: bool) -> FitScene:
    both = np.concatenate([predicted, base.data_y])
    both = both[np.isfinite(both)]
    ends = np.array([both.min(), both.max()])
    return replace(
        base,
        x=Quantity(f"prediction of {base.y.name}", base.y.unit),
        data_x=predicted,
        curve_x=ends,
        curve_y=ends,
        log_x=log and bool(both.min() > 0),
        log_y=log and bool(both.min() > 0),
        against_prediction=True,
    )


_ROW = "(row)"
"""Name of a placeholder column for a formula without inputs."""


def _kinds(request: PlotRequest, name: str | None) -> list[BandKind]:
    if request.covariance is None or request.degrees_of_freedom is None:
        return []
    known = request.residual_std is not None
    if request.noise is not None and request.sigma_scale is not None:
        known = needs_only(request.noise, name)
    return ["confidence", "prediction"] if known else ["confidence"]


def _predict(
    seen: PlotData, name: str | None, places: Numbers, kind: BandKind | None
) -> Predictions:
    asked = seen.request
    interval = None if kind is None else BandOptions(kind=kind, level=asked.level)
    return fitting.predict(
        PredictRequest(
            model=seen.model,
            params=asked.params,
            data={name or _ROW: places},
            scaling=seen.scales,
            interval=interval,
            covariance=asked.covariance,
            residual_std=asked.residual_std,
            noise=asked.noise,
            sigma_scale=asked.sigma_scale,
            degrees_of_freedom=asked.degrees_of_freedom,
        )
    )


def _ribbon(found: Predictions | None, level: float, axis: XAxis, places: Numbers) -> Ribbon | None:
    if found is None or found.lower is None or found.upper is None:
        return None
    _, lower, upper = axis.curve(places, np.array(found.lower), np.array(found.upper))
    return Ribbon(level, lower, upper) if np.isfinite(upper - lower).any() else None


def _band(
    axes: Axes, scene: FitScene, ribbon: Ribbon | None, of: str, alpha: float, palette: Palette
) -> None:
    if ribbon is not None:
        axes.fill_between(
            scene.curve_x,
            ribbon.lower,
            ribbon.upper,
            color=palette.band,
            alpha=alpha,
            linewidth=0,
            label=f"{100 * ribbon.level:.10g} % band for {of}",
            zorder=2,
        )


def limit(axes: Axes, scenes: Sequence[FitScene]) -> None:
    """Limits the y axis to the data and the curves; a diverging band is not included."""
    values = np.concatenate([v for scene in scenes for v in (scene.data_y, scene.curve_y)])
    values = values[np.abs(values) < _HUGE]
    if scenes[0].log_y:
        own = np.concatenate([scene.data_y for scene in scenes])
        own = own[(own > 0) & (own < _HUGE)]
        if own.size:  # a curve may fall to nothing
            axes.set_ylim(own.min() / _LOG_ROOM, own.max() * _LOG_ROOM)
        return
    if not values.size or values.min() == values.max():
        return
    low, high = values.min(), values.max()
    bottom, top = axes.get_ylim()
    room = 0.6 * (high - low)
    axes.set_ylim(max(bottom, low - room), min(top, high + room))
