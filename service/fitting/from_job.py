"""The plot request for a picture of a job."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from service.catalogue.pictures import VIEWS
from service.errors import InvalidRequest
from service.fitting.compute import predict
from service.fitting.curves import usable
from service.fitting.noise_at import sigma_at
from service.fitting.options import to_loss
from service.fitting.plan import to_plan
from service.fitting.rates import is_of_rates, rates
from service.fitting.ties import texts_of
from service.schemas.answers import Fit, History, PredictBody
from service.schemas.compute import PredictRequest
from service.schemas.fit import FitRequest
from service.schemas.noise import KnownNoise, NoiseModel
from service.schemas.numbers import RobustScale
from service.schemas.optimizers import FirstOrderOptions
from service.schemas.options import Scale, Tied
from service.schemas.plot import PlotHistory, PlotRequest


def plot_of_job(
    asked: PlotRequest,
    request: FitRequest,
    fit: Fit | None,
    history: PlotHistory,
    shown: str | None = None,
) -> PlotRequest:
    """`asked` with the model, params, data and history of the job filled in. The params are those
    of `best` if the job was stopped early. `shown` is the job's model as text, for the title where
    none is asked for. For a job with groups see `from_groups`."""
    filled: dict[str, Any] = {
        "model": request.model,
        "data": dict(request.data),
        "sigma": _sigma(request, fit),
        "sigma_x": request.sigma_x,
        "loss": _loss(request, fit),
        "history": history,
        "units": asked.units or request.units,
        "title": asked.title or shown,
    }
    if fit is not None:
        filled |= of_body(fit.predict)
    if is_of_rates(request) and asked.view != "loss":
        filled |= rates(request, fit, asked.view)
    required = VIEWS[asked.view].requires
    if {"history", "params"} <= set(required):
        filled |= _start(request, fit, history)
    if "history" in required and asked.title is None:
        filled["title"] = _title(filled.get("model"), shown, request)
    return asked.model_copy(update=filled)


def history_of(rows: History) -> PlotHistory:
    """The history of an answer."""
    return PlotHistory.model_construct(
        epoch=rows.epoch, loss=rows.loss, params=rows.params, thinned=rows.thinned
    )


def note_of(fit: Fit) -> tuple[str, ...]:
    """A note on which params are drawn, if they are not the last ones."""
    if fit.shown == fit.params:
        return ()
    return (f"drawn at the best params, of epoch {fit.best.epoch:,}",)


def of_body(body: PredictBody) -> dict[str, Any]:
    """The fields of a plot request that are those of a prediction."""
    rows = (body.covariance or {}).values()
    known = bool(rows) and all(math.isfinite(v) for row in rows for v in row.values())
    std = body.residual_std
    scaling = {name: Scale.model_validate(scale) for name, scale in (body.scaling or {}).items()}
    return {
        "model": model_of(body.model),
        "params": {
            name: value if isinstance(value, float) else Tied(expr=value.expr)
            for name, value in body.params.items()
        },
        "scaling": scaling or None,
        "covariance": body.covariance if known else None,
        "residual_std": std if std is not None and math.isfinite(std) else None,
        **_noise(body),
        "degrees_of_freedom": body.degrees_of_freedom,
    }


def _noise(body: PredictBody) -> dict[str, Any]:
    """The noise of new observations, where it is an expression."""
    known = usable(body)
    if known["noise"] is None:
        return {}
    noise = KnownNoise.model_validate(known["noise"])
    return {"noise": noise, "sigma_scale": known["sigma_scale"]}


def _loss(request: FitRequest, fit: Fit | None) -> Any:
    """The loss, with the number for a scale of the residuals."""
    loss = request.loss
    if not isinstance(getattr(loss, "delta", None), RobustScale):
        return loss
    known = None if fit is None else fit.noise
    scale = 1.0 if known is None or known.scale is None else known.scale
    return loss.model_copy(update={"delta": to_loss(loss).delta * scale})


def _sigma(request: FitRequest, fit: Fit | None) -> Any:
    """σ of the rows: as it was given; of an expression at the fit, None where it is unknown."""
    sigma, data = request.sigma, request.data
    if not isinstance(sigma, NoiseModel):
        return sigma
    known = None if fit is None else fit.predict.noise
    if fit is None or known is None:
        return None
    try:
        body = {**usable(fit.predict), "data": dict(data), "interval": None}
        found = predict(PredictRequest.model_validate(body)).predictions
        values = np.array([list(known.params.values())])
        own = sigma_at(known.expr, list(known.params), values, np.asarray(found), data)
    except InvalidRequest:  # a row without a value, which is not drawn
        return None
    return own.tolist() if np.isfinite(own).all() else None


def model_of(spec: str | Mapping[str, Any]) -> Any:
    """The model of a prediction's body as that of a request."""
    if isinstance(spec, str):
        return spec
    return PlotRequest.model_validate({"view": "fit", "model": dict(spec)}).model


def _start(request: FitRequest, fit: Fit | None, history: PlotHistory) -> dict[str, Any]:
    """The start of the path; and, for a job without a fit yet, the model with its last params."""
    plan = to_plan(request).with_guesses()
    problem = plan.task.problem
    found: dict[str, Any] = {}
    if not plan.task.options.search:
        found["start"] = dict(zip(problem.params, problem.initial.tolist(), strict=True))
    if fit is not None:
        return found
    last: dict[str, float | Tied] = {
        name: next((v for v in reversed(column) if math.isfinite(v)), 1.0)
        for name, column in history.params.items()
    }
    scales = {n: Scale(scale=s.scale, offset=s.offset) for n, s in plan.scaling.items()}
    model = problem.formula.text if isinstance(request.model, str) else request.model
    tied = {name: Tied(expr=text) for name, text in texts_of(problem.formula).items()}
    return {**found, "model": model, "params": last | tied, "scaling": scales or None}


def _title(model: Any, shown: str | None, request: FitRequest) -> str:
    """The model, with the optimizer and its learning rate."""
    formula = model if isinstance(model, str) else shown or "loss"
    optimizer = request.optimizer
    if not isinstance(optimizer, FirstOrderOptions):
        return formula
    return f"{formula}  ·  {optimizer.name}, learning rate {optimizer.learning_rate:g}"
