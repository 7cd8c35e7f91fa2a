"""Converts the options of a request to the engine's records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.catalogue.losses import LOSSES
from service.catalogue.optimizers import OPTIMIZERS, Optimizer
from service.catalogue.schedules import SCHEDULES, Constant, LearningRateSchedule, Schedule
from service.engine.fit_options import GradientMethod, Options, Tolerance
from service.engine.losses import Loss
from service.engine.models.mlp import Network
from service.engine.objectives.objective import GRADIENTS
from service.engine.problem import Problem
from service.errors import InvalidRequest
from service.schemas import optimizers as wire
from service.schemas.base import Request
from service.schemas.fit import FitRequest
from service.schemas.losses import LossOptions
from service.schemas.numbers import RobustScale


def to_loss(options: LossOptions) -> Loss:
    """The loss of a request."""
    function = LOSSES[options.name]
    given = None if function.option is None else getattr(options, function.option.name)
    if isinstance(given, RobustScale):
        given = given.k or function.tuning
    return Loss(function, function.default if given is None else float(given))


def to_gradient(options: wire.GradientOptions) -> GradientMethod:
    """The gradient method of a request."""
    assert options.method in GRADIENTS
    return GradientMethod(options.method, options.delta)


def to_options(request: FitRequest, problem: Problem) -> Options:
    """The engine's options, with the defaults of the chosen optimizer."""
    chosen = _chosen(request.optimizer, problem)
    method = OPTIMIZERS[chosen.name]
    settings = _settings(chosen, method)
    if method.is_direct:
        _check_direct(method, problem)
        return Options(method.name, settings, method.epochs, record_every=1)
    epochs = request.epochs or method.epochs
    every = 1 if method.records is None else max(1, epochs // method.records)
    options = Options(
        method.name,
        settings,
        epochs=epochs,
        record_every=min(request.record_every or every, epochs),
        tolerance=_tolerance(request, method),
        on_divergence=request.on_divergence,
    )
    return _with_gradient(options, chosen, request.seed)


def _chosen(optimizer: wire.OptimizerOptions, problem: Problem) -> wire.OptimizerOptions:
    """The optimizer; for `auto`, the one that suits the problem."""
    if optimizer.name != "auto":
        return optimizer
    if problem.loss.is_least_squares and problem.is_linear and not problem.is_bounded:
        return _named("exact")
    if isinstance(problem.formula, Network) and isinstance(optimizer, wire.WithGradient):
        return _named("adam", learning_rate=0.01, gradient=optimizer.gradient)
    return _named("levenberg_marquardt")


def _named(name: str, **options: Any) -> wire.OptimizerOptions:
    return wire.OPTIMIZER_MODELS[name](name=name, **options)


def _settings(chosen: wire.OptimizerOptions, method: Optimizer) -> Any:
    """The optimizer's options as its record has them."""
    try:
        return method.settings(**_values(chosen, method))
    except InvalidRequest as error:
        raise error.at("/optimizer") from None


def _values(chosen: Request, entry: Optimizer | LearningRateSchedule) -> dict[str, Any]:
    """The values of an entry's options, by name."""
    return {option.name: getattr(chosen, option.name) for option in entry.options}


def _check_direct(method: Optimizer, problem: Problem) -> None:
    """Raises InvalidRequest for a problem that is not linear least squares without bounds."""
    why = None
    if not problem.loss.is_least_squares:
        why = f"minimises mse, not '{problem.loss.name}'"
    elif not problem.is_linear:
        why = "requires a formula that is linear in its free params"
    elif problem.is_bounded:
        why = "does not support bounds"
    if why:
        raise InvalidRequest(f"optimizer '{method.name}' {why}; use 'auto'", pointer="/optimizer")


def _with_gradient(options: Options, chosen: wire.OptimizerOptions, seed: int) -> Options:
    """With the method of the gradient, and a first-order optimizer's mini-batches and schedule."""
    if isinstance(chosen, wire.FirstOrderOptions):
        batches = chosen.batch_size
        schedule = _schedule(chosen.schedule)
        options = replace(options, batch_size=batches, schedule=schedule, seed=seed)
    if isinstance(chosen, wire.WithGradient):
        options = replace(options, gradient=to_gradient(chosen.gradient))
    return options


def _schedule(schedule: wire.ScheduleOptions | None) -> Schedule:
    if schedule is None:
        return Constant()
    entry = SCHEDULES[schedule.name]
    return entry.settings(**_values(schedule, entry))


def _tolerance(request: FitRequest, method: Optimizer) -> Tolerance:
    asked = request.tolerance
    return Tolerance(
        asked.loss or 0.0,
        method.tolerance if asked.params is None else asked.params,
        asked.gradient or 0.0,
    )
