"""The curve over its data, with its bands; with several inputs, the target against its
prediction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from service import fitting
from service.fitting.noise_at import needs_only
from service.fitting.plot_data import MOST_POINTS, PlotData, drawn_of, evenly, select
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
DECADES = 3.0
"""A positive input that spans more decades than this has a logarithmic axis."""
WIDEST, NEAREST = 1e300, 1e-290
"""Largest |x| of a curve, and smallest x of a logarithmic axis; beyond, x overflows."""
_MANY = 200
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
    against_prediction: bool = False

    def draw(self, figure: Figure, palette: Palette) -> None:
        """Points, curve, confidence band in colour, prediction band by its edges."""
        from service.render.figure import legend, name_axes, style_axes

        axes = figure.add_subplot()
        if self.log_x:
            axes.set_xscale("log")
        _band(axes, self, self.prediction, "new points", 0.10, palette)
        _band(axes, self, self.confidence, "the curve", 0.28, palette)
        curve = "prediction = target" if self.against_prediction else "fit"
        axes.plot(
            self.curve_x, self.curve_y, color=palette.curve, linewidth=2.2, label=curve, zorder=4
        )
        many = self.data_x.size > _MANY
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
        _limits(axes, self)
        name_axes(axes, self.x, self.y)
        style_axes(axes, palette, log="x" if self.log_x else "")
        legend(axes, palette, loc="best")

    def characters(self, width: int, lines: int) -> list[str]:
        """The curve with the data on it."""
        x = around([self.data_x, self.curve_x], log=self.log_x, margin=0.02)
        canvas = canvas_of(x, around([self.data_y, self.curve_y], margin=0.04), width, lines)
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
        data_x=np.arange(1.0, seen.rows + 1)[evenly(seen.rows, MOST_POINTS)],
        data_y=target,
        sigma=None if seen.sigma is None else seen.sigma.numpy(),
        curve_x=np.empty(0),
        curve_y=np.empty(0),
        notes=(*seen.notes, *drawn_of(target.size, seen.rows)),
    )
    if len(seen.formula.inputs) > 1:
        return _against_prediction(base, seen.predict())
    name = next(iter(seen.formula.inputs), None)
    if name is not None:
        spread = seen.sigma_x.get(name)
        base = replace(
            base,
            x=quantity(name, units),
            data_x=seen.raw[name].numpy(),
            sigma_x=None if spread is None else spread.numpy(),
        )
    places, log = _along(base.data_x)
    found = {kind: _predict(seen, name, places, kind) for kind in _kinds(request, name)}
    curve = next(iter(found.values()), None) or _predict(seen, name, places, None)
    return replace(
        base,
        curve_x=places,
        curve_y=curve.predictions,
        confidence=_ribbon(found.get("confidence"), request.level),
        prediction=_ribbon(found.get("prediction"), request.level),
        log_x=log,
    )


def _against_prediction(base: FitScene, predicted: Numbers) -> FitScene:
    both = np.concatenate([predicted, base.data_y])
    both = both[np.isfinite(both)]
    ends = np.array([both.min(), both.max()])
    return replace(
        base,
        x=Quantity(f"prediction of {base.y.name}", base.y.unit),
        data_x=predicted,
        curve_x=ends,
        curve_y=ends,
        against_prediction=True,
    )


_ROW = "(row)"
"""Name of a placeholder column for a formula without inputs."""


def _along(values: Numbers) -> tuple[Numbers, bool]:
    """The x values of a curve over those inputs, and whether they are spaced logarithmically."""
    low, high = np.clip([values.min(), values.max()], -WIDEST, WIDEST).tolist()
    if low > NEAREST and high / low > 10.0**DECADES:
        return np.geomspace(low, high, PLACES), True
    if low == high:
        room = 0.1 * abs(low) or 1.0
        low, high = low - room, high + room
    return np.linspace(low, high, PLACES), False


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


def _ribbon(found: Predictions | None, level: float) -> Ribbon | None:
    if found is None or found.lower is None or found.upper is None:
        return None
    lower, upper = np.array(found.lower), np.array(found.upper)
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


def _limits(axes: Axes, scene: FitScene) -> None:
    """Limits of the data and the curve; a diverging band is not included."""
    values = np.concatenate([scene.data_y, scene.curve_y])
    values = values[np.abs(values) < _HUGE]
    if not values.size or values.min() == values.max():
        return
    low, high = values.min(), values.max()
    bottom, top = axes.get_ylim()
    room = 0.6 * (high - low)
    axes.set_ylim(max(bottom, low - room), min(top, high + room))
