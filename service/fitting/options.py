"""Converts the options of a request to the engine's records."""

from __future__ import annotations

from collections.abc import Mapping

from service.engine.losses import LOSSES, Loss
from service.engine.models.mlp import Network
from service.engine.objectives.objective import GRADIENTS
from service.engine.optimizers.exact import Exact
from service.engine.optimizers.first_order import Adagrad, Adam, Rmsprop, Sgd
from service.engine.optimizers.lbfgs import Lbfgs
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
from service.engine.problem import GradientMethod, Optimizer, Options, Problem, Tolerance
from service.engine.schedules import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    MultiStep,
    Polynomial,
    Schedule,
    Step,
)
from service.errors import InvalidRequest
from service.schemas import optimizers as wire
from service.schemas.fit import FitRequest
from service.schemas.options import AnyLoss

FIRST_ORDER: Mapping[str, type[Sgd | Adam | Rmsprop | Adagrad]] = {
    "sgd": Sgd,
    "adam": Adam,
    "adamw": Adam,
    "rmsprop": Rmsprop,
    "adagrad": Adagrad,
}
DEFAULT_EPOCHS = 1000
_EXACT = wire.ExactOptimizer()
_NOT_SETTINGS = {"name", "gradient", "schedule", "batch_size"}


def to_loss(options: AnyLoss) -> Loss:
    """The loss of a request."""
    function = LOSSES[options.name]
    given = options.model_dump().get(function.option) if function.option else None
    return Loss(function, function.default if given is None else float(given))


def to_gradient(options: wire.GradientOptions) -> GradientMethod:
    """The gradient method of a request."""
    assert options.method in GRADIENTS
    return GradientMethod(options.method, options.delta)


def to_options(request: FitRequest, problem: Problem) -> Options:
    """The engine's options, with the defaults of the chosen optimizer."""
    chosen = _chosen(request.optimizer, problem)
    if isinstance(chosen, wire.ExactOptimizer):
        return _exact(request, problem)
    if isinstance(chosen, wire.LevenbergMarquardtOptimizer):
        return _marquardt(request)
    if isinstance(chosen, wire.LbfgsOptimizer):
        return _lbfgs(request, chosen)
    epochs = request.epochs or DEFAULT_EPOCHS
    return Options(
        optimizer=chosen.name,
        settings=_settings(chosen, epochs),
        epochs=epochs,
        record_every=_every(request, epochs, max(1, epochs // 1000)),
        tolerance=_tolerance(request),
        gradient=to_gradient(chosen.gradient),
        batch_size=chosen.batch_size,
        on_divergence=request.on_divergence,
        seed=request.seed,
    )


def _every(request: FitRequest, epochs: int, default: int) -> int:
    """The recording interval in epochs, at most `epochs`."""
    return min(request.record_every or default, epochs)


def _chosen(
    optimizer: wire.AnyOptimizer, problem: Problem
) -> wire.SecondOrderOptimizer | wire.FirstOrderOptimizer:
    if not isinstance(optimizer, wire.AutoOptimizer):
        return optimizer
    if problem.loss.is_least_squares and problem.is_linear and not problem.is_bounded:
        return _EXACT
    if isinstance(problem.formula, Network):
        return wire.AdamOptimizer(learning_rate=0.01, gradient=optimizer.gradient)
    return wire.LevenbergMarquardtOptimizer()


def _exact(request: FitRequest, problem: Problem) -> Options:
    why = None
    if not problem.loss.is_least_squares:
        why = f"minimises mse, not '{problem.loss.name}'"
    elif not problem.is_linear:
        why = "requires a formula that is linear in its free params"
    elif problem.is_bounded:
        why = "does not support bounds"
    if why:
        raise InvalidRequest(f"optimizer 'exact' {why}; use 'auto'", pointer="/optimizer")
    return Options("exact", Exact(), epochs=1, record_every=1)


def _marquardt(request: FitRequest) -> Options:
    return Options(
        "levenberg_marquardt",
        LevenbergMarquardt(),
        epochs=request.epochs or DEFAULT_EPOCHS,
        record_every=_every(request, request.epochs or DEFAULT_EPOCHS, 1),
        tolerance=_tolerance(request, params=1e-10),
        on_divergence=request.on_divergence,
    )


def _lbfgs(request: FitRequest, chosen: wire.LbfgsOptimizer) -> Options:
    return Options(
        "lbfgs",
        Lbfgs(chosen.history_size),
        epochs=request.epochs or DEFAULT_EPOCHS,
        record_every=_every(request, request.epochs or DEFAULT_EPOCHS, 1),
        tolerance=_tolerance(request),
        gradient=to_gradient(chosen.gradient),
        on_divergence=request.on_divergence,
    )


def _settings(chosen: wire.FirstOrderOptimizer, epochs: int) -> Optimizer:
    values = {name: value for name, value in chosen if name not in _NOT_SETTINGS}
    if chosen.name == "sgd" and chosen.nesterov and (chosen.momentum <= 0 or chosen.dampening):
        raise InvalidRequest(
            "`nesterov` requires `momentum` above 0 and no `dampening`",
            pointer="/optimizer/nesterov",
        )
    if chosen.name == "adamw":
        values["decoupled"] = True
    return FIRST_ORDER[chosen.name](**values, schedule=_schedule(chosen.schedule, epochs))


def _schedule(schedule: wire.Schedule | None, epochs: int) -> Schedule:
    match schedule:
        case None:
            return Constant()
        case wire.StepSchedule():
            return Step(schedule.step_size, schedule.gamma)
        case wire.MultiStepSchedule():
            return MultiStep(tuple(sorted(schedule.milestones)), schedule.gamma)
        case wire.ExponentialSchedule():
            return Exponential(schedule.gamma)
        case wire.CosineSchedule():
            return Cosine(schedule.t_max or epochs, schedule.eta_min)
        case wire.LinearSchedule():
            return Linear(schedule.start_factor, schedule.end_factor, schedule.total_iters)
        case wire.PolynomialSchedule():
            return Polynomial(schedule.total_iters or epochs, schedule.power)


def _tolerance(request: FitRequest, params: float = 0.0) -> Tolerance:
    asked = request.tolerance
    return Tolerance(
        asked.loss or 0.0,
        params if asked.params is None else asked.params,
        asked.gradient or 0.0,
    )
