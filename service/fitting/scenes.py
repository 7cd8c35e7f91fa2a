"""Computes the scene of a plot request. The work is bounded: of long data, some rows are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import torch

from service.catalogue.losses import LOSSES
from service.engine.formula import formula_names
from service.engine.names import CONSTANTS
from service.engine.noise import PREDICTION
from service.errors import InvalidRequest
from service.fitting.compute import predict
from service.fitting.path_scene import path_scene
from service.fitting.plot_request import Looked, drawn_of, evenly, look
from service.schemas.columns import Numbers
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.names import BandKind
from service.schemas.options import BandOptions
from service.schemas.plot import PlotRequest
from service.schemas.scenes import (
    FitScene,
    LossesScene,
    Quantity,
    ResidualsScene,
    Ribbon,
    Scene,
)

MOST_POINTS = 1_000
"""Maximum points of one picture; more would make an SVG of megabytes."""
MOST_ROWS = 100_000
"""Maximum rows whose residuals are computed."""
MOST_FAR = 50
"""The rows with the largest residuals that are drawn in addition to the evenly chosen ones."""
PLACES = 400
"""Points along a curve."""
DECADES = 3.0
"""A positive input that spans more decades than this has a logarithmic axis."""
WIDEST, NEAREST = 1e300, 1e-290
"""Largest |x| of a curve, and smallest x of a logarithmic axis; beyond, x overflows."""
BESIDE = 3.0
"""Losses are shown for residuals from −3 to 3."""


def fit_scene(request: PlotRequest, max_rows: int = 2**62) -> FitScene:
    """The curve over its data, with the bands that the request has the fields for; with several
    inputs, the target against its prediction."""
    seen = look(request, MOST_POINTS, max_rows)
    target = seen.target.numpy()
    base = FitScene(
        title=seen.title,
        x=Quantity("row"),
        y=seen.quantity(seen.formula.target),
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
        base = replace(base, x=seen.quantity(name), data_x=seen.raw[name].numpy())
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
    noise = request.noise
    known = request.residual_std is not None
    if noise is not None and request.sigma_scale is not None:
        used = formula_names(noise.expr) - noise.params.keys() - CONSTANTS.keys()
        known = used <= {PREDICTION, name}
    return ["confidence", "prediction"] if known else ["confidence"]


def _predict(seen: Looked, name: str | None, places: Numbers, kind: BandKind | None) -> Predictions:
    asked = seen.request
    interval = None if kind is None else BandOptions(kind=kind, level=asked.level)
    return predict(
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


def residuals_scene(request: PlotRequest, max_rows: int = 2**62) -> ResidualsScene:
    """Residuals against the prediction, and against normal quantiles at (i − 3/8)/(n + 1/4) (Blom,
    Statistical Estimates and Transformed Beta-Variables, 1958)."""
    seen = look(request, MOST_ROWS, max_rows)
    at = seen.predict()
    with np.errstate(over="ignore"):
        residuals = at - seen.target.numpy()
    target = seen.formula.target
    unit = seen.quantity(target).unit
    if seen.sigma is not None:
        residuals, unit = residuals / seen.sigma.numpy(), None
    kept = np.flatnonzero(np.isfinite(residuals) & np.isfinite(at))
    if not kept.size:
        raise InvalidRequest("no prediction is finite at these params", pointer="/params")
    at, residuals = at[kept], residuals[kept]
    drawn = _thinned(residuals)
    few = drawn_of(drawn.size, seen.rows)
    ranks = _ranks(residuals.size)
    ordered = np.sort(residuals)
    share = (ranks + 1 - 0.375) / (residuals.size + 0.25)
    return ResidualsScene(
        title=seen.title,
        prediction=Quantity(f"prediction of {target}", seen.quantity(target).unit),
        residual=Quantity("residual / σ" if seen.sigma is not None else "residual", unit),
        at=at[drawn],
        residuals=residuals[drawn],
        normal=np.array([NormalDist().inv_cdf(p) for p in share.tolist()]),
        ordered=ordered[ranks],
        line=_through_quartiles(residuals),
        notes=(*seen.notes, *(f"{n}, including the largest residuals" for n in few)),
    )


def _thinned(residuals: Numbers) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The rows to draw: evenly chosen ones, and those with the largest residuals."""
    if residuals.size <= MOST_POINTS:
        return np.arange(residuals.size)
    far = np.argpartition(np.abs(residuals), -MOST_FAR)[-MOST_FAR:]
    return np.union1d(evenly(residuals.size, MOST_POINTS - MOST_FAR), far)


def _ranks(count: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The ranks to draw: evenly chosen ones, and both tails."""
    tail = min(MOST_FAR, count)
    tails = np.concatenate([np.arange(tail), np.arange(count - tail, count)])
    return np.union1d(evenly(count, MOST_POINTS - 2 * MOST_FAR), tails)


def _through_quartiles(residuals: Numbers) -> tuple[float, float]:
    """Offset and slope of the line through the quartiles in a normal quantile plot."""
    low, high = np.quantile(residuals, [0.25, 0.75]).tolist()
    slope = (high / 2 - low / 2) / NormalDist().inv_cdf(0.75)
    return low / 2 + high / 2, slope


def losses_scene(request: PlotRequest, max_rows: int = 2**62) -> LossesScene:
    """The requested losses as functions of the residual, and their derivatives."""
    residual = torch.linspace(-BESIDE, BESIDE, 2 * PLACES // 2 + 1, dtype=torch.float64)
    chosen = [LOSSES[name] for name in dict.fromkeys(request.losses)]
    return LossesScene(
        title=" and ".join(loss.name for loss in chosen)
        if request.title is None
        else request.title,
        residual=residual.numpy(),
        values={loss.name: loss.rho(residual, loss.default).numpy() for loss in chosen},
        slopes={loss.name: loss.psi(residual, loss.default).numpy() for loss in chosen},
        formulas={loss.name: _of_one(loss.formula) for loss in chosen},
    )


def _of_one(formula: str) -> str:
    """The formula of the loss of a single residual."""
    return formula.removeprefix("mean(").removesuffix(")")


SCENES: Mapping[str, Callable[[PlotRequest, int], Scene]] = {
    "fit": fit_scene,
    "residuals": residuals_scene,
    "path": path_scene,
    "losses": losses_scene,
}
"""The function that computes each view; `loss` shows the history itself."""


def scene(request: PlotRequest, max_rows: int = 2**62) -> Scene:
    """The scene of a plot request. Raises InvalidRequest."""
    return SCENES[request.view](request, max_rows)
