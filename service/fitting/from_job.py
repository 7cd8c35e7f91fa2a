"""The plot request for a picture of a job."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from service.catalogue.pictures import VIEWS
from service.fitting.plan import to_plan
from service.fitting.ties import texts_of
from service.schemas.answers import Fit
from service.schemas.fit import FitRequest
from service.schemas.optimizers import FirstOrderOptions
from service.schemas.options import Scale, Tied
from service.schemas.plot import PlotHistory, PlotRequest


def plot_of_job(
    asked: PlotRequest, request: FitRequest, fit: Fit | None, history: PlotHistory
) -> PlotRequest:
    """`asked` with the model, params, data and history of the job filled in. The params are those
    of `best` if the job was stopped early. `asked.title` is the job's model as text. A job with
    groups has no single fit to draw."""
    filled: dict[str, Any] = {
        "model": request.model,
        "data": dict(request.data),
        "sigma": request.sigma,
        "sigma_x": request.sigma_x,
        "loss": request.loss,
        "history": history,
        "units": asked.units or request.units,
    }
    if fit is not None:
        filled |= _of_fit(fit)
    required = VIEWS[asked.view].requires
    if {"history", "params"} <= set(required):
        filled |= _start(request, fit, history)
    if "history" in required:
        filled["title"] = _title(filled.get("model"), asked, request)
    return asked.model_copy(update=filled)


def note_of(fit: Fit) -> tuple[str, ...]:
    """A note on which params are drawn, if they are not the last ones."""
    if fit.shown == fit.params:
        return ()
    return (f"drawn at the best params, of epoch {fit.best.epoch:,}",)


def _of_fit(fit: Fit) -> dict[str, Any]:
    body = fit.predict
    rows = (body.covariance or {}).values()
    known = bool(rows) and all(math.isfinite(v) for row in rows for v in row.values())
    std = body.residual_std
    scaling = {name: Scale.model_validate(scale) for name, scale in (body.scaling or {}).items()}
    return {
        "model": body.model if isinstance(body.model, str) else _model(body.model),
        "params": {
            name: value if isinstance(value, float) else Tied(expr=value.expr)
            for name, value in body.params.items()
        },
        "scaling": scaling or None,
        "covariance": body.covariance if known else None,
        "residual_std": std if std is not None and math.isfinite(std) else None,
        "degrees_of_freedom": body.degrees_of_freedom,
    }


def _model(spec: Mapping[str, Any]) -> Any:
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


def _title(model: Any, asked: PlotRequest, request: FitRequest) -> str:
    """The model, with the optimizer and its learning rate."""
    formula = model if isinstance(model, str) else asked.title or "loss"
    optimizer = request.optimizer
    if not isinstance(optimizer, FirstOrderOptions):
        return formula
    return f"{formula}  ·  {optimizer.name}, learning rate {optimizer.learning_rate:g}"
