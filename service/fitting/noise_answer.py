"""What an answer says about the noise that a fit has estimated."""

from __future__ import annotations

from service.engine.kernel.types import Floats
from service.engine.noise import NoiseExpression
from service.fitting.noise_at import weights_as_noise
from service.fitting.plan import Plan
from service.schemas import noise_answers as wire
from service.schemas.fit import FitRequest
from service.schemas.noise import NoiseModel


def noise_of(plan: Plan) -> wire.FittedNoise | None:
    """The noise of a fit; None without a model of it."""
    found, model = plan.noise, plan.task.problem.noise
    if found is None:
        return None
    if not isinstance(model, NoiseExpression):
        scale, rounds = float(found.values[0, 0]), int(found.rounds[0])
        return wire.FittedNoise(expr=None, params={}, stderr=None, scale=scale, rounds=rounds)
    names, asked = model.formula.params, plan.request.sigma
    assert isinstance(asked, NoiseModel)
    return wire.FittedNoise(
        expr=asked.expr,
        params=dict(zip(names, found.values[0].tolist(), strict=True)),
        stderr=dict(zip(names, found.stderr[0].tolist(), strict=True)) if names else None,
        scale=None,
        rounds=int(found.rounds[0]),
    )


def noise_of_groups(plan: Plan) -> wire.GroupedNoise | None:
    """The same of the fits of groups; one row where they have one noise."""
    found, model = plan.noise, plan.task.problem.noise
    if found is None:
        return None
    if not isinstance(model, NoiseExpression):
        return wire.GroupedNoise(
            expr=None, params={}, stderr={}, scale=found.values[:, 0].tolist(),
            rounds=found.rounds.tolist(),
        )  # fmt: skip
    names, asked = model.formula.params, plan.request.sigma
    assert isinstance(asked, NoiseModel)

    def by_name(table: Floats) -> dict[str, list[float]]:
        return {name: table[:, i].tolist() for i, name in enumerate(names)}

    return wire.GroupedNoise(
        expr=asked.expr,
        params=by_name(found.values),
        stderr=by_name(found.stderr),
        scale=None,
        rounds=found.rounds.tolist(),
    )


def curve_noise(plan: Plan) -> wire.CurveNoise | None:
    """σ of new observations of a fit as an expression; None where it is none."""
    expr = expression_of(plan.request)
    if expr is None:
        return None
    found = noise_of(plan)
    return wire.CurveNoise(expr=expr, params={} if found is None else found.params)


def grouped_curve_noise(plan: Plan) -> wire.GroupedCurveNoise | None:
    """The same of the fits of groups."""
    expr = expression_of(plan.request)
    return None if expr is None else wire.GroupedCurveNoise(expr=expr)


def expression_of(request: FitRequest) -> str | None:
    """The expression of σ, or that which follows from the weights; None where they are none."""
    weights = request.weights
    if isinstance(request.sigma, NoiseModel):
        return request.sigma.expr
    if isinstance(weights, str) and weights not in request.data:
        return weights_as_noise(weights)
    return None
