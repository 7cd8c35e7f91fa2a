"""Cost of a prediction, a loss or a gradient, estimated from the request.

The unit is an operation of the formula on one row, as for the budget of a fit. A numeric gradient
evaluates the model 2P + 1 times, P the number of params.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from service.engine.problem import Model
from service.errors import BudgetExceeded, InvalidRequest
from service.fitting.models import resolve
from service.fitting.ties import ties_of
from service.schemas import compute as wire
from service.schemas.names import GradientMethod

Asked = wire.PredictRequest | wire.LossRequest | wire.GradientRequest

LITTLE = 2**20
"""Operations that are computed in the event loop: a few milliseconds."""
_LEAST_ROWS = 1000
"""Minimum number of rows that an operation is counted for: a call takes a microsecond."""


class Cost(NamedTuple):
    """The cost of one request."""

    evaluations: int
    """Evaluations of the model."""
    operations: int
    """Operations per row, of all evaluations."""
    pointer: str = "/data"
    """JSON Pointer to the most expensive option."""
    cure: str = "send"
    """How to reduce the cost, followed by 'at most n rows' in the message."""


_GRADIENTS: Mapping[GradientMethod, Callable[[Model], tuple[int, int]]] = {
    "analytic": lambda model: (1, model.operations),
    "autograd": lambda model: (1, model.operations),
    "numeric": lambda model: (2 * model.size + 1, (2 * model.size + 1) * model.operations),
}
"""By method: evaluations, and operations per row."""


def of_prediction(model: Model, request: wire.PredictRequest) -> Cost:
    """The cost of a prediction; with a band, of the gradient g and gᵀCg too."""
    if request.interval is None:
        return Cost(1, model.forward_operations)
    return Cost(2, model.forward_operations + model.operations + len(request.covariance or ()) ** 2)


def of_loss(model: Model, request: wire.LossRequest) -> Cost:
    """The cost of a loss, without its surface, which has its own budget."""
    return Cost(*_times(2 if request.residuals else 1, model))


def of_gradient(model: Model, request: wire.GradientRequest) -> Cost:
    """The cost of a gradient by the requested method, and with `check` by all methods."""
    method = request.gradient.method
    methods = [method, *_GRADIENTS] if request.check else [method]
    costs = [_GRADIENTS[each](model) for each in methods]
    evaluations, operations = (sum(each) for each in zip(*costs, strict=True))
    if request.check:
        return Cost(evaluations, operations, "/check", "omit it, or send")
    if method == "numeric":
        return Cost(evaluations, operations, "/gradient", "use the method 'analytic', or send")
    return Cost(evaluations, operations)


def check(cost: Cost, rows: int, most: float) -> None:
    """Raises BudgetExceeded if the cost of those rows is above `most` operations."""
    total = float(rows) * cost.operations
    if total <= most:
        return
    times = f"{cost.evaluations:,} evaluations" if cost.evaluations > 1 else "1 evaluation"
    raise BudgetExceeded(
        f"{times} of {rows:,} rows are {total:.2g} operations, more than the {most:.2g} allowed "
        f"for one answer; {cost.cure} at most {int(most / cost.operations):,} rows per request",
        pointer=cost.pointer,
    )


def is_little(request: Asked) -> bool:
    """Whether the request is cheap enough to be computed in the event loop."""
    given, params = request.params or {}, None
    if isinstance(request, wire.PredictRequest):
        params = given.keys()
    try:
        model = resolve(request.model, request.data.keys(), params, ties_of(given)).formula
    except InvalidRequest:
        # It is refused before anything is computed.
        return True
    rows = max(map(len, request.data.values()), default=0)
    return _cost(model, request).operations * max(rows, _LEAST_ROWS) <= LITTLE


def _cost(model: Model, request: Asked) -> Cost:
    if isinstance(request, wire.PredictRequest):
        return of_prediction(model, request)
    if isinstance(request, wire.LossRequest):
        return of_loss(model, request)
    return of_gradient(model, request)


def _times(evaluations: int, model: Model) -> tuple[int, int]:
    return evaluations, evaluations * model.forward_operations
